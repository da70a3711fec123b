package Argon::Data;

# Values that travel: encodes a list of Perl values as bytes and back. Every kind
# of Perl data keeps its kind; what cannot travel is refused in words.
#
# Plain data that is not too deep, nearly all there is, goes straight through
# Storable in native order. Objects, code, patterns and deep structures go as a
# graph, see Argon::Data::Graph. Both ends run this file; the runner embeds it.

use strict;
use warnings;
# Overloaded operators of the values must not run.
no overloading;

use Scalar::Util ();
use Storable     ();

our $VERSION = '0.01';

# Deeper than this, data goes as a graph: Storable recurses in C.
use constant PLAIN_DEPTH_MAX => 200;

# The depth that JSON::PP takes.
use constant JSON_DEPTH_MAX => 512;

# Before 3.00 Storable reads with everything allowed and takes no flags.
my @READ_FLAGS = Storable->VERSION >= 3.00 ? (0) : ();
sub read_flags { return @READ_FLAGS }

my $IS_DUAL = Scalar::Util->can('isdual') || sub { 0 };

# Since perl 5.36 a boolean is known as one; it has two faces, so that it is found among those that have.
my $IS_BOOLEAN = $] >= 5.036 ? eval 'no warnings; sub { builtin::is_bool($_[0]) }' : undef;    ## no critic (ProhibitStringyEval): an older perl must read this file
# The commonest answer of all, one boolean, is encoded once.
my %bytes_of_boolean;
sub is_boolean { return $IS_BOOLEAN && $IS_BOOLEAN->($_[0]) }

# Bytes for a reference to a list of values. Dies in words if something in it cannot travel. Shared values may stand in it
# if there is a second argument, a reference to a scalar: it gets a list of them, Argon::Shared. The third is the code whose captured
# values come first in the list, so that a refusal can name them.
sub encode {
    my ($list, $shared, $code) = @_;
    ref $list eq 'ARRAY' || (Scalar::Util::reftype($list) || '') eq 'ARRAY'
        or die at_caller('Argon::Data::encode takes a reference to a list');
    if (_is_plain($list)) {
        local $@;
        my $bytes = $SIG{__DIE__} ? _quietly(sub { Storable::mstore($list) }) : eval { Storable::mstore($list) };
        # Storable marks a weak reference with this byte, but what only such ones hold would be gone where it is read.
        return $bytes if defined $bytes && (index($bytes, "\x1b") < 0 || !_has_weak($list));
    }
    return $bytes_of_boolean{ $list->[0] ? 1 : 0 } ||= _encode_graph($list)
        if $IS_BOOLEAN && @$list == 1 && $IS_BOOLEAN->($list->[0]) && !defined Scalar::Util::blessed($list) && !tied @$list;
    return _encode_graph($list, $shared, $code);
}

sub _encode_graph {
    my ($list, $shared, $code) = @_;
    require Argon::Data::Graph;
    my ($graph, $error);
    {
        local $@;
        $graph = $SIG{__DIE__} ? _quietly(sub { Argon::Data::Graph::flatten($list, $shared) }) : eval { Argon::Data::Graph::flatten($list, $shared) };
        $error = $@;
    }
    if (!$graph) {
        my $sentence = ref $error && $error->can('sentence') ? $error->sentence : $error;
        die at_caller(ref $code ? Argon::Code::with_names($sentence, $code) : $sentence);
    }
    # A reference to a reference marks a graph.
    return Storable::mstore(\$graph);
}

# The same of bytes that come from others: they are checked before Storable sees them.
sub decode_foreign {
    require Argon::Data::Lengths;
    eval { Argon::Data::Lengths::check($_[0]); 1 } or die at_caller($@);
    return &decode;
}

