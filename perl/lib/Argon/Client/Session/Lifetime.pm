package Argon::Client::Session::Lifetime;

# Owns how a session ends: with a goodbye, in a forked child and in a new thread. It is a part of Argon::Client::Session, whose
# fields it uses.

use strict;
use warnings;

use Scalar::Util ();
use Time::HiRes  ();

use Argon::Client::Session::TaskRecord qw(TASK_CALLBACKS);
use Argon::Protocol qw(:all);

my $GOODBYE_S = 1;

# Of a session that a thread got from the one that made it; no process has this number.
my $OF_ANOTHER_THREAD = -1;

# Of a session that an earlier task of this process had.
my $OF_EARLIER_TASK = -2;

# By address, the sessions of this process.
my %session;

sub register {
    my ($self) = @_;
    Scalar::Util::weaken($session{ Scalar::Util::refaddr($self) } = $self);
    return;
}

sub unregister {
    my ($self) = @_;
    delete $session{ Scalar::Util::refaddr($self) };
    return;
}

# Perl calls it in a new thread, which has a copy of each session and of its socket.
sub CLONE {
    my @sessions = grep {defined} values %session;
    %session = ();
    for my $self (@sessions) {
        $self->register;
        $_->{process} = $OF_ANOTHER_THREAD for $self, @{ $self->{loops} || [] };
    }
    return;
}

# The sessions that belong to this process, for an interrupt that ends it.
sub all_sessions { return grep { defined && $_->{process} == $$ } values %session }

# A forked child or a new thread has none of the tasks that it got a copy of, and must not speak on that connection: it begins
# anew.
sub begin_after_fork {
    my ($self) = @_;
    my $owner
        = $self->{process} == $OF_ANOTHER_THREAD
        ? 'the thread that made it before this one was started'
        : $self->{process} == $OF_EARLIER_TASK ? 'an earlier task'
        : "the process $self->{process}, which made it before this one was forked";
    @{$self}{qw(loops loop_of)} = (undef, {});
    $self->{link}->close if $self->{link};
    my $closed = $self->{closed};
    $self->_end_all(lost => "the task belongs to $owner");
    $self->_begin;
    $self->{connections} = 0;
    $self->{closed} = $closed;
    $self->{reconnect}->restart;
    return;
}

# Says goodbye: the manager cancels what is unfinished. Everything that still waits here ends as cancelled.
sub close {
    my ($self) = @_;
    return if $self->{closed};
    $self->say_goodbye('the client is done');
    my $link = $self->{link};
    $self->release_loops;
    $link->close if $link;
    $self->{link}   = undef;
    $self->{closed} = 1;
    $self->_end_all(cancelled => 'the client was shut down before the task ended');
    return;
}

# The task that this session is in is over. Nobody is called back: the task's own code must not run any more. The next task that
# uses the client gets a session of its own.
sub end_with_task {
    my ($self) = @_;
    return if $self->{closed};
    $_->[TASK_CALLBACKS] = undef for values %{ $self->{journal} }, values %{ $self->{requests} };
    $self->say_goodbye('the task of the client is over');
    $self->release_loops;
    $self->{link}->close if $self->{link};
    $self->{link} = undef;
    $self->_end_all(cancelled => 'the task that made it is over');
    $self->{process} = $OF_EARLIER_TASK;
    return;
}

# Only sends GOODBYE; callers that wait here are about to end.
sub say_goodbye {
    my ($self, $reason) = @_;
    my $link = $self->{link} or return;
    return if $self->{process} != $$;
    my $end = Time::HiRes::time() + $GOODBYE_S;
    $self->flush;
    $link->send_frame(GOODBYE, qq({"reason":"$reason"}));
    while (!$link->flush && !$link->broken && Time::HiRes::time() < $end) {
        my $writable = q{};
        vec($writable, fileno $link->handle, 1) = 1;
        select undef, $writable, undef, $end - Time::HiRes::time();
    }
    return;
}

1;
