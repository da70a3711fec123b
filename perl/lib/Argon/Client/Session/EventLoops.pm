package Argon::Client::Session::EventLoops;

# Owns what a session has to do with event loops: which ones drive it, what they are to watch, what they set going. It is a
# part of Argon::Client::Session, whose fields it uses; Argon::Client::Loop talks with the frameworks.

use strict;
use warnings;

use Argon::Client::Loop ();

# Lets an event loop drive this session too: the name of a framework, or a loop. The same one twice is one.
sub attach {
    my ($self, $wanted) = @_;
    my $loop = $self->{loop_of}{$wanted};
    if (!$loop) {
        my $made = Argon::Client::Loop::of($wanted, $self);
        ($loop) = grep { ref eq ref $made && ($_->{engine} || 0) == ($made->{engine} || 0) } @{ $self->{loops} || [] };
        push @{ $self->{loops} }, $loop = $made if !$loop;
        $self->{loop_of}{$wanted} = $loop;
        $loop->update;
    }
    return $loop;
}

# Called by an event loop when the socket or a timer is ready. No caller could catch an error: tasks end as unreachable.
sub tick {
    my ($self) = @_;
    return if $self->{turning} || $self->{closed};
    return if eval { $self->turn(0, 1); 1 };
    my $error = $@;
    return warn $error if ref $error ne 'Argon::Error';
    $self->_end_all($error->kind, $error->message);
    return $self->tell_loops;
}

# For an event loop: the handle to watch, whether for writing too, and the time of the next timer. Nothing when nothing
# is unfinished.
sub wishes {
    my ($self) = @_;
    my $link = $self->{link};
    my $busy = %{ $self->{journal} } || %{ $self->{requests} } || @{ $self->{backlog} };
    $self->{reasons}->driven(!$self->{closed} && %{ $self->{journal} } ? 1 : 0);
    return if $self->{closed} || !$busy && !($link && (length $self->{ack} || $link->has_output));
    if (!$link) {
        my ($handle, $write, $deadline) = $self->{reconnect}->wishes;
        my $ask_at = $self->{reasons}->at;
        $deadline = $ask_at if defined $ask_at && (!defined $deadline || $ask_at < $deadline);
        return ($handle, $write, $deadline);
    }
    return ($link->handle, $link->has_output ? 1 : 0, $self->next_deadline);
}

# Updates what the event loops watch.
sub tell_loops {
    my ($self) = @_;
    if ($self->{loops} && !$self->{turning}) { $_->update for @{ $self->{loops} } }
    return;
}

# Ends the watch of all event loops, before a handle is closed.
sub release_loops {
    my ($self) = @_;
    if ($self->{loops}) { $_->release for @{ $self->{loops} } }
    return;
}

1;
