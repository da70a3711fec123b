package Argon::Client::Loop::Future;

# Owns the futures of deferreds: those of IO::Async's loop if the program has one, else of a class of our own, which waits
# on the client's connection.

use strict;
use warnings;

use Future      ();
use Time::HiRes ();

use parent -norequire, 'Future';

sub future {
    my ($deferred, $place, $client) = @_;
    my $future = $INC{'IO/Async/Loop.pm'} ? _of_loop($client->session) : __PACKAGE__->new;
    _set_client($future, $client);
    $future->on_cancel(sub { $deferred->cancel });
    $deferred->on_outcome($place, sub { $future->done(@_) if !$future->is_ready },
        sub { $future->fail($_[0] || "$_[0]\n") if !$future->is_ready });
    return $future;
}

sub _of_loop {
    my ($session) = @_;
    my $loop = $session->attach('IO::Async');
    return $loop->{engine}->new_future;
}

# The future of an async sub is made from the one that it first waited for.
sub new {
    my ($class, @arguments) = @_;
    my $self = $class->SUPER::new(@arguments);
    my $client = ref $class ? _client($class) : undef;
    _set_client($self, $client) if $client;
    return $self;
}

# Before 0.49 a future has no place for the data of others, but is always a hash.
sub _set_client {
    my ($future, $client) = @_;
    if   ($future->can('set_udata')) { $future->set_udata(argon_client => $client) }
    else                             { $future->{argon_client} = $client }
    return;
}

sub _client {
    my ($future) = @_;
    return $future->can('udata') ? $future->udata('argon_client') : $future->{argon_client};
}

sub await {
    my ($self) = @_;
    my $session = _client($self)->session;
    my $long    = Argon::Client::Wait::Long->new($session);
    my $lends   = Argon::Client::Wait::Lends->new($session);
    # Leaving by an exception, such as the end of a time limit, cancels the task.
    my $leaving = bless [$self], 'Argon::Client::Loop::Future::Leaving';
    while (!$self->is_ready) {
        $session->{heard} = Time::HiRes::time();
        die "This future waits for something else than an Argon task\n" if !$session->unfinished;
        $session->turn;
    }
    return $self;
}

sub Argon::Client::Loop::Future::Leaving::DESTROY {
    my ($future) = @{ $_[0] };
    local ($@, $!, $?);
    $future->cancel if !$future->is_ready;
    return;
}

1;
