package Argon::Client::Wait::Threads;

# Owns waiting under Coro: one thread has the socket and waits for it, the others are parked until their own outcome is
# there or the socket is free. With AnyEvent loaded the waiting is AnyEvent's; without it, select between turns of the
# other threads.

use strict;
use warnings;

use Coro        ();
use Time::HiRes ();

use Argon::Client::Session::TaskRecord qw(TASK_THREADS);

my %parked;       # address of a thread => the thread
my %interrupt;    # address of a thread that has a socket => what ends its wait. Not a variable to localise: threads do not end in order

my $POLL_S = 0.01;

sub io {
    my ($class, $handle, $want_write, $seconds) = @_;
    return _io_by_select($handle, $want_write, $seconds) if !$INC{'AnyEvent.pm'};
    require Coro::AnyEvent;
    my $rouse = Coro::rouse_cb();
    my $end_of_wait = _interruptible($rouse);
    my @watch = (AnyEvent->io(fh => $handle, poll => 'r', cb => sub { $rouse->(1) }));
    push @watch, AnyEvent->io(fh => $handle, poll => 'w', cb => sub { $rouse->(1) }) if $want_write;
    push @watch, AnyEvent->timer(after => $seconds, cb => sub { $rouse->(0) }) if defined $seconds;
    return Coro::rouse_wait($rouse);
}

sub pause {
    my ($class, $seconds) = @_;
    if ($INC{'AnyEvent.pm'}) {
        require Coro::AnyEvent;
        return Coro::AnyEvent::sleep($seconds);
    }
    my $end = Time::HiRes::time() + $seconds;
    while ((my $left = $end - Time::HiRes::time()) > 0) {
        Coro::cede();
        Time::HiRes::sleep($left < $POLL_S ? $left : $POLL_S) if !Coro::nready();
    }
    return;
}

sub parks { return 1 }

sub park {
    my ($class, $record) = @_;
    my $thread = $Coro::current;
    push @{ $record->[TASK_THREADS] }, $thread;
    $parked{ $thread + 0 } = $thread;
    # A thread that is cancelled, or has an exception thrown into it, does not come back from there.
    my $forget = bless [$record, $thread], 'Argon::Client::Wait::Threads::Parked';
    Coro::schedule();
    return;
}

sub Argon::Client::Wait::Threads::Parked::DESTROY {
    my ($record, $thread) = @{ $_[0] };
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    delete $parked{ $thread + 0 };
    my @others = grep { $_ != $thread } @{ $record->[TASK_THREADS] || [] };
    $record->[TASK_THREADS] = @others ? \@others : undef;
    return;
}

sub wake {
    my ($class, $record) = @_;
    my $threads = $record->[TASK_THREADS] || [];
    $record->[TASK_THREADS] = undef;
    for my $thread (@{$threads}) {
        delete $parked{ $thread + 0 };
        $thread->ready;
    }
    return;
}

sub hand_over {
    my ($address) = keys %parked or return;
    my $thread = delete $parked{$address};
    $thread->ready;
    return;
}

sub interrupt {
    $_->(0) for values %interrupt;
    return;
}

sub _interruptible {
    my ($code) = @_;
    my $address = $Coro::current + 0;
    $interrupt{$address} = $code;
    return bless \$address, 'Argon::Client::Wait::Threads::Interruptible';
}

sub Argon::Client::Wait::Threads::Interruptible::DESTROY { delete $interrupt{ ${ $_[0] } }; return }

# Without an event loop only other ready threads, or our socket, can change anything.
sub _io_by_select {
    my ($handle, $want_write, $seconds) = @_;
    my $end = defined $seconds ? Time::HiRes::time() + $seconds : undef;
    my $stopped = 0;
    my $end_of_wait = _interruptible(sub { $stopped = 1 });
    while (!$stopped) {
        my $left = defined $end ? $end - Time::HiRes::time() : undef;
        $left = 0 if Coro::nready() || defined $left && $left < 0;
        my $readable = q{};
        vec($readable, fileno $handle, 1) = 1;
        my $writable = $want_write ? $readable : undef;
        my $found = select $readable, $writable, undef, $left;
        return $found if $found || defined $end && Time::HiRes::time() >= $end;
        Coro::cede();
    }
    return 0;
}

1;
