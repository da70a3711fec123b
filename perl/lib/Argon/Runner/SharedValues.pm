package Argon::Runner::SharedValues;

# Owns the shared values of tasks: their bytes by hash, up to a limit, and what each task sees of them. Every task gets
# values of its own, except those that are read-only: they are built once and locked. Argon::Runner calls it.

use strict;
use warnings;

use Scalar::Util ();

use Argon::Data ();

# The values not used for longest are dropped when all take more, but for those of the task that runs.
our $BYTES_MAX = 134_217_728;

sub new {
    my ($class) = @_;
    return bless { bytes => {}, used => {}, uses => 0, total => 0, locked => {}, in_task => {} }, $class;
}

sub has {
    my ($self, $hash) = @_;
    return exists $self->{bytes}{$hash};
}

sub keep {
    my ($self, $hash, $bytes) = @_;
    $self->{bytes}{$hash} = ${$bytes};
    $self->{total} += length ${$bytes};
    $self->{used}{$hash} = ++$self->{uses};
    return;
}

# The hashes that the task which is about to run names; all of them are here.
sub begin_task {
    my ($self, @hashes) = @_;
    $self->{used}{$_} = ++$self->{uses} for @hashes;
    return if $self->{total} <= $BYTES_MAX;
    my %needed = map { $_ => 1 } @hashes;
    for my $hash (sort { $self->{used}{$a} <=> $self->{used}{$b} } grep { !$needed{$_} } keys %{ $self->{bytes} }) {
        $self->{total} -= length delete $self->{bytes}{$hash};
        delete $self->{$_}{$hash} for qw(used locked);
        last if $self->{total} <= $BYTES_MAX;
    }
    return;
}

# The value, the same one wherever it stands in one task.
sub value {
    my ($self, $hash, $is_read_only) = @_;
    die "a shared value is not among those that the task names\n" if !exists $self->{bytes}{$hash};
    return $self->_locked($hash) if $is_read_only;
    return ${ $self->{in_task}{$hash} ||= \Argon::Data::decode($self->{bytes}{$hash})->[0] };
}

sub end_task {
    my ($self) = @_;
    $self->{in_task} = {} if %{ $self->{in_task} };
    return;
}

sub _locked {
    my ($self, $hash) = @_;
    my $entry = $self->{locked}{$hash} ||= do {
        my $list = Argon::Data::decode($self->{bytes}{$hash});
        { value => \$list->[0], hashes => _lock($list->[0]) };
    };
    # Resets the iterators, which an earlier task may have left in the middle.
    keys %{$_} for @{ $entry->{hashes} };
    return ${ $entry->{value} };
}

# Makes everything below the reference read-only; returns the hashes found.
sub _lock {
    my ($top) = @_;
    my (@hashes, %seen);
    my @todo = ref $top ? $top : ();
    while (defined(my $reference = pop @todo)) {
        next if $seen{ Scalar::Util::refaddr($reference) }++;
        my $type = Scalar::Util::reftype($reference);
        my @elements
            = $type eq 'ARRAY' ? map { \$_ } @{$reference}
            : $type eq 'HASH'  ? map { \$_ } values %{$reference}
            : $type eq 'SCALAR' || $type eq 'REF' ? $reference
            :                                       ();
        Internals::SvREADONLY(${$_}, 1) for @elements;
        push @todo, map { ref ${$_} ? ${$_} : () } @elements;
        if ($type eq 'ARRAY') { Internals::SvREADONLY(@{$reference}, 1) }
        if ($type eq 'HASH') {
            Internals::SvREADONLY(%{$reference}, 1);
            push @hashes, $reference;
        }
    }
    return \@hashes;
}

1;
