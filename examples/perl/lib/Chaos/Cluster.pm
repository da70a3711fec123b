package Chaos::Cluster;

# Owns the processes of the show: a manager with a store on disk, workers, clients; and how to start each again.

use strict;
use warnings;

use Time::HiRes qw(time);

use Chaos::Process;

# A worker that is asked to leave also waits for outcomes to be taken, and here their clients may be dead.
use constant DRAIN_SECONDS => 5;

# folder, argon, library, workers, slots, clients, tasks, work: seconds that a task takes on average.
sub new {
    my ($class, %given) = @_;
    my $self = bless {%given}, $class;
    $self->{manager} = Chaos::Process->new(
        name    => 'manager',
        folder  => $self->{folder},
        ready   => 1,
        command => sub { return $self->manager_command },
    );
    $self->{workers} = [map { $self->worker($_) } 1 .. $self->{workers}];
    $self->{clients} = [map { $self->client($_) } 1 .. $self->{clients}];
    return $self;
}

sub manager { return $_[0]{manager} }
sub workers { return @{ $_[0]{workers} } }
sub clients { return @{ $_[0]{clients} } }
sub all     { my ($self) = @_; return ($self->manager, $self->workers, $self->clients) }
sub slots   { return $_[0]{slots} }

# Starts the manager, learns its port, starts the workers. The clients are started by whoever has looked around first.
sub start {
    my ($self) = @_;
    $self->manager->start;
    $self->wait_until('the manager is ready', 20, sub { return $self->manager->state eq 'up' });
    ($self->{address}) = $self->manager->ready_line =~ /\baddr=(\S+)/;
    $_->start for $self->workers;
    $self->wait_until('the workers are ready', 20, sub { return $self->workers_are_up });
    return;
}

sub workers_are_up {
    my ($self) = @_;
    return !grep { $_->state ne 'up' } $self->workers;
}

# Looks after everybody until the condition holds; dies with the logs if it takes too long.
sub wait_until {
    my ($self, $what, $seconds, $condition) = @_;
    my $until = time + $seconds;
    until ($condition->()) {
        for my $process (grep { $_->pid } $self->all) {
            my $status = $process->look;
            die $process->name, " ended ($status): ", $process->last_words if $status;
        }
        die "it took more than $seconds s until $what\n" if time > $until;
        select undef, undef, undef, 0.02;
    }
    return;
}

# Ends everybody; returns the names of those who had to be killed.
sub end {
    my ($self) = @_;
    return map { $_->name } grep { !$_->end(15) } reverse $self->all;
}

sub manager_command {
    my ($self) = @_;
    my ($port) = ($self->{address} // ':0') =~ /:(\d+)\z/;
    my $folder = $self->{folder};
    return ($self->{argon}, 'manager', '--port', $port, '--store', "$folder/store", '--key', "$folder/key");
}

sub worker {
    my ($self, $number) = @_;
    my $folder = $self->{folder};
    return Chaos::Process->new(
        name    => "worker-$number",
        folder  => $folder,
        ready   => 1,
        command => sub {
            return ($self->{argon}, 'worker', '--port', 0, '--manager', $self->{address}, '--workers', $self->{slots},
                '--drain-limit', DRAIN_SECONDS, '--key', "$folder/key");
        },
    );
}

# Every second client hands its tasks over for good: they outlive it.
sub client {
    my ($self, $number) = @_;
    my $kind = $number % 2 ? 'attached' : 'detached';
    my $name = "client-$number";
    return Chaos::Process->new(
        name    => $name,
        folder  => $self->{folder},
        command => sub {
            return ($^X, (map {"-I$_"} @{ $self->{library} }), '-MChaos::Client', '-e', 'Chaos::Client::run(@ARGV)',
                $self->{folder}, $self->{address}, $name, $kind, $number, scalar @{ $self->{clients} }, $self->{tasks},
                $self->{work});
        },
    );
}

1;
