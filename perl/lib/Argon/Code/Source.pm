package Argon::Code::Source;

# Code that was given as Perl text: the way out when compiled code cannot be turned
# back into text. It captures nothing and starts from strict, warnings and package main.

use strict;
use warnings;

use B ();
use Argon::Code::Receive ();
use Argon::Code::Refusal ();

sub new {
    my ($class, $source) = @_;
    defined $source && !ref $source or Argon::Code::Refusal->throw('from_source takes Perl text', "pass 'sub { ... }'");
    my $place = '#line 1 "code given as text"';
    my $body  = "use strict;\nuse warnings;\npackage main;\nsub {\nmy \$argon_code = do {\n$place\n$source\n};\n}\n";
    my $factory = eval { Argon::Code::Receive::compile($body) };
    Argon::Code::Refusal->throw("its text does not compile: $@", 'correct it') unless $factory;
    Argon::Code::Refusal->throw('its text gives no sub', "pass 'sub { ... }'") unless ref eval { $factory->() } eq 'CODE';
    my $text = "# Argon Perl code, format 1, written by perl $]\n$body";
    utf8::encode($text);
    return bless { text => $text }, $class;
}

sub text { return $_[0]{text} }

1;
