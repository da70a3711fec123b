package Argon::Client::InTask;

# Owns what a client inside a task needs: the socket of the task's own worker, and proof of the task (spec/protocol.md
# section 9). Both stand in the environment that a worker gives. Argon::Client makes one when no address is given.
# Must not read files: a task needs no key and no address.

use strict;
use warnings;

use Argon::Client::Session::Lifetime ();

my $ID_BYTES     = 24;
my $FAMILY_BYTES = 8;

# The task that this process executes; undef outside of a task.
sub here {
    my ($class) = @_;
    my $self = bless {}, $class;
    return $self->refresh ? $self : undef;
}

# Reads the environment again: a runner executes one task after another.
sub refresh {
    my ($self) = @_;
    my ($socket, $token, $task, $attempt) = @ENV{qw(ARGON_WORKER_SOCKET ARGON_TASK_TOKEN ARGON_TASK_ID ARGON_ATTEMPT)};
    return 0 if grep { !defined || !length } $socket, $token, $task, $attempt;
    return 0 if length $task != 2 * $ID_BYTES || $task =~ /[^0-9a-f]/ || $attempt =~ /\D/;
    @{$self}{qw(socket token task attempt)} = ($socket, $token, $task, $attempt);
    return 1;
}

sub socket_path { return $_[0]{socket} }

# The body of CHILD.
sub proof {
    my ($self) = @_;
    require JSON::PP;
    return JSON::PP->new->utf8->canonical->encode({ token => $self->{token}, task => $self->{task}, attempt => 0 + $self->{attempt} });
}

# The first bytes of a session id: all sessions of a family share them.
sub family { return substr pack('H*', $_[0]{task}), 0, $FAMILY_BYTES }

# Called by the runner when a task is over: the manager cancels what its clients have not waited for.
sub end_task {
    for my $session (Argon::Client::Session::Lifetime::all_sessions()) {
        $session->end_with_task if $session->{task};
    }
    return;
}

1;
