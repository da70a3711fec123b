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
    my $file = 'code given as text';
    my $body = "use strict; use warnings; package main;\n#line 1 \"$file\"\nsub {\nmy \$argon_code = do {\n#line 1 \"$file\"\n$source\n};\n}\n";
    my $text = "# Argon Perl code, format 1, written by perl $]\n$body";
    utf8::encode($text);
    my $self = bless { text => $text }, $class;
    return $self;
}

sub text { return $_[0]{text} }

1;