# The list back, as an array reference. Dies in words if the bytes are not ours. The second argument is a code reference that
# gives the value of a shared one.
sub decode {
    my ($bytes) = \$_[0];
    my $value;
    {
        local $@;
        $value = $SIG{__DIE__} ? _quietly(sub { Storable::mretrieve(${$bytes}, @READ_FLAGS) }) : eval { Storable::mretrieve(${$bytes}, @READ_FLAGS) };
        return $value if ref $value eq 'ARRAY';
        if (!defined $value) {
            my $why = $@;
            $why =~ s/ at \S+ line \d+.*\z//s;
            $why = 'they do not begin like it' if $why eq '';
            $why .= "; or they come from perl 5.36 or newer, whose true and false this perl ($]) cannot read"
                if $] < 5.036 && $why =~ /\ACorrupted storable/;
            die at_caller("These bytes are not Argon data: $why");
        }
    }
    if (%bytes_of_boolean) {
        for my $truth (0, 1) { return [ $truth == 1 ] if defined $bytes_of_boolean{$truth} && $bytes_of_boolean{$truth} eq ${$bytes} }
    }
    ref $value eq 'REF' or die at_caller('These bytes are not Argon data: they hold no list');
    require Argon::Data::Graph::Build;
    my $why;
    {
        local $@;
        my $list = eval { Argon::Data::Graph::Build::build($$value, $_[1]) };
        return $list if $list;
        $why = $@;
    }
    # Damaged bytes are what perl itself stumbles over in the code that reads them. Everything else has its own words.
    die $why if ref $why || $why !~ m{ at \S*Argon/Data/Graph/Build\.pm line \d+\.\n\z};
    die at_caller('These bytes are not Argon data: they hold no whole list');
}

# A handler of the program must not be called for what is caught here. Disabling it takes longer than the rest, so that is done only
# where there is one.
sub _quietly {
    my ($code) = @_;
    local $SIG{__DIE__};
    return scalar eval { $code->() };
}

# True if the encoded value brings code along.
sub holds_code {
    my $value = Storable::mretrieve($_[0], @READ_FLAGS);
    return ref $value eq 'REF' && @{ $$value->{texts} } ? 1 : 0;
}

# Nothing but strings, numbers, undef and unblessed containers of them, not tied,
# not deep. (Bare globs are left to Storable, which refuses them.)
sub _is_plain {
    my ($list) = @_;
    return 0 if defined Scalar::Util::blessed($list) || tied @$list;
    my @level = grep { defined && (length ref || $IS_DUAL->($_) || !$_ && is_negative_zero($_)) } @$list;
    # Nearly always there is not more than a list of plain values in the list.
    return 1 if !grep {
        ref ne 'ARRAY' || defined Scalar::Util::blessed($_) || tied @$_ || grep { defined && (length ref || $IS_DUAL->($_) || !$_ && is_negative_zero($_)) } @$_
    } @level;
    my ($depth, %seen) = (0);
    while (@level) {
        return 0 if ++$depth > PLAIN_DEPTH_MAX;
        my @below;
        for my $value (@level) {
            my $type = ref $value;
            # A class may have any name, also one that is false or that of a kind.
            return 0 if length $type && defined Scalar::Util::blessed($value);
            if ($type eq 'ARRAY') {
                next if $seen{ 0 + $value }++;
                return 0 if tied @$value;
                push @below, grep { defined && (length ref || $IS_DUAL->($_) || !$_ && is_negative_zero($_)) } @$value;
            }
            elsif ($type eq 'HASH') {
                next if $seen{ 0 + $value }++;
                return 0 if tied %$value;
                push @below, grep { defined && (length ref || $IS_DUAL->($_) || !$_ && is_negative_zero($_)) } values %$value;
            }
            elsif ($type eq 'SCALAR' || $type eq 'REF') {
                next if $seen{ 0 + $value }++;
                return 0 if tied $$value;
                push @below, grep { defined && (length ref || $IS_DUAL->($_) || !$_ && is_negative_zero($_)) } $$value;
            }
            elsif ($type eq '' && !($IS_BOOLEAN && $IS_BOOLEAN->($value)) && !has_two_faces($value) && !is_negative_zero($value)) { next }
            else                                          { return 0 }
        }
        @level = @below;
    }
    return 1;
}

