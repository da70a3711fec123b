package Argon::Client::Loop::IOAsync;

# Owns watching in a loop of IO::Async.

use strict;
use warnings;

use IO::Async::Loop ();
use Scalar::Util    ();

use parent -norequire, 'Argon::Client::Loop';

sub start {
    my ($self) = @_;
    $self->{engine} ||= IO::Async::Loop->new;
    return;
}

sub begin_io {
    my ($self, $handle) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{engine}->watch_io(handle => $handle, on_read_ready => sub { $weak && $weak->ready });
    return;
}

sub set_write {
    my ($self, $handle, $on) = @_;
    Scalar::Util::weaken(my $weak = $self);
    if ($on) { $self->{engine}->watch_io(handle => $handle, on_write_ready => sub { $weak && $weak->ready }) }
    else     { $self->{engine}->unwatch_io(handle => $handle, on_write_ready => 1) }
    return;
}

sub end_io {
    my ($self, $handle) = @_;
    $self->{engine}->unwatch_io(handle => $handle, on_read_ready => 1);
    return;
}

sub begin_timer {
    my ($self, $seconds) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{timer} = $self->{engine}->watch_time(after => $seconds, code => sub { $weak or return; $weak->{timer} = undef; $weak->due });
    return;
}

sub end_timer {
    my ($self) = @_;
    my $timer = delete $self->{timer};
    $self->{engine}->unwatch_time($timer) if defined $timer;
    return;
}

sub soon {
    my ($self, $code) = @_;
    $self->{engine}->later($code);
    return;
}

1;
