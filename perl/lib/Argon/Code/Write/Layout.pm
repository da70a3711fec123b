package Argon::Code::Write::Layout;

# Owns the layout of the text of a shipment: a head with what the receiver has to load
# and which names to make known before it parses, and a body which is one expression,
# the factory. The receiver's side of it is Argon::Code::Receive.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::Classes ();
use Argon::Code::Analyse::StatefulOps ();

# The first line, with the format's number and whether the code is contained or must be compiled for each call, and the plan for Receive::prepare. Modules
# come first in it: a placeholder must not be there when a module defines its own subs.
sub head {
    my ($shipment, $is_contained) = @_;
    my ($declare, $alias) = @$shipment{qw(declare alias)};
    my %plan = (
        own     => [ map { B::perlstring($_) } @{ $shipment->{own} } ],
        modules => [ map { B::perlstring($_) } sort keys %{ $shipment->{modules} } ],
        classes => [ map { B::perlstring($_) } sort keys %{ $shipment->{class_modules} } ],
        declare => [ map { _list(B::perlstring($_), _or_undef($declare->{$_}[0]), $declare->{$_}[1] ? 1 : ()) } sort keys %$declare ],
        alias   => [ _aliases($shipment) ],
        variables => [ _variables($shipment) ],
        declared  => [ map { _declared($_, 'text') } @{ $shipment->{declared} } ],
    );
    my @plan = map { @{ $plan{$_} } ? "$_ => " . _list(@{ $plan{$_} }) : () } qw(own modules declared classes declare alias variables);
    my $note = Argon::Code::Analyse::StatefulOps::is_kept($shipment) ? '; it keeps something from run to run' : $is_contained ? '; it leaves nothing behind' : q{};
    my $head = "# Argon Perl code, format 1, written by perl $]$note\n";
    $head .= 'BEGIN { Argon::Code::Receive::prepare(' . join(",\n    ", @plan) . ") }\n" if @plan;
    return $head;
}

# The factory: makes the cells of captured values, each sub in a block with its own
# variables and pragmas, and puts the named ones in their places.
sub body {
    my ($shipment) = @_;
    my $slots = $shipment->{slots};
    my $cells = $slots->count ? ' = Argon::Code::Receive::cells($_[0], ' . B::perlstring($slots->kinds) . ')' : q{};
    my $text  = "sub {\nmy (\$argon_cell, \@argon_sub)$cells;\n";
    for my $unit (@{ $shipment->{units} }) {
        $text .= join "\n", '{', $unit->{opening} || (), "\$argon_sub[$unit->{index}] = $unit->{text};", ($unit->{closing} || '') . '}', '';
    }
    my %what = (
        globals => [ map { _list($_->[0], B::perlstring($_->[1]), "'$_->[2]'") } $slots->globals ],
        needs   => [ map { _needs($shipment, $_) } @{ $shipment->{units} } ],
        names   => [ map { _list($_->[0], B::perlstring($_->[1])) } @{ $shipment->{names} } ],
        classes => [ map { Argon::Code::Analyse::Classes::as_text($_) } @{ $shipment->{classes} } ],
        # again for each call, for a shipment in between may have given these names to its own
        alias     => [ _aliases($shipment) ],
        variables => [ _variables($shipment) ],
        undefined => [ map { B::perlstring($_) } sort keys %{ $shipment->{undefined} } ],
        declared  => [ map { _declared($_, 'fresh') } @{ $shipment->{declared} } ],
    );
    my @what = ('subs => \@argon_sub', 'cells => $argon_cell', map { @{ $what{$_} } ? "$_ => " . _list(@{ $what{$_} }) : () } qw(declared undefined alias variables globals needs names classes));
    # With nothing to install, only the sender needs the subs.
    my $when = @what > 2 ? q{} : ' if $Argon::Code::Receive::CHECKING';
    $text .= qq{#line 1 "Argon shipment"\n};
    $text .= 'Argon::Code::Receive::install(' . join(', ', @what) . ")$when;\n";
    # A stack shows the name of the sub that was given, if it has one.
    my ($package, $name) = @{ $shipment->{units}[0] || {} }{qw(package name)};
    $text .= 'Argon::Code::Receive::name_sub(' . B::perlstring("${package}::$name") . ", \$argon_sub[0]);\n"
        if defined $name && $name =~ /\A[^\W\d]\w*\z/ && $name ne '__ANON__';
    $text .= "\$argon_sub[0];\n}\n";
    return $text;
}

# A sub that may turn out to be without what it needs: [index, its name, slots].
sub _needs {
    my ($shipment, $unit) = @_;
    my @slots = grep { $shipment->{slots}->is_optional($_) } sort { $a <=> $b } keys %{ $unit->{needs} || {} };
    return if !@slots || !$unit->{optional};
    my $name = $unit->{name} // '__ANON__';
    $name = $name eq '__ANON__' ? "a method or operator of $unit->{package}" : "$unit->{package}::$name";
    return _list($unit->{index}, B::perlstring($name), @slots);
}

# Imported subs: [name, full name of the sub]; a name that is the sub's own needs nothing after the module is loaded,
# but a shipment of the same name may have taken its place.
sub _aliases {
    my ($shipment) = @_;
    my $alias = $shipment->{alias};
    return map { _list(B::perlstring($_), B::perlstring($alias->{$_})) } sort keys %$alias;
}

sub _variables {
    my ($shipment) = @_;
    my $variables = $shipment->{variables};
    return map { _list(B::perlstring($_), map { B::perlstring($_) } @{ $variables->{$_} }) } sort keys %$variables;
}

# The text of a class stands in the head; for each call its digest is enough.
sub _declared {
    my ($class, @more) = @_;
    return '{' . join(', ', map { "$_ => " . B::perlstring($class->{$_}) } qw(name digest), @more) . '}';
}

sub _list { return '[' . join(', ', @_) . ']' }

sub _or_undef { return defined $_[0] ? B::perlstring($_[0]) : 'undef' }

1;
