package Argon::Client::Session::Sending;

# Owns what goes to the manager and when: credit in tasks and bytes, the blob before the first task that names it, the
# flags and streams of a task that is offered again, the backlog of what could not be sent yet, the pauses of what the
# manager rejected. It works on the fields of Argon::Client::Session, which calls it, and appends to the link's buffer; it
# never writes to the socket.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Protocol qw(:all);

my $BUFFER_BYTES_MAX = 1_048_576;
my $HOLD_BACK_S      = 0.05;
my $HOLD_BACK_S_MAX  = 2;

# Sends a task if the manager has granted room for it; false if not. One may exceed the bytes when no other is under way.
sub send_task {
    my ($session, $link, $task) = @_;
    return 0 if $session->{sent_tasks} >= $session->{credit_tasks};
    my $exceeds = $session->{sent_bytes} + $task->[TASK_BYTES] > $session->{credit_bytes};
    return 0 if $exceeds && $session->{in_flight};
    if ($exceeds && length $session->{ack}) {
        # It is alone only once the manager knows that what came before it is in hand.
        $link->send_frame(ACK, $session->{ack});
        $session->{ack} = q{};
    }
    my $blob = $task->[TASK_BLOB];
    send_blob($link, $blob) if $blob && !$link->{blobs}{ $blob->[0] };
    if (my $shared = $task->[TASK_SHARED]) {
        $link->{blobs}{ $_->[0] } or send_blob($link, $_) for @{$shared};
    }
    if ($task->[TASK_SENT_ON] && $task->[TASK_SENT_ON] != $session->{connections} || $task->[TASK_BIG]) {
        _renew_head($link, $task, $task->[TASK_SENT_ON] && $task->[TASK_SENT_ON] != $session->{connections});
    }
    $task->[TASK_SENT_ON] = $session->{connections};
    $link->{out} .= $task->[TASK_FRAME];
    $session->{sent_tasks}++;
    $session->{sent_bytes} += $task->[TASK_BYTES];
    $session->{in_flight}++;
    return 1;
}

sub _is_in_doubt {
    my ($task) = @_;
    return FLAG_OFFERED_AGAIN & unpack 'n', substr $task->[TASK_FRAME], 33, 2;
}

# Sets OFFERED_AGAIN, and a stream of this connection for a big payload, in the kept frame.
sub _renew_head {
    my ($link, $task, $again) = @_;
    if ($again) {
        my $flags = unpack 'n', substr $task->[TASK_FRAME], 33, 2;
        substr $task->[TASK_FRAME], 33, 2, pack 'n', $flags | FLAG_OFFERED_AGAIN;
    }
    substr $task->[TASK_FRAME], 57, 4, pack 'N', $link->add_stream($task->[TASK_BIG]) if $task->[TASK_BIG];
    return;
}

sub send_blob {
    my ($link, $blob) = @_;
    my ($hash, $length) = ($blob->[0], length $blob->[1]);
    $link->{blobs}{$hash} = 1;
    return $link->send_frame(BLOB, pack(BLOB_HEAD, $hash, 0, $length) . $blob->[1]) if $length <= PART_BYTES_MAX;
    return $link->send_frame(BLOB, pack BLOB_HEAD, $hash, $link->add_stream(\$blob->[1]), $length);
}

# Sends what could not be sent before. The one entry that is not a task stands for OFFERED.
sub send_backlog {
    my ($session, $link) = @_;
    my $backlog = $session->{backlog};
    while (@{$backlog} && length $link->{out} < $BUFFER_BYTES_MAX) {
        my $task = $backlog->[0];
        if (!ref $task) {
            $link->send_frame(OFFERED, q{});
        }
        elsif ($task->[TASK_DONE]) {
        }
        elsif (send_task($session, $link, $task)) {
            $link->send_frame(CANCEL, $task->[TASK_ID]) if $task->[TASK_CANCELLED];
        }
        else {
            last;
        }
        shift @{$backlog};
    }
    return;
}

# A task that the manager did not take waits here and is offered again. False when it has waited often enough.
sub hold_back {
    my ($session, $task) = @_;
    # An outcome that is collected was never offered here.
    return 0 if $task->[TASK_COLLECTS];
    my $options = $task->[TASK_OPTIONS] || {};
    my $tries = ++$task->[TASK_TRIES];
    return 0 if $task->[TASK_CANCELLED] || $options->{no_wait} || $options->{max_tries} && $tries >= $options->{max_tries};
    my $doublings = $tries > 6 ? 6 : $tries - 1;
    my $pause = $HOLD_BACK_S * 2**$doublings;
    $pause = $HOLD_BACK_S_MAX if $pause > $HOLD_BACK_S_MAX;
    $task->[TASK_HELD_BACK] = 1;
    # Unless it was sent on another connection before, no peer has it.
    $task->[TASK_SENT_ON] = 0 if !_is_in_doubt($task);
    push @{ $session->{held_back} }, [Time::HiRes::time() + $pause * (0.5 + rand 0.5), $task];
    return 1;
}

# Moves the tasks whose pause is over to the backlog.
sub offer_again {
    my ($session) = @_;
    return if !@{ $session->{held_back} };
    my $now = Time::HiRes::time();
    my (@due, @later);
    push @{ $_->[0] <= $now ? \@due : \@later }, $_ for @{ $session->{held_back} };
    $session->{held_back} = \@later;
    for my $task (map { $_->[1] } @due) {
        $task->[TASK_HELD_BACK] = 0;
        push @{ $session->{backlog} }, $task;
    }
    return;
}

1;
