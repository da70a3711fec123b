package Argon::Client::Wait::Leaving;

# Owns the end of a wait, for whatever reason. If that is not the outcome, but an exception, a loop that is
# left or a thread that is ended, the task is cancelled: at once if no one else can ask for it, with the handle on it
# (an Argon::Deferred) if there is one. Under Coro another thread may have to take over the socket.

use strict;
use warnings;

use Argon::Client::Session::TaskRecord qw(:all);

# [session, record, way of waiting, handle]; the record may come later.
sub new { my ($class, @fields) = @_; return bless \@fields, $class }

# Someone waits for the record again.
sub forget { $_[0][1] = undef; return }

sub DESTROY {
    my ($session, $record, $wait, $handle) = @{ $_[0] };
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    $wait->hand_over if $wait;
    return if !$record || $record->[TASK_DONE];
    local ($@, $!, $?);
    $record->[TASK_WAITERS]-- if $record->[TASK_WAITERS];
    return $handle->left(__PACKAGE__->new($session, $record)) if $handle;
    eval { $session->left($record); 1 } or warn "A task that no one waits for could not be cancelled: $@";
    return;
}

1;
