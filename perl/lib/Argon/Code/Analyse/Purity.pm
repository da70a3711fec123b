package Argon::Code::Analyse::Purity;

# Proves of a shipment that its code cannot leave anything behind in the process where it runs: no operation in it can reach
# the environment, a signal, a handle, the working folder or a variable of perl itself, and it calls nothing but itself. A
# runner need not look after such a task. What is not on the lists below is taken to be able to do anything.
#
# The proof holds for plain arguments and captured values only (no objects, nothing tied, no code), which is for the
# runner to see.

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::StatefulOps ();
use Argon::Code::Analyse::Optree ();

# Operations on values, and on variables of the sub itself.
my %IS_HARMLESS = map { $_ => 1 } qw(
    null pushmark stub scalar lineseq leave leavesub enter scope nextstate dbstate unstack list return
    and or xor dor not cond_expr andassign orassign dorassign cmpchain_and cmpchain_dup
    enterloop leaveloop enteriter iter last next redo range flip flop wantarray entertry leavetry die
    padsv padav padhv padany padrange sassign aassign padsv_store aelemfastlex_store argcheck argelem argdefelem
    add subtract multiply divide modulo pow repeat negate preinc postinc predec postdec
    i_add i_subtract i_multiply i_divide i_modulo i_negate i_preinc i_postinc i_predec i_postdec
    lt gt le ge eq ne ncmp i_lt i_gt i_le i_ge i_eq i_ne i_ncmp slt sgt sle sge seq sne scmp
    left_shift right_shift bit_and bit_or bit_xor complement nbit_and nbit_or nbit_xor ncomplement
    sbit_and sbit_or sbit_xor scomplement int abs sqrt sin cos exp log atan2 hex oct ceil floor
    concat multiconcat stringify join length substr vec index rindex sprintf ord chr ucfirst lcfirst uc lc fc quotemeta
    reverse chop schop chomp schomp trans transr pos substcont
    aelem aslice kvaslice aelemfast_lex av2arylen helem hslice kvhslice delete exists each keys values aeach akeys avalues
    push pop shift unshift splice grepstart grepwhile mapstart mapwhile lslice anonlist anonhash emptyavhv
    srefgen refgen ref reftype refaddr blessed is_bool defined runcv time localtime gmtime
);

# Operations that are harmless under a condition.
my %IS_HARMLESS_IF = (
    const      => \&_is_plain_constant,
    anoncode   => \&_is_inner_sub_contained,
    entersub   => \&_is_known_call,
    sort       => sub { !($_[2]->flags & B::OPf_STACKED()) || $_[2]->flags & B::OPf_SPECIAL() },    # a block, or nothing
    split      => \&_is_plain_split,
    # "undef &helper" takes the helper away for good.
    undef      => sub { !grep { $_->name eq 'rv2cv' || $_->name eq 'rv2gv' } Argon::Code::Analyse::Optree::kids($_[2]) },
    match      => \&_is_plain_pattern,
    subst      => \&_is_plain_pattern,
    gv         => \&_is_own_glob,
    gvsv       => \&_is_own_glob,
    aelemfast  => \&_is_own_glob,
    multideref => \&_is_own_multideref,
    (map { $_ => \&_has_no_symbolic_name } qw(rv2sv rv2av rv2hv)),
    # To \&{"name"} "strict refs" has no objection.
    rv2cv => \&_names_sub,
);

# Variables that perl keeps in main, whatever the package.
my %IS_OF_PERL = map { $_ => 1 } qw(ENV INC SIG ARGV ARGVOUT STDIN STDOUT STDERR _);

sub is_harmless { return $IS_HARMLESS{ $_[0] } }

# True if a shipment that was just built is pure.
sub is_contained {
    my ($shipment) = @_;
    return 0 if grep { %{ $shipment->{$_} } } qw(modules class_modules alias variables undefined refused);
    return 0 if grep { @{ $shipment->{$_} } } qw(classes declared);
    return 0 if !@{ $shipment->{units} } || grep { $_->{unverified} } @{ $shipment->{units} };
    my %own = map { $_->[2] eq 'alias' && _is_plain_name($_->[1]) ? ($_->[1] => 1) : () } $shipment->{slots}->globals;
    my $known = { variables => \%own, subs => $shipment->{declare}, seen => {} };
    return !grep { !_is_sub_contained($known, $_->{cv}) } @{ $shipment->{units} };
}

sub _is_sub_contained {
    my ($known, $cv) = @_;
    return 1 if $known->{seen}{$$cv}++;
    return 0 if !$cv->isa('B::CV') || !${ $cv->ROOT };
    my $is_contained = 1;
    Argon::Code::Analyse::Optree::walk($cv->ROOT, sub {
        my ($op, $parent) = @_;
        return if !$is_contained;
        my $name = $op->name;
        return $is_contained = 0 if Argon::Code::Analyse::StatefulOps::keeps_state($cv, $op, $parent);
        return if $IS_HARMLESS{$name};
        my $look = $IS_HARMLESS_IF{$name};
        $is_contained = 0 if !$look || !$look->($known, $cv, $op, $parent);
    });
    return $is_contained;
}

