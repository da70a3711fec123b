package Argon::Client::Loop::Mojo;

# Owns watching on the reactor of a Mojo::IOLoop, and the promises of deferreds.

use strict;
use warnings;

use Mojo::IOLoop ();
use Scalar::Util ();

use parent -norequire, 'Argon::Client::Loop';

sub _reactor {
    my ($self) = @_;
    return ($self->{engine} || Mojo::IOLoop->singleton)->reactor;
}

sub begin_io {
    my ($self, $handle) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->_reactor->io($handle => sub { $weak && $weak->ready })->watch($handle, 1, 0);
    return;
}

sub set_write {
    my ($self, $handle, $on) = @_;
    $self->_reactor->watch($handle, 1, $on ? 1 : 0);
    return;
}

sub end_io {
    my ($self, $handle) = @_;
    $self->_reactor->remove($handle);
    return;
}

sub begin_timer {
    my ($self, $seconds) = @_;
    Scalar::Util::weaken(my $weak = $self);
    $self->{timer} = $self->_reactor->timer($seconds => sub { $weak or return; $weak->{timer} = undef; $weak->due });
    return;
}

sub end_timer {
    my ($self) = @_;
    my $timer = delete $self->{timer};
    $self->_reactor->remove($timer) if defined $timer;
    return;
}

sub soon {
    my ($self, $code) = @_;
    $self->_reactor->next_tick($code);
    return;
}

# A promise that gets what the task gives.
sub promise {
    my ($deferred, $place, $engine) = @_;
    require Mojo::Promise;
    my $promise = Mojo::Promise->new;
    $promise->ioloop($engine) if $engine;
    $deferred->on_outcome($place, sub { $promise->resolve(@_) }, sub { $promise->reject($_[0]) });
    return $promise;
}

1;
