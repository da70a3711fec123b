package Argon::Code::Ship::GivenText;

# Code that was given as Perl text: the way out when compiled code cannot be turned
# back into text. It captures nothing and starts from strict, warnings and package main.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Receive ();
use Argon::Code::Refusal ();

sub new {
    my ($class, $source) = @_;
    defined $source && !ref $source or Argon::Code::Refusal->throw('from_source takes Perl text', "pass 'sub { ... }'");
    my $place = '#line 1 "code given as text"';
    my $body  = "use strict;\nuse warnings;\npackage main;\nsub {\nmy \$argon_code = do {\n$place\n$source\n};\n}\n";
    my $factory = eval { Argon::Code::Receive::compile($body) };
    Argon::Code::Refusal->throw("its text does not compile: $@", 'correct it') unless $factory;
    Argon::Code::Refusal->throw('its text gives no sub', "pass 'sub { ... }'") unless _may_give_sub(B::svref_2object($factory));
    my $text = "# Argon Perl code, format 1, written by perl $]\n$body";
    utf8::encode($text);
    return bless { text => $text }, $class;
}

# True if the last expression of the text can be a sub. The text is not run to find out.
my %CAN_BE_SUB = map { $_ => 1 } qw(refgen srefgen anoncode entersub padsv gvsv rv2sv cond_expr and or dor helem aelem multideref sassign leavetry entereval);

sub _may_give_sub {
    my ($factory) = @_;
    my $op;
    Argon::Code::Analyse::Optree::walk($factory->ROOT, sub { $op ||= $_[0] if $_[0]->name =~ /\A(?:sassign|padsv_store)\z/ });
    $op = (Argon::Code::Analyse::Optree::kids($op))[0];
    while ($op->name =~ /\A(?:null|leave|scope|lineseq|scalar)\z/) { $op = (Argon::Code::Analyse::Optree::kids($op))[-1] or return 0 }
    return $CAN_BE_SUB{ $op->name };
}

sub text { return $_[0]{text} }

1;
