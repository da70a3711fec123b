package Argon::Code::Analyse::StatefulOps;

# Which code keeps something in its own operations from one run to the next: a range in scalar context, m?once?, a position
# in a constant, an unfinished glob, a variable whose "my" is skipped. Closures that perl makes anew share these operations, so
# such code is compiled anew for each call (see Argon::Code::Receive), and is never "contained".

use strict;
use warnings;

use B ();
use Argon::Code::Analyse::Optree ();

my %IS_RANGE = map { $_ => 1 } qw(range flip flop);

# True if one of the units of a shipment keeps state.
sub is_kept {
    my ($shipment) = @_;
    my %seen;
    return scalar grep { _keeps($_->{cv}, \%seen) } @{ $shipment->{units} };
}

sub _keeps {
    my ($cv, $seen) = @_;
    return 0 if $seen->{$$cv}++ || !$cv->isa('B::CV') || !${ $cv->ROOT };
    my $is_kept = 0;
    Argon::Code::Analyse::Optree::walk($cv->ROOT, sub {
        my ($op, $parent) = @_;
        $is_kept ||= keeps_state($cv, $op, $parent);
        $is_kept ||= _keeps(Argon::Code::Analyse::Optree::pad_value($cv, $op->targ), $seen) if $op->name eq 'anoncode';
    });
    return $is_kept;
}

# True if the operation itself keeps state after it has run.
sub keeps_state {
    my ($cv, $op, $parent) = @_;
    my $name = $op->name;
    # In list context a range has no state; which context a sub has is known only when it is called.
    return !_is_wanted_as_list($op) if $IS_RANGE{$name};
    # glob ends, and starts afresh, only when it has given all.
    return !_is_wanted_as_list($op) if $name eq 'glob';
    if ($op->isa('B::PMOP')) {
        return 1 if $op->pmflags & B::PMf_ONCE();
        # The position in a constant stays with the constant.
        return $op->pmflags & B::PMf_GLOBAL() && $name eq 'match' && grep { $_->name eq 'const' } Argon::Code::Analyse::Optree::kids($op);
    }
    # "my $x if ...": the variable is not cleared after a run that skipped "my".
    return 1 if $name =~ /\A(?:and|or|dor|cond_expr)\z/ && grep { _declares($_) } (Argon::Code::Analyse::Optree::kids($op))[1 .. 2];
    return 0;
}

sub _is_wanted_as_list { return ($_[0]->flags & B::OPf_WANT()) == B::OPf_WANT_LIST() }

sub _declares {
    my ($op) = @_;
    return 0 if !$op || !$$op;
    my $name = $op->name;
    return $op->private & B::OPpLVAL_INTRO() if $name =~ /\Apad[sah]v\z/;
    return $name =~ /\A(?:null|list|s?assign|padsv_store)\z/ && ($name eq 'padsv_store' && $op->private & B::OPpLVAL_INTRO() || grep { _declares($_) } Argon::Code::Analyse::Optree::kids($op));
}

1;
