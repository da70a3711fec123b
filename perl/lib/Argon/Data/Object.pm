package Argon::Data::Object;

# Owns one question: does an object keep something outside of its own data? That is a C pointer, or fields in hashes of its
# class under its address (inside-out). A copy of such an object would crash or be empty, so Argon::Data::Graph refuses it,
# unless its class has hooks. Both ends run this file; it needs nothing of Argon.

use strict;
use warnings;
no overloading;

use Scalar::Util qw(blessed refaddr reftype);

# Nested containers of fields are looked into up to this many values for each class.
my $NESTED_MAX = 500;

# SVs_GMG, SVs_SMG and SVs_RMG: there is magic.
my $MAGICAL = 0x00e0_0000;

# Parents with compiled subs that prove nothing about an object.
my %SAYS_NOTHING = map { $_ => 1 } qw(DynaLoader Exporter Mouse::Object);

# Describes what an object keeps outside its data, with advice; nothing for one that is all in its data. Facts about its class are kept in
# the hash, for the other objects of one message.
sub keeps_outside {
    my ($object, $class, $facts) = @_;
    my ($fields, $is_compiled, $destroys) = @{ $facts->{$class} ||= _facts($class) };
    return ('keeps its fields outside of itself, under its address', 'give the class STORABLE_freeze and STORABLE_thaw, or pass its fields')
        if @{$fields} && _has_fields($object, $class, $fields) || $INC{'Object/InsideOut.pm'} && $class->isa('Object::InsideOut');
    return ('keeps something outside perl', 'make it inside the sub')
        if $is_compiled && ($destroys || has_native_magic($object) || _is_pointer($object));
    return;
}

sub _facts {
    my ($class) = @_;
    require B;
    require mro;
    return [_fields_of($class), 0, 0] if !grep { _has_compiled_subs($_) } @{ mro::get_linear_isa($class) };
    my $destroy = UNIVERSAL::can($class, 'DESTROY');
    my $cv = $destroy ? B::svref_2object($destroy) : undef;
    return [_fields_of($class), 1, $cv && $cv->XSUB && !($cv->CvFLAGS & B::CVf_CONST()) && !_is_of($cv, 'Mouse::Object')];
}

# True if C code has attached something to a variable.
sub has_native_magic {
    my ($reference) = @_;
    my $value = B::svref_2object($reference);
    return 0 if !($value->FLAGS & $MAGICAL) || !$value->can('MAGIC');
    return scalar grep { $_->TYPE eq '~' } $value->MAGIC;
}

# A scalar with an address or a structure of C in it.
sub _is_pointer {
    my ($object) = @_;
    my $type = reftype $object;
    return 0 if $type ne 'SCALAR' && $type ne 'LVALUE';
    my $value = B::svref_2object($object);
    my $is_integer = $value->FLAGS & B::SVf_IOK() && !($value->FLAGS & B::SVf_POK());
    no warnings 'uninitialized';
    # A number may be an address, bytes may be a structure of C; words are neither.
    return $is_integer ? !!${$object} : ${$object} =~ /[\0-\x08\x0e-\x1f]/;
}

# Compiled subs of its own: neither imported ones nor constants.
sub _has_compiled_subs {
    my ($package) = @_;
    return 0 if $SAYS_NOTHING{$package};
    for my $code (_subs_of($package)) {
        my $cv = B::svref_2object($code);
        return 1 if $cv->XSUB && !($cv->CvFLAGS & B::CVf_CONST()) && _is_of($cv, $package);
    }
    return 0;
}

sub _is_of {
    my ($cv, $package) = @_;
    my $glob = $cv->GV;
    return $glob->can('STASH') && $glob->STASH->can('NAME') && $glob->STASH->NAME eq $package;
}

sub _subs_of {
    my ($package) = @_;
    no strict 'refs';
    my $stash = \%{"${package}::"};
    return map { *{ $stash->{$_} }{CODE} } grep { !/::\z/ && ref \$stash->{$_} eq 'GLOB' && defined *{ $stash->{$_} }{CODE} } keys %{$stash};
}

sub _has_fields {
    my ($object, $class, $all_fields) = @_;
    my $address = refaddr $object;
    my $type    = reftype $object;
    my @keys    = ($address, sprintf '%s=%s(0x%x)', $class, $type eq 'REF' ? 'SCALAR' : $type, $address);
    for my $fields (@{$all_fields}) {
        for my $key (grep { exists $fields->{$_} } @keys) {
            my $value = $fields->{$key};
            # A register of the objects of a class holds the object itself.
            return 1 if !ref $value || refaddr $value != $address;
        }
    }
    return 0;
}

# The hashes that methods of a class, and of its parents, have captured or that are variables of these packages. What a class
# has changes only when a sub or a name comes, so that is found once.
my %found;

sub _fields_of {
    my ($class) = @_;
    my @packages = @{ mro::get_linear_isa($class) };
    no strict 'refs';
    my $state = join ' ', map { mro::get_pkg_gen($_), scalar keys %{"${_}::"} } @packages;
    my $known = $found{$class};
    if (!$known || $known->[0] ne $state) {
        my %seen;
        my @variables = grep { !$seen{ refaddr $_ }++ } map { (_captured($_), _variables_of($_)) } @packages;
        Scalar::Util::weaken($_) for @variables;
        $known = $found{$class} = [$state, \@variables];
    }
    my @fields = map { reftype $_ eq 'HASH' ? $_ : ${$_} } grep { defined && (reftype $_ eq 'HASH' || _is_plain_hash(${$_})) } @{ $known->[1] };
    my ($budget, $next) = ($NESTED_MAX, 0);
    while ($next < @fields && $budget > 0) {
        my $hash = $fields[ $next++ ];
        next if tied %{$hash} || keys %{$hash} > $budget;
        $budget -= keys %{$hash};
        push @fields, grep { _is_plain_hash($_) } values %{$hash};
    }
    return \@fields;
}

sub _is_plain_hash { return ref $_[0] eq 'HASH' && !defined blessed $_[0] }

# Hashes, and scalars that hold a reference.
sub _captured {
    my ($package) = @_;
    my @variables;
    for my $code (_subs_of($package)) {
        my $cv = B::svref_2object($code);
        next if $cv->XSUB || !$cv->PADLIST->isa('B::PADLIST') || !$cv->PADLIST->MAX;
        my ($names, $values) = $cv->PADLIST->ARRAY;
        next if !$values || $values->isa('B::SPECIAL');
        my @names  = $names->ARRAY;
        my @values = $values->ARRAY;
        for my $index (1 .. $#values) {
            my $value = $values[$index];
            next if !$value->isa('B::HV') && !($value->can('FLAGS') && $value->FLAGS & B::SVf_ROK());
            my $name = $names[$index];
            next if !defined $name || !$name->can('FLAGS') || !($name->FLAGS & B::SVf_FAKE());
            push @variables, $value->object_2svref;
        }
    }
    return @variables;
}

sub _variables_of {
    my ($package) = @_;
    no strict 'refs';
    my $stash = \%{"${package}::"};
    my @globs = map { \$stash->{$_} } grep { !/::\z/ && ref \$stash->{$_} eq 'GLOB' } keys %{$stash};
    return ((grep {defined} map { *{$_}{HASH} } @globs), (grep { ref ${$_} } map { *{$_}{SCALAR} } @globs));
}

1;
