package Argon::Code::Write::Constants;

# Constants of code that travels: those that its text cannot hold travel as captured values.

use strict;
use warnings;

use B ();
use Argon::Code::Write::Deparse ();

# A constant sub that perl did not fold away: its value travels as a captured value.
sub describe {
    my ($shipment, $unit) = @_;
    my $value = $unit->{cv}->XSUBANY;
    my $reference = $value->isa('B::SPECIAL') ? \(undef, undef, !!1, !!0)[ $$value ] : $value->object_2svref;
    my $slot = $shipment->{slots}->value($reference, 'the constant ' . ($unit->{name} || ''), $shipment->{is_optional});
    $unit->{needs}{$slot} = 1;
    $unit->{text} = ref $reference eq 'ARRAY'
        ? "do { my \$value = \$argon_cell->[$slot]; sub () { \@\$value } }"
        : "do { my \$value = \$argon_cell->[$slot]; sub () { \$\$value } }";
    $unit->{opening}    = "package $unit->{package};";
    $unit->{unverified} = 1;
    return;
}

# The lines that make constants of a sub's code which no text can give: references, numbers with two faces, long strings.
sub lines {
    my ($shipment, $unit, $constants) = @_;
    my @lines;
    for my $index (0 .. $#$constants) {
        my $sv = $constants->[$index];
        my $value;
        if ($sv->FLAGS & B::SVf_ROK() || Argon::Code::Write::Deparse::is_long($sv)) {
            my $slot = $shipment->{slots}->value($sv->object_2svref, 'a constant', $shipment->{is_optional});
            ($unit->{owner} || $unit)->{needs}{$slot} = 1;
            $value = "\${\$argon_cell->[$slot]}";
        }
        else {
            $shipment->{modules}{'Scalar/Util.pm'} = 1;
            my $number = $sv->FLAGS & B::SVf_IOK() ? $sv->int_value : sprintf '%.17g', $sv->NV;
            $value = "Scalar::Util::dualvar($number, " . B::perlstring($sv->as_string) . ')';
        }
        push @lines, "my \$argon_constant_$index = do { my \$value = $value; sub { \$value } };";
    }
    return @lines;
}

1;
