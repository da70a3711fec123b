package Argon::Client::Loop;

# Owns driving a session from an event loop: it watches the handle that the session wants watched, keeps one timer for what
# is due, and calls tick when either fires. While nothing is unfinished it watches nothing, so that a loop can end. Each
# framework is a small class below this name, loaded only when it is wanted, with six functions:
#
#   begin_io($handle), set_write($handle, $on), end_io($handle)   reading is always watched, writing on request
#   begin_timer($seconds), end_timer                              one timer, once
#   soon($code)                                                   calls the code when the loop turns next
#
# They call ready when the handle can be read or written, and due when the time is over.

use strict;
use warnings;

use Scalar::Util ();
use Time::HiRes  ();

use Argon::Error ();

my %CLASS_OF = (
    'AnyEvent'       => 'Argon::Client::Loop::AnyEvent',
    'IO::Async'      => 'Argon::Client::Loop::IOAsync',
    'IO::Async::Loop' => 'Argon::Client::Loop::IOAsync',
    'Mojo'           => 'Argon::Client::Loop::Mojo',
    'Mojo::IOLoop'   => 'Argon::Client::Loop::Mojo',
);

# The adapter for a framework's name, or for a loop of IO::Async or Mojolicious itself.
sub of {
    my ($wanted, $session) = @_;
    my $name
        = !Scalar::Util::blessed($wanted) ? $wanted
        : $wanted->isa('IO::Async::Loop') ? 'IO::Async'
        : $wanted->isa('Mojo::IOLoop')    ? 'Mojo'
        :                                   ref $wanted;
    my $class = $CLASS_OF{$name}
        or die Argon::Error->new(kind => 'option',
        message => "Argon::Client: there is no event loop '$name'; known are AnyEvent, IO::Async and Mojo");
    (my $file = "$class.pm") =~ s{::}{/}g;
    require $file;
    return $class->new($session, ref $wanted ? $wanted : undef);
}

# Adapters for the frameworks that the program has loaded and begun to use. More than one does no harm.
sub of_loaded {
    my ($session) = @_;
    $session->attach('AnyEvent')  if $INC{'AnyEvent.pm'};
    no warnings 'once';
    $session->attach('IO::Async') if $INC{'IO/Async/Loop.pm'} && $IO::Async::Loop::ONE_TRUE_LOOP;
    $session->attach('Mojo')      if $INC{'Mojo/IOLoop.pm'};
    return;
}

sub new {
    my ($class, $session, $engine) = @_;
    my $self = bless { session => $session, engine => $engine, process => $$, handle => undef, write => 0, timer_at => undef },
        $class;
    Scalar::Util::weaken($self->{session});
    $self->start;
    return $self;
}

# For a class that has to prepare something.
sub start { return }

# True if watching may begin now.
sub is_ready { return 1 }

# Lends the slot of the session's task as soon as the loop turns, and until the next tick. Other work of the loop
# meanwhile counts as waiting.
sub _lend_soon {
    my ($self, $session) = @_;
    return if $self->{is_lending} || $session->{loop_lends} || !$session->{link} || !$session->unfinished;
    $self->{is_lending} = 1;
    Scalar::Util::weaken(my $weak = $self);
    $self->soon(sub {
        $weak or return;
        $weak->{is_lending} = 0;
        $weak->{session}->lend_to_loop if $weak->{session};
    });
    return;
}

# Makes what is watched what the session wishes.
sub update {
    my ($self) = @_;
    my $session = $self->{session} or return;
    return if !$self->is_ready;
    $self->_lend_soon($session) if $session->{task};
    my ($handle, $write, $deadline) = $session->wishes;
    $self->release if $self->{handle} && (!$handle || $self->{handle} != $handle);
    if ($handle) {
        $self->begin_io($self->{handle} = $handle) if !$self->{handle};
        $self->set_write($handle, $self->{write} = $write) if !!$write ne !!$self->{write};
    }
    return $self->_end_timer if !defined $deadline;
    return if defined $self->{timer_at} && $self->{timer_at} <= $deadline;
    $self->_end_timer;
    my $seconds = $deadline - Time::HiRes::time();
    $self->begin_timer($seconds > 0 ? $seconds : 0);
    $self->{timer_at} = $deadline;
    return;
}

# The hot path: a task was put into the buffer.
sub has_more {
    my ($self) = @_;
    return if $self->{write} && $self->{handle};
    return $self->update;
}

# Forgets the handle: it is about to be closed.
sub release {
    my ($self) = @_;
    my $handle = $self->{handle} or return;
    $self->set_write($handle, 0) if $self->{write};
    @{$self}{qw(handle write)} = (undef, 0);
    return $self->end_io($handle);
}

sub ready { return $_[0]->_tick }

sub due {
    my ($self) = @_;
    $self->_end_timer;
    return $self->_tick;
}

sub _tick {
    my ($self) = @_;
    # Callbacks may wait, which must not stop the thread that runs the loop.
    return Coro::async_pool(\&_tick_now, $self) if $INC{'Coro.pm'};
    return $self->_tick_now;
}

sub _tick_now {
    my ($self) = @_;
    my $session = $self->{session} or return;
    return if $session->{process} != $$;
    $session->{loop_lends} = undef;
    return $session->tick;
}

sub _end_timer {
    my ($self) = @_;
    return if !defined $self->{timer_at};
    $self->{timer_at} = undef;
    return $self->end_timer;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{process} != $$ || ${^GLOBAL_PHASE} eq 'DESTRUCT';
    local ($@, $!);
    eval { $self->release; $self->_end_timer; 1 } or return;
    return;
}

1;
