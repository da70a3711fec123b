package Argon::Client::Session::Lending;

# Owns how a session inside a task lends the slot of the task while the task waits for outcomes (WAITS in spec/protocol.md,
# section 9). It is a part of Argon::Client::Session, whose fields it uses: {lends} counts those who wait now, of whom an
# event loop is one.

use strict;
use warnings;

use Argon::Client::Wait::Lends ();
use Argon::Protocol qw(WAITS);

# Lends the slot of the task that this session is in, from the next write on.
sub begins_to_wait {
    my ($self, $link) = @_;
    $link->send_frame(WAITS, "\1") if !$link->{is_lent}++;
    return;
}

# Takes it back, at once: the task may do anything now.
sub goes_on {
    my ($self) = @_;
    my $link = $self->{link} or return;
    return if !$link->{is_lent} || $self->{process} != $$;
    $link->{is_lent} = 0;
    $link->send_frame(WAITS, "\0");
    $self->flush;
    return;
}

# The loop has nothing of this session's to do until its socket or its timer is ready.
sub lend_to_loop {
    my ($self) = @_;
    my $link = $self->{link};
    return if !$link || $self->{turning} || $self->{closed} || !$self->unfinished || $self->{process} != $$;
    $self->{loop_lends} ||= Argon::Client::Wait::Lends->new($self);
    $self->begins_to_wait($link);
    $self->flush;
    return;
}

1;
