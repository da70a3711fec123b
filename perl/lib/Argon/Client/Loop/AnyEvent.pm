package Argon::Client::Loop::AnyEvent;

# Owns watching in AnyEvent's loop, whichever that is, and the condition variables of deferreds.

use strict;
use warnings;

use AnyEvent     ();
use Scalar::Util ();

use parent -norequire, 'Argon::Client::Loop';

# AnyEvent chooses its loop when it is first used; to watch earlier would choose for the program.
sub start {
    my ($self) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{detected} = 0;
    $self->{guard} = AnyEvent::post_detect(sub { $weak->{detected} = 1; $weak->update if $weak->{session} });
    return;
}

sub is_ready { return $_[0]{detected} }

sub begin_io {
    my ($self, $handle) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{reading} = AnyEvent->io(fh => $handle, poll => 'r', cb => sub { $weak && $weak->ready });
    return;
}

sub set_write {
    my ($self, $handle, $on) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{writing} = $on ? AnyEvent->io(fh => $handle, poll => 'w', cb => sub { $weak && $weak->ready }) : undef;
    return;
}

sub end_io {
    my ($self) = @_;
    @{$self}{qw(reading writing)} = ();
    return;
}

sub begin_timer {
    my ($self, $seconds) = @_;
    Scalar::Util::weaken(my $weak = $self);
    AnyEvent->now_update;
    $self->{timer} = AnyEvent->timer(after => $seconds, cb => sub { $weak && $weak->due });
    return;
}

sub end_timer {
    my ($self) = @_;
    $self->{timer} = undef;
    return;
}

sub soon {
    my ($self, $code) = @_;
    AnyEvent::postpone { $code->() };
    return;
}

# A condition variable that gets what the task gives.
sub condvar {
    my ($deferred, $place) = @_;
    my $condvar = bless AnyEvent->condvar, 'Argon::Client::Loop::AnyEvent::CondVar';
    $deferred->on_outcome($place, sub { $condvar->send(@_) }, sub { $condvar->fail($_[0]) });
    return $condvar;
}

package Argon::Client::Loop::AnyEvent::CondVar;

# croak of AnyEvent adds a place to every text: this one throws what the task threw, as it was.

our @ISA = ('AnyEvent::CondVar');

sub fail {
    my ($self, $error) = @_;
    $self->{argon_error} = [$error];
    return $self->croak('the task failed');
}

sub recv {
    my ($self) = @_;
    my ($wants_list, @values) = (wantarray);
    my $ok = eval {
        if ($wants_list) { @values = $self->SUPER::recv }
        else           { $values[0] = $self->SUPER::recv }
        1;
    };
    if (!$ok) { die $self->{argon_error} ? $self->{argon_error}[0] : $@ }
    return $wants_list ? @values : $values[0];
}

1;