# True if plain data has a weak reference.
sub _has_weak {
    my @todo = @_;
    my %seen;
    while (defined(my $container = pop @todo)) {
        next if $seen{ 0 + $container }++;
        my $type = ref $container;
        for my $value ($type eq 'ARRAY' ? @$container : $type eq 'HASH' ? values %$container : $$container) {
            next if !length ref $value;
            return 1 if Scalar::Util::isweak($value);
            push @todo, $value;
        }
    }
    return 0;
}

# Storable makes an integer of it, and so loses its sign.
use constant NEGATIVE_ZERO => -1e-200 * 1e-200;
my $NEGATIVE_ZERO_BITS = pack 'F', NEGATIVE_ZERO;

sub is_negative_zero {
    my ($value) = @_;    # a copy: looking at it must not change it
    no warnings;
    return !length($value ^ $value) || ($value ^ $value) eq '0' ? pack('F', $value) eq $NEGATIVE_ZERO_BITS : 0;
}

# A number and a string at once that differ, like $!. A string that was used as a number is none: perl keeps its number, but
# does not take it for the value (there is no public flag), and "az" must go on to be "ba".
sub has_two_faces {
    my ($value) = @_;
    return 0 if !$IS_DUAL->($value);
    no warnings;
    return 0 if $value + 0 eq $value || $value + 0 == $value && $value =~ /\A\s*[-+0-9.]/ && "$value" == $value + 0;
    require B;
    return B::svref_2object(\$value)->FLAGS & (B::SVf_IOK() | B::SVf_NOK()) ? 1 : 0;
}

# The same data with the booleans of perl as those of JSON::PP, which must be loaded: older versions of it write them as 1 and an
# empty string.
sub for_json {
    my ($value, $depth) = (@_, 0);
    my $kind = ref $value;
    no warnings 'recursion';
    return !is_boolean($value) ? $value : $value ? JSON::PP::true() : JSON::PP::false() if !length $kind;
    die 'it is nested deeper than ' . JSON_DEPTH_MAX . " levels, or it has a loop\n" if $depth > JSON_DEPTH_MAX;
    return [ map { for_json($_, $depth + 1) } @$value ] if $kind eq 'ARRAY';
    return { map { $_ => for_json($value->{$_}, $depth + 1) } keys %$value } if $kind eq 'HASH';
    return $value;
}

# Returns the sentence with the file and line of the first caller outside Argon. Argon::Code uses it for refusals, too.
sub at_caller {
    my ($sentence) = @_;
    $sentence =~ s/\s+\z//;
    my $level = 1;
    my ($package, $file, $line) = caller $level;
    while (defined $package && $package =~ /\AArgon(?:::|\z)/) {
        ($package, $file, $line) = caller ++$level;
    }
    ($file, $line) = ('a place unknown', 0) unless defined $file;
    return "$sentence at $file line $line.\n";
}

1;

__END__

=encoding UTF-8

=head1 NAME

Argon::Data - Perl values as bytes

=head1 SYNOPSIS

    my $bytes = Argon::Data::encode([ 4, { list => [ 7 ] } ]);
    my $list  = Argon::Data::decode($bytes);

=head1 FUNCTIONS

=head2 encode

Takes a reference to a list and returns bytes. Kinds of values, floats to the last bit,
shared, looping and weak references, objects, patterns and code references are kept. Dies
with one sentence that names the place in the list of what cannot travel. References keep
what they share only inside one call of encode.

=head2 for_json

The value with booleans that L<JSON::PP>, which must be loaded, writes as C<true> and C<false>.

=head2 decode

Takes the bytes and returns a reference to the list. Plain data is read with all of
Storable's callbacks off; objects are made with their class loaded or brought along. Dies
with one sentence if the bytes are not Argon's. Bytes must come from a peer that holds the
cluster key: they may carry code.

=head2 decode_foreign

The same for bytes that may be damaged or made to harm, as those of a result: lengths beyond
the end, which would make Storable ask for memory that no one has, are refused first.

=cut
