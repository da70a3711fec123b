package Argon::Client::Session::Interrupt;

# Owns the signals that end a program which waits for tasks: INT, TERM and HUP, where the program leaves them as they are. While it
# waits, such a signal first says goodbye to the managers, so that what was asked for does not go on, and then ends the
# program as it would have ended without Argon. A handler of the program's own is never touched.

use strict;
use warnings;

use Argon::Client::Session::Lifetime ();

my @NAMES = qw(INT TERM HUP);

# Number of current waits; under Coro there may be several.
my $waiting = 0;

# By name, what was there before: undef or DEFAULT.
my %before;

sub new {
    my ($class) = @_;
    # Only the first thread of ithreads gets signals.
    return if $INC{'threads.pm'} && threads->tid;
    _install() if !$waiting++;
    return bless [$$], $class;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->[0] != $$ || --$waiting;
    for my $name (keys %before) {
        next if !ref $SIG{$name} || $SIG{$name} != \&_on_signal;
        if   (defined $before{$name}) { $SIG{$name} = 'DEFAULT' }
        else                          { delete $SIG{$name} }
    }
    %before = ();
    return;
}

sub _install {
    for my $name (@NAMES) {
        my $now = $SIG{$name};
        next if defined $now && (ref $now || length $now && $now ne 'DEFAULT');
        $before{$name} = $now;
        $SIG{$name}    = \&_on_signal;
    }
    return;
}

sub _on_signal {
    my ($name) = @_;
    for my $session (Argon::Client::Session::Lifetime::all_sessions()) {
        next if $session->{on_interrupt} eq 'leave';
        eval { $session->say_goodbye("the client got the signal $name") };
    }
    # The signal is blocked until this handler returns.
    $SIG{$name} = 'DEFAULT';
    kill $name => $$;
    return;
}

1;
