package Argon::Code::Write::Frame;

# Owns the frame: the text around the subs of a text that is compiled here. Code of the caller's is compiled while it is made
# ready, and never run. A frame must be run to get at its subs, so it is run only when it is proven to be the one that Argon
# wrote: its operations are those of the same frame with empty subs in it.

use strict;
use warnings;

use B ();
use Argon::Code::Receive ();
use Argon::Code::Refusal ();
use Argon::Code::Analyse::Fingerprint ();

# An error that perl finds on its own line and goes on after. BEGIN blocks, and what is made of them, are not run after one.
use constant {
    MISTAKE         => qq{#line 1 "argon mistake"\n0 = 0;\n},
    MISTAKE_MESSAGE => qr/\ACan't modify constant item in scalar assignment at argon mistake line 1, [^\n]*\n\z/,
};

my $END_OF_SUBS = qq{\n#line 1 "Argon shipment"\n};

# The text of the frame around one sub; $sub is its text, $before is written right in front of its statement.
sub around {
    my ($kinds, $opening, $closing, $sub, $before) = @_;
    my ($line) = $opening =~ s/(#line [^\n]*\n)\z// ? $1 : q{};
    return "sub {\nmy (\$argon_cell, \$argon_sub) = Argon::Code::Receive::cells(undef, " . B::perlstring($kinds) . ");\n{$opening"
        . ($before || q{}) . "$line\$argon_sub = $sub;$END_OF_SUBS" . ($closing || q{}) . "}\n\$argon_sub;\n}\n";
}

# The sub that a text from a file makes when it is compiled; nothing if the text is not exactly one sub, or if compiling it
# would run something: BEGIN, use, attributes.
sub only_sub {
    my ($kinds, $opening, $closing, $text) = @_;
    return if !_is_quiet(around($kinds, $opening, $closing, $text, MISTAKE));
    my $factory = _compiled(around($kinds, $opening, $closing, $text)) or return;
    my $empty   = _compiled(around($kinds, $opening, $closing, 'sub {}')) or return;
    return if !is_same($factory, $empty);
    return $factory->();
}

# True if the text of a sub that perl gave back compiles in its frame.
sub compiles { return defined _compiled(around(@_)) }

# True if two factories do the same, apart from the subs that they make.
sub is_same {
    my ($one, $other) = @_;
    my ($left, $right) = map { join "\n", @{ Argon::Code::Analyse::Fingerprint::frame_lines(B::svref_2object($_)) } } $one, $other;
    return $left eq $right;
}

# True if the text compiles, apart from the mistake in it, and runs nothing while it does. Perl itself shows it: it refuses to
# run a BEGIN block, or to load a module, once an error was found.
sub _is_quiet {
    my ($text) = @_;
    return !defined _compiled($text) && $@ =~ MISTAKE_MESSAGE;
}

# Like Receive::compile, but with perl's own words in $@, and attributes are not applied: to apply them calls their package.
sub _compiled {
    my ($text) = @_;
    require attributes;
    local $SIG{__DIE__};
    local $SIG{__WARN__} = sub { };
    no warnings 'redefine';
    local *attributes::import = sub { die "the sub has attributes\n" };
    my $factory = Argon::Code::Receive::compile_bare($text);
    return ref $factory eq 'CODE' ? $factory : undef;
}

1;
