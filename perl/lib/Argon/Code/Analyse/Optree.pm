package Argon::Code::Analyse::Optree;

# Reads compiled code: walks the operations of one sub and answers what each of
# them holds (a glob, a constant, a variable of the pad).
#
# Owns the knowledge of how perl lays out its op tree, through B and nothing
# else. Decides nothing: Dependencies finds the needs of a sub with it, Fingerprint compares
# two subs with it.

use strict;
use warnings;

use B ();

use constant SLOT_OF_PARENT => {
    rv2sv => 'SCALAR', rv2av => 'ARRAY', rv2hv => 'HASH', rv2cv => 'CODE', entersub => 'CODE',
    rv2gv => 'IO', gvsv => 'SCALAR', aelemfast => 'ARRAY',
};

# Calls $visit->($op, $parent_op_or_undef, $name) for every operation, parents first.
sub walk {
    my ($root, $visit) = @_;
    my @todo = ([$root, undef]);
    while (my $next = pop @todo) {
        my ($op, $parent) = @$next;
        $visit->($op, $parent);
        my @kids = map { [$_, $op] } kids($op);
        push @todo, reverse @kids;
    }
    return;
}

# The operations right below this one, in order. A code block inside a regular
# expression hangs on its match operation in a place of its own.
sub kids {
    my ($op) = @_;
    my @kids;
    if ($op->flags & B::OPf_KIDS()) {
        for (my $kid = $op->first; $$kid; $kid = $kid->sibling) { push @kids, $kid }
    }
    if ($op->isa('B::PMOP')) {
        if ($op->name eq 'subst') {
            my $replacement = $op->pmreplroot;
            push @kids, $replacement
                if ref $replacement && $replacement->isa('B::OP') && $$replacement && $$replacement != $$op;
        }
        my $blocks = $op->can('code_list') ? $op->code_list : undef;
        push @kids, $blocks if ref $blocks && $$blocks && !grep { $$_ == $$blocks } @kids;
    }
    return @kids;
}

# The value pads of a sub, as B objects: where perls with threads keep globs and constants.
sub pad_value {
    my ($cv, $index) = @_;
    return $cv->PADLIST->ARRAYelt(1)->ARRAYelt($index);
}

sub pad_name {
    my ($cv, $index) = @_;
    return $cv->PADLIST->ARRAYelt(0)->ARRAYelt($index);
}

# The glob an operation names, as a B::GV; or, since perl 5.22, a B object for a
# reference to code that lives in a stash without a glob of its own.
sub glob_of {
    my ($cv, $op) = @_;
    return $op->isa('B::PADOP') ? pad_value($cv, $op->padix)
         : $op->isa('B::SVOP')  ? $op->gv
         :                        undef;
}

# (package, name) of what glob_of found.
sub glob_name {
    my ($glob) = @_;
    if ($glob->FLAGS & B::SVf_ROK()) {
        my $code = $glob->RV;
        return unless $code->isa('B::CV');
        my $name = $code->can('NAME_HEK') ? $code->NAME_HEK : undef;
        return ($code->STASH->NAME, $name) if defined $name;
        $glob = $code->GV;
    }
    return unless $glob->isa('B::GV') && $glob->STASH->isa('B::HV');
    return ($glob->STASH->NAME, $glob->NAME);
}

# The constant of a const-like operation, as a B object.
sub constant_of {
    my ($cv, $op) = @_;
    my $value = $op->isa('B::METHOP') ? $op->meth_sv : $op->sv;
    $value = pad_value($cv, $op->targ) if !$$value && $op->targ;
    return $value;
}

# Every subs's START is its first operation in running order; for code with
# statements this is the first statement, which knows package, file and pragmas.
sub first_statement {
    my ($cv) = @_;
    my $start = $cv->START;
    return $start if $start->isa('B::COP');
    my $found;
    my $root = $cv->ROOT;
    return undef unless $$root;
    walk($root, sub { $found ||= $_[0] if $_[0]->isa('B::COP') });
    return $found;
}

# Lists what a multideref operation ($x->{a}[1] in one step) touches, in order, as
# [kind, value]: action, lexical (pad index), glob, constant.
sub multideref_items {
    my ($cv, $op) = @_;
    my @items = $op->aux_list($cv);
    my @found;
    my $actions = shift @items;
    while (1) {
        my $action = $actions & 0xf;      # what to do
        my $index  = $actions & 0x30;     # where the subscript comes from
        push @found, [action => $actions & 0x7f];
        if ($action == 0) {               # the actions go on in the next word
            $actions = shift @items;
            next;
        }
        if    ($action == 3 || $action == 5 || $action == 10 || $action == 12) { push @found, [lexical => shift @items] }
        elsif ($action == 2 || $action == 9)  { push @found, [glob => shift @items, 'SCALAR'] }
        elsif ($action == 6)                  { push @found, [glob => shift @items, 'ARRAY'] }
        elsif ($action == 13)                 { push @found, [glob => shift @items, 'HASH'] }
        if    ($index == 0x10) { push @found, [constant => shift @items] }
        elsif ($index == 0x20) { push @found, [lexical => shift @items] }
        elsif ($index == 0x30) { push @found, [glob => shift @items, 'SCALAR'] }
        last if $actions & 0x40 || $index == 0;
        $actions >>= 7;
    }
    return @found;
}

1;