# "constant" can make one of a reference to anything.
sub _is_plain_constant {
    my ($known, $cv, $op) = @_;
    my $value = Argon::Code::Analyse::Optree::constant_of($cv, $op);
    return 1 if $value->isa('B::SPECIAL');
    return $value->can('FLAGS') && !($value->FLAGS & B::SVf_ROK()) && ref($value) =~ /\AB::(?:IV|NV|PV|PVIV|PVNV)\z/;
}

sub _is_inner_sub_contained {
    my ($known, $cv, $op) = @_;
    return _is_sub_contained($known, Argon::Code::Analyse::Optree::pad_value($cv, $op->targ));
}

# A sub that is named is judged where the name stands. A reference to code can only be to some in here, but a string could
# name any.
sub _is_known_call {
    my ($known, $cv, $op) = @_;
    return _names_sub($known, $cv, $op) || _is_strict($op);
}

sub _names_sub {
    my ($known, $cv, $op) = @_;
    do { $op = (Argon::Code::Analyse::Optree::kids($op))[-1] or return 0 } while $op->name eq 'null';
    return $op->name eq 'gv';
}

# Under "strict refs" a string is not the name of a variable.
sub _has_no_symbolic_name {
    my ($known, $cv, $op) = @_;
    return $op->first->name eq 'gv' || _is_strict($op);
}

sub _is_strict { return $_[0]->private & 2 }

# A pattern that runs code, or calls a sub for a property of characters, is not plain. Those put together at run time stand
# below "regcomp", which is on no list.
sub _is_plain_pattern {
    my ($known, $cv, $op) = @_;
    my $pattern = $op->precomp;
    return defined $pattern && $pattern !~ /\(\?\??\{|\(\*|\\[pPN]/;
}

sub _is_plain_split {
    my ($known, $cv, $op) = @_;
    # Before perl 5.26 the array that it fills is hidden in the pattern.
    my $assigns = B->can('OPpSPLIT_ASSIGN') or return 0;
    return 0 if $op->private & $assigns->() && !($op->private & B::OPpSPLIT_LEX());
    return _is_plain_pattern($known, $cv, $op);
}

# The subs and package variables that travel along; the arguments, $_, $@ and the groups of a match.
sub _is_own_glob {
    my ($known, $cv, $op, $parent) = @_;
    return _is_own($known, Argon::Code::Analyse::Optree::glob_of($cv, $op), _slot($op, $parent));
}

sub _slot {
    my ($op, $parent) = @_;
    # for (@list) names its variable so.
    return 'SCALAR' if $parent && $parent->name eq 'enteriter';
    my $at = $op->name ne 'gv' ? $op->name : !$parent ? q{} : $parent->name eq 'null' ? substr(B::ppname($parent->targ), 3) : $parent->name;
    return Argon::Code::Analyse::Optree::SLOT_OF_PARENT->{$at} || q{};
}

sub _is_own {
    my ($known, $glob, $slot) = @_;
    my ($package, $name) = ref $glob && $$glob ? Argon::Code::Analyse::Optree::glob_name($glob) : ();
    return 0 if !defined $name;
    my $full = "${package}::$name";
    return exists $known->{subs}{$full} if $slot eq 'CODE';
    return 1 if $slot eq 'SCALAR' && $full =~ /\Amain::(?:[_\@]|[1-9]\d*)\z/ || $slot eq 'ARRAY' && $full eq 'main::_';
    return ($slot eq 'SCALAR' || $slot eq 'ARRAY' || $slot eq 'HASH') && $known->{variables}{$full};
}

# Of its actions, those that begin at an array or a hash need no reference, and so no "strict refs".
my %NEEDS_NO_REFERENCE = map { $_ => 1 } 0, 5, 6, 12, 13;

sub _is_own_multideref {
    my ($known, $cv, $op) = @_;
    for my $item (Argon::Code::Analyse::Optree::multideref_items($cv, $op)) {
        my ($kind, @what) = @{$item};
        return 0 if $kind eq 'action' && !$NEEDS_NO_REFERENCE{ $what[0] & 0xf } && !_is_strict($op);
        return 0 if $kind eq 'glob' && !_is_own($known, @what);
    }
    return 1;
}

sub _is_plain_name {
    my ($full) = @_;
    my ($name) = $full =~ /\A\w+(?:::\w+)*::([A-Za-z_]\w*)\z/;
    return defined $name && !$IS_OF_PERL{$name};
}

1;
