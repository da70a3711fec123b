package Chaos::Faults;

# Owns the bad luck: which fault comes when, drawn from the seed, and what it hits. The same seed gives the same faults at
# the same moments; what they hit then depends on how far everybody has got.

use strict;
use warnings;

use Time::HiRes qw(time);

# Kind, weight, and whether it is gentle: nobody is lost who had begun something, so that nothing may run again. A worker's
# loss may make run again what it had started, a client's loss what it had under way.
my @KINDS = (
    ['worker killed',    3, 0],
    ['worker frozen',    2, 1],
    ['worker sent home', 1, 0],
    ['manager killed',   2, 1],
    ['manager frozen',   1, 1],
    ['client killed',    2, 0],
    ['client frozen',    1, 1],
    ['runner killed',    2, 0],
);

# seed; cluster; ledger; gap, seconds between two faults on average; long, whether a freeze may outlast the manager's patience;
# gentle.
sub new {
    my ($class, %fields) = @_;
    my $self = bless { %fields, counts => {}, last => [], lost => {}, client_kills => {}, state => $fields{seed} % 2_147_483_647 || 1 }, $class;
    $self->{kinds} = [grep { $_->[2] || !$self->{gentle} } @KINDS];
    $self->_draw;
    return $self;
}

sub counts { return %{ $_[0]{counts} } }
sub last   { return @{ $_[0]{last} } }

# What the faults explain: the processes of workers and runners whose runs may have come to nothing, and how often each
# client was killed.
sub lost         { return %{ $_[0]{lost} } }
sub client_kills { return %{ $_[0]{client_kills} } }

sub injected {
    my ($self) = @_;
    my $all = 0;
    $all += $_ for values %{ $self->{counts} };
    return $all;
}

# Injects what is due; returns its description, if any.
sub look {
    my ($self, $elapsed) = @_;
    return if $elapsed < $self->{next}{at};
    my $fault = $self->{next};
    $self->_draw;
    my $text = $self->_inject($fault) // return;
    $self->{counts}{ $fault->{kind} }++;
    $self->{counts}{'worker frozen for long'}++ if $fault->{kind} eq 'worker frozen' && $fault->{is_long};
    my $line = sprintf '%6.1f s  %s', $elapsed, $text;
    push @{ $self->{last} }, $line;
    return $line;
}

# All draws of a fault are made here, whatever becomes of it, so that the next one is the same in every run of the seed.
sub _draw {
    my ($self) = @_;
    my $pick = int $self->_chance(_sum(map { $_->[1] } @{ $self->{kinds} }));
    my $kind;
    for (@{ $self->{kinds} }) {
        $kind = $_->[0];
        last if ($pick -= $_->[1]) < 0;
    }
    my $at = ($self->{next} ? $self->{next}{at} : 0) + $self->{gap} * (0.3 + $self->_chance(1.4));
    my ($target, $frozen, $down, $long) = ($self->_chance(1), 0.3 + $self->_chance(2.5), 0.1 + $self->_chance(1.0), $self->_chance(1));
    my $is_long = $self->{long} && $long < 0.2;
    $frozen = 16 + $self->_chance(4) if $is_long && $kind eq 'worker frozen';
    $self->{next} = { kind => $kind, at => $at, target => $target, frozen => $frozen, down => $down, is_long => $is_long };
    return;
}

sub _inject {
    my ($self, $fault) = @_;
    my ($role, $deed) = split q{ }, $fault->{kind}, 2;
    return $self->_kill_runner if $role eq 'runner';
    my @candidates = grep { $_->state eq 'up' }
        $role eq 'worker' ? $self->{cluster}->workers : $role eq 'client' ? $self->{cluster}->clients : $self->{cluster}->manager;
    return if !@candidates;
    my $victim = $candidates[int($fault->{target} * @candidates)];
    $self->{lost}{ $victim->pid } = 1 if $role eq 'worker' && ($deed ne 'frozen' || $fault->{is_long});
    $self->{client_kills}{ $victim->name }++ if $role eq 'client' && $deed eq 'killed';
    if ($deed eq 'killed') {
        $victim->kill_for($fault->{down});
        return sprintf '%s killed, back in %.1f s', $victim->name, $fault->{down};
    }
    if ($deed eq 'frozen') {
        $victim->freeze_for($fault->{frozen});
        return sprintf '%s frozen for %.1f s', $victim->name, $fault->{frozen};
    }
    $victim->dismiss_for($fault->{down});
    return $victim->name . ' asked to finish and leave';
}

# The runner that spoke last, if a worker that is up still is its parent.
sub _kill_runner {
    my ($self) = @_;
    my $pid = $self->{ledger}->last_runner // return;
    my %worker = map { $_->pid => $_->name } grep { $_->state eq 'up' } $self->{cluster}->workers;
    my $name = $worker{ parent_of($pid) // 0 } // return;
    kill 'KILL', $pid;
    $self->{lost}{$pid} = 1;
    return "a runner of $name killed";
}

sub parent_of {
    my ($pid) = @_;
    open my $status, '<', "/proc/$pid/status" or return;
    my ($parent) = map { /\APPid:\s+(\d+)/ ? $1 : () } <$status>;
    return $parent;
}

# A number below $below: the generator of Lehmer, as good as this needs and the same in every perl.
sub _chance {
    my ($self, $below) = @_;
    $self->{state} = $self->{state} * 48_271 % 2_147_483_647;
    return $self->{state} / 2_147_483_647 * $below;
}

sub _sum { my $sum = 0; $sum += $_ for @_; return $sum }

1;
