package Argon::Code::Analyse::PerlVersion;

# Owns the differences between versions of perl for the sending half: every test of
# $] that concerns reading code belongs here. (The receiving half has its own few
# lines in Argon::Code::Receive, because it travels inside the runner.)

use strict;
use warnings;

use B ();
use feature ();
use Argon::Code::Refusal ();

# Since perl 5.16 features live in the hint hash unless a whole bundle is on.
use constant FEATURES_IN_HINT_HASH => 1;

# Bits of a compiled pattern that record how it was written (its modifiers, its character set, whether it stands in
# split). The others follow from these and from the text, or change while the pattern is used.
use constant PATTERN_FLAGS => 0x0fff;

# The same bit of "split EXPRESSION", as opposed to "split /PATTERN/".
use constant PATTERN_OF_SPLIT => 0x0800;

# Since perl 5.36 a constant that has both faces was written as a string; before it, numbers get a string when printed.
use constant STRINGS_ARE_KNOWN => $] >= 5.036 ? 1 : 0;

# Since perl 5.22: \my $x = $reference.
our $CAN_ALIAS = $] >= 5.022;

# Text that makes captured variables of cells: (opening lines, closing braces) from a
# list of [name, text of a reference]. An older perl can do it only for scalars, with
# a loop that runs once.
sub aliases {
    my (@variables) = @_;
    return ([ 'BEGIN { feature->import("refaliasing", "state") }', map {"\\my $_->[0] = $_->[1];"} @variables ], '') if $CAN_ALIAS;
    for my $variable (grep { $_->[0] !~ /\A\$/ } @variables) {
        Argon::Code::Refusal->throw("the captured variable $variable->[0] needs perl 5.22 or newer", 'capture a reference to it');
    }
    return ([ map {"for my $_->[0] (\${$_->[1]}) {"} @variables ], '}' x @variables);
}

# A number that this perl never gives to two different pieces of code: closures
# made from the same source text share it. Costs well under a microsecond.
sub code_identity {
    my ($cv) = @_;
    my $pads = $cv->PADLIST;
    # A thread has no numbers for what it got from the one that made it.
    my $number = $pads->can('id') ? $pads->id : 0;
    return $number if $number;
    # Before perl 5.22: the address of the op tree alone may be used again, but
    # with the sequence number of its first statement it is unique.
    my $start = $cv->START;
    return $start->isa('B::COP') ? ${ $cv->ROOT } . ':' . $start->cop_seq : undef;
}

# The names of the features in force, from $^H and %^H.
sub features {
    my ($hints, $hash) = @_;
    my $mask   = $feature::hint_mask || 0;
    my $bundle = $hints & $mask;
    if ($bundle == $mask) {
        my %name_of = reverse %feature::feature;
        return map { $name_of{$_} } grep { $hash->{$_} } grep { $name_of{$_} } keys %$hash;
    }
    my $name = $feature::hint_bundles[$bundle >> $feature::hint_shift];
    return @{ $feature::feature_bundle{$name} || [] };
}

# Features that take something away when they are off: every perl that does not know one behaves as if it was on.
my @OF_OLDER_PERLS = qw(apostrophe_as_package_separator bareword_filehandles indirect multidimensional smartmatch);

# Text that turns exactly these features on, where the code is compiled: of those that only newer perls know, the ones that
# are on here, or are not known here, are on there if they are known there.
sub import_of {
    my (@features) = @_;
    my %is_on = map { $_ => 1 } @features;
    # The program may have changed $".
    my $lasting = join q{ }, grep { $is_on{$_} || !exists $feature::feature{$_} } @OF_OLDER_PERLS;
    delete @is_on{@OF_OLDER_PERLS};
    my $named = join q{ }, sort keys %is_on;
    return length $named ? "feature->import(qw($named))" : q{} if !length $lasting;
    # An empty list is an error.
    return "for (qw($lasting)) { feature->import(\$_) if exists \$feature::feature{\$_} }" if !length $named;
    return "feature->import(qw($named), grep { exists \$feature::feature{\$_} } qw($lasting))";
}

sub default_features { return @{ $feature::feature_bundle{default} || [] } }

1;
