package Argon::Code::Layout;

# How the text of a shipment is laid out: a head which tells the receiver what to load
# and which names to make known before it parses, and a body which is one expression,
# the factory. The receiver's side of it is Argon::Code::Receive.

use strict;
use warnings;

use B ();
use Argon::Code::Classes ();

# The first line, with the format's number, and the plan for Receive::prepare. Modules
# come first in it: a placeholder must not be there when a module defines its own subs.
sub head {
    my ($shipment) = @_;
    my ($declare, $alias) = @$shipment{qw(declare alias)};
    my %plan = (
        modules => [ map { B::perlstring($_) } sort keys %{ $shipment->{modules} } ],
        classes => [ map { B::perlstring($_) } sort keys %{ $shipment->{class_modules} } ],
        declare => [ map { _list(B::perlstring($_), _or_undef($declare->{$_}[0]), $declare->{$_}[1] ? 1 : ()) } sort keys %$declare ],
        alias   => [ map { _list(B::perlstring($_), B::perlstring($alias->{$_})) } sort keys %$alias ],
    );
    my @plan = map { @{ $plan{$_} } ? "$_ => " . _list(@{ $plan{$_} }) : () } qw(modules classes declare alias);
    my $head = "# Argon Perl code, format 1, written by perl $]\n";
    $head .= 'BEGIN { Argon::Code::Receive::prepare(' . join(",\n    ", @plan) . ") }\n" if @plan;
    return $head;
}

# The factory: makes the cells of captured values, each sub in a block with its own
# variables and pragmas, and puts the named ones in their places.
sub body {
    my ($shipment) = @_;
    my $slots = $shipment->{slots};
    my $text  = "sub {\nmy (\$argon_cell, \@argon_sub) = Argon::Code::Receive::cells(\$_[0], " . B::perlstring($slots->kinds) . ");\n";
    for my $unit (@{ $shipment->{units} }) {
        $text .= join "\n", '{', $unit->{opening} || (), "\$argon_sub[$unit->{index}] = $unit->{text};", ($unit->{closing} || '') . '}', '';
    }
    my %what = (
        globals => [ map { _list($_->[0], B::perlstring($_->[1]), "'$_->[2]'") } $slots->globals ],
        names   => [ map { _list($_->[0], B::perlstring($_->[1])) } @{ $shipment->{names} } ],
        classes => [ map { Argon::Code::Classes::as_text($_) } @{ $shipment->{classes} } ],
    );
    my @what = ('subs => \@argon_sub', 'cells => $argon_cell', map { @{ $what{$_} } ? "$_ => " . _list(@{ $what{$_} }) : () } qw(globals names classes));
    $text .= qq{#line 1 "Argon shipment"\n};
    $text .= 'Argon::Code::Receive::install(' . join(', ', @what) . ");\n\$argon_sub[0];\n}\n";
    return $text;
}

sub _list { return '[' . join(', ', @_) . ']' }

sub _or_undef { return defined $_[0] ? B::perlstring($_[0]) : 'undef' }

1;
