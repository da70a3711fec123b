package Argon::Code::Ship::ModuleSettings;

# The variables of modules that the main program mentions, such as
# $Data::Dumper::Indent. They are settings that hold for all that it calls.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::Classes ();
use Argon::Code::Analyse::Optree ();
use Argon::Code::Analyse::Origin ();

my $names;

# A module's setting that the program changes ($Data::Dumper::Indent = 1) also holds
# for a sub which only calls the module.
sub add {
    my ($shipment) = @_;
    my %used = (%{ $shipment->{modules} }, %{ $shipment->{class_modules} });
    for my $name (names()) {
        my ($package) = $name =~ /\A(.*)::/s;
        my $module = Argon::Code::Analyse::Origin::module_of_package($package);
        next unless defined $module && $used{$module} && !$shipment->{seen}{$name}{SCALAR}++;
        $shipment->{slots}->global($name, 'SCALAR');
    }
    return;
}

# Full names of scalars; read from the main program once, for it does not change.
sub names {
    $names ||= [ _find() ];
    # A module may be loaded later.
    return grep { my ($package) = /\A(.*)::/s; !Argon::Code::Analyse::Classes::is_of_script($package) } @$names;
}

sub _find {
    my $root = B::main_root();
    return unless ref $root && $$root;
    my ($cv, %found) = (B::main_cv());
    Argon::Code::Analyse::Optree::walk($root, sub {
        my ($op, $parent) = @_;
        return unless $op->name eq 'gvsv' || $op->name eq 'gv' && $parent && $parent->name eq 'rv2sv';
        my ($package, $name) = Argon::Code::Analyse::Optree::glob_name(Argon::Code::Analyse::Optree::glob_of($cv, $op));
        return unless defined $name && $name =~ /\A\w+\z/ && $package ne 'main';
        $found{"${package}::$name"} = 1 unless $package =~ /\AArgon(?:::|\z)/;
    });
    my @names = sort keys %found;
    return @names;
}

1;
