package Argon::Code::Analyse::Pragma;

# Turns the compile-time state of a statement (strict, warnings, features, the
# hint hash) into a value that can be compared, and a value into Perl text that
# brings the state back on another perl.
#
# Warnings and features travel by name, never as bits: their numbers differ
# between versions of perl.

use strict;
use warnings;

use B ();
use feature ();
use Argon::Code::Analyse::PerlVersion ();

# The bits of $^H that mean the same on every perl from 5.16 on: integer, strict
# (and that it was asked for explicitly), locale, bytes, re eval and taint, filetest, utf8.
use constant STABLE_HINTS   => 0x00f0_06ff;
use constant EXPLICIT_HINTS => 0x0000_00e0;
use constant SAVE_HINT_HASH => 0x0002_0000;

# The state at a B::COP: { hints, warnings, features, hash }, all plain strings or hashes of them.
sub of {
    my ($cop) = @_;
    my $hash = $cop->hints_hash;
    $hash = ref $hash && $hash->can('HASH') ? { %{ $hash->HASH || {} } } : {};
    my %features = map { $_ => 1 } Argon::Code::Analyse::PerlVersion::features($cop->hints, $hash);
    for my $key (keys %$hash) {
        # A reference in the hint hash was flattened to its address when perl
        # compiled the statement; nothing can read it back.
        delete $hash->{$key} if $key =~ /^feature_/ || !defined $hash->{$key} || $hash->{$key} =~ /\(0x[0-9a-f]+\)\z/;
    }
    return {
        hints    => $cop->hints & STABLE_HINTS,
        warnings => _warnings($cop->warnings),
        features => join(' ', sort keys %features),
        hash     => join("\0", map { "$_\0$hash->{$_}" } sort keys %$hash),
    };
}

# One line per part; two states are the same when these are.
sub as_text {
    my ($state) = @_;
    my $hints = $state->{hints} & ~EXPLICIT_HINTS;
    return "hints $hints; warnings $state->{warnings}; features $state->{features}; hash $state->{hash}";
}

# Perl text that goes from one state (undef: unknown) to another.
sub change {
    my ($from, $to) = @_;
    my $text = '';
    if (!$from || $from->{hints} != $to->{hints}) {
        $text .= sprintf 'BEGIN { $^H = $^H & ~%#x | %#x }', STABLE_HINTS, $to->{hints};
    }
    if (!$from || $from->{warnings} ne $to->{warnings}) {
        $text .= $to->{warnings} eq 'standard'
            ? 'BEGIN { undef ${^WARNING_BITS} }'
            : sprintf('BEGIN { ${^WARNING_BITS} = Argon::Code::Receive::warning_bits(%s) }', _quoted($to->{warnings}));
    }
    if (!$from || $from->{features} ne $to->{features}) {
        my $default = join ' ', sort { $a cmp $b } Argon::Code::Analyse::PerlVersion::default_features();
        $text .= 'BEGIN { feature->unimport' . ($to->{features} eq $default ? ' }' : "(':all') }");
        $text .= 'BEGIN { ' . Argon::Code::Analyse::PerlVersion::import_of(split q{ }, $to->{features}) . ' }'
            if $to->{features} ne $default;
    }
    if (!$from || $from->{hash} ne $to->{hash}) {
        my $keep = Argon::Code::Analyse::PerlVersion::FEATURES_IN_HINT_HASH ? 'grep { !/^feature_/ } ' : '';
        $text .= "BEGIN { delete \@^H{${keep}keys %^H}; ";
        if (length $to->{hash}) {
            my @pairs = split /\0/, $to->{hash}, -1;
            $text .= sprintf '$^H |= %#x; ', SAVE_HINT_HASH;
            while (my ($key, $value) = splice @pairs, 0, 2) {
                $text .= '$^H{' . _quoted($key) . '} = ' . _quoted($value) . '; ';
            }
        }
        $text .= '}';
    }
    return $text;
}

# autodie for the scope where the statement stands, with what it was asked for. It remembers the name of the file.
sub autodie {
    my ($cop) = @_;
    my $hash = $cop->hints_hash;
    my $said = ref $hash && $hash->can('HASH') ? ($hash->HASH || {})->{autodie} : undef;
    return if !defined $said || $said !~ s/\AFatal :lexical\b//;
    return '#line ' . $cop->line . ' "' . $cop->file . '"', 'BEGIN { require autodie; autodie->import(' . join(', ', map { _quoted($_) } split q{ }, $said) . ') }';
}

# "all", "none", "standard" (nothing was said, -w decides) or "NAME… / FATAL-NAME…".
sub _warnings {
    my ($value) = @_;
    if ($value->isa('B::SPECIAL')) {
        return { 4 => 'all', 5 => 'none' }->{$$value} || 'standard';
    }
    my $bits = $value->PV;
    my (@on, @off, @fatal);
    for my $name (sort keys %warnings::Offsets) {
        next if $name eq 'all';
        my $offset = $warnings::Offsets{$name};
        next if $offset >= 8 * length $bits;       # registered by a module after this code was compiled
        push @{ vec($bits, $offset, 1) ? \@on : \@off }, $name;
        push @fatal, $name if vec($bits, $offset + 1, 1);
    }
    my $all = vec($bits, $warnings::Offsets{all}, 1);
    return 'none' if !@on && !@fatal && !$all;
    return 'all' if !@off && !@fatal && $all;
    my $set   = @off < @on ? join(' ', '-', @off) : join(' ', '+', @on);
    my $fatal = @fatal > @on / 2 ? do {
        my %fatal = map { $_ => 1 } @fatal;
        join ' ', '-', grep { !$fatal{$_} } @on;
    } : join ' ', '+', @fatal;
    return ($all ? 'all ' : '') . "$set / $fatal";
}

sub _quoted {
    my ($text) = @_;
    return B::perlstring($text);
}

1;
