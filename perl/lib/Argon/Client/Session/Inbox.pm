package Argon::Client::Session::Inbox;

# Owns taking apart what a link has read: frame after frame, each handed to the session's journal or to one small handler.
# The way of an outcome is the hot path of the client and is written out here. It never waits.

use strict;
use warnings;

use JSON::PP ();

use Argon::Client::Session::ModuleAnswers ();
use Argon::Client::Session::Output  ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Memory ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Text ();

# Unfinished payloads of tasks that are not ours, which are passed over.
my $FOREIGN_STREAMS_MAX = 65_536;
# Room that a payload gets at once, whatever it announces.
my $ROOM_BYTES_MAX = 67_108_864;
# What a manager may leave unread of the answers to its own frames.
my $UNREAD_BYTES_MAX   = 67_108_864;
my $UNREAD_STREAMS_MAX = 65_536;

my %HANDLER = (
    PING,      sub { my ($session, $link, $body) = @_; $link->send_frame(PONG, $body) },
    PONG,      sub { },
    CREDIT,    sub { my ($session, $link, $body) = @_; @{$session}{qw(credit_tasks credit_bytes)} = unpack 'Q> Q>', $body },
    ACCEPTED,  \&_on_accepted,
    NEED_BLOB, sub { my ($session, $link, $body) = @_; $session->send_blob_again($_) for unpack '(a32)*', $body },
    OUTPUT,    \&Argon::Client::Session::Output::on_output,
    ASK,       \&Argon::Client::Session::ModuleAnswers::on_ask,
    REPLY,     \&_on_reply,
    GOODBYE,   sub { my ($session, $link, $body) = @_; $link->{broken} ||= 'the manager closed the connection: ' . _field($body, 'reason') },
    REFUSED,   \&_on_refused,
);

# Bytes that the body of a frame has at least.
my %LEAST = (CREDIT, 16, OUTPUT, 29, ASK, 32);

# Takes every whole frame out of the link.
sub take {
    my ($session, $link) = @_;
    my $journal = $session->{journal};
    if ($link->{filling}) {
        my $stream = $link->filled or return;
        _on_part($session, $link, $stream);
    }
    my $end = length $link->{in};
    while ($end - $link->{at} > 4) {
        my ($length, $kind, $id, $attempt, $status, $codec, undef, $run_us, $meta_length, $stream, $payload_length)
            = unpack 'N C a24 N C C n Q> N N Q>', substr $link->{in}, $link->{at}, 61;
        my $begin = $link->{at} + 5;
        if ($length < 1 || $length > FRAME_BYTES_MAX) {
            $link->{broken} ||= "the manager sent a frame of $length bytes";
            return;
        }
        if ($end < $begin - 1 + $length) {
            $link->fill if $kind == CHUNK && $end >= $begin + 4;
            last;
        }
        $link->{at} = $begin - 1 + $length;
        if ($kind == OUTCOME) {
            # Also true of a frame that is too short for the head: then the numbers above are those of the next one.
            if (OUTCOME_HEAD_BYTES + ($meta_length || 0) >= $length) {
                $link->{broken} ||= 'the manager sent an outcome that is longer than its frame';
                return;
            }
            my $task = $journal->{$id};
            Argon::Client::Session::Output::end_of_task($session, $id) if $session->{half_characters};
            if ($stream || !$task || $status) {
                _on_outcome($session, $link, substr $link->{in}, $begin, $length - 1);
                next;
            }
            delete $journal->{$id};
            @{$task}[TASK_STATUS, TASK_CODEC, TASK_ATTEMPT, TASK_RUN_US] = ($status, $codec, $attempt, $run_us);
            $task->[TASK_REPORT]  = substr $link->{in}, $begin + OUTCOME_HEAD_BYTES, $meta_length if $meta_length;
            $task->[TASK_PAYLOAD] = substr $link->{in}, $begin + OUTCOME_HEAD_BYTES + $meta_length, $payload_length;
            $task->[TASK_DONE]    = 1;
            # Drop what was kept to offer it again.
            @{$task}[TASK_FRAME, TASK_BLOB] = ();
            @{$task}[TASK_BIG, TASK_SHARED] = () if $#{$task} >= TASK_BIG;
            # Not for one that was not sent on this connection yet, or is collected.
            $session->{in_flight}-- if ($task->[TASK_SENT_ON] || 0) == $session->{connections};
            $session->{ack} .= $id;
            push @{ $session->{finished} }, $task if $task->[TASK_CALLBACKS] || $task->[TASK_THREADS];
            next;
        }
        if ($kind == CHUNK && $length >= 5) {
            _on_chunk($session, $link, $begin, $length - 1);
            next;
        }
        my $handler = $HANDLER{$kind};
        if (!$handler) {
            $link->{broken} ||= sprintf 'the manager sent a frame of kind 0x%02x', $kind;
            return;
        }
        if ($length - 1 < ($LEAST{$kind} || 0)) {
            $link->{broken} ||= sprintf 'the manager sent a frame of kind 0x%02x that is too short', $kind;
            return;
        }
        $handler->($session, $link, substr $link->{in}, $begin, $length - 1);
    }
    $link->{broken} ||= 'the manager does not read the answers that it asks for'
        if length $link->{out} > $UNREAD_BYTES_MAX || @{ $link->{streams} } > $UNREAD_STREAMS_MAX;
    return;
}

# Every outcome that is not plain: in a stream, not ok, or not ours any more.
sub _on_outcome {
    my ($session, $link, $body) = @_;
    my ($id, $attempt, $status, $codec, undef, $run_us, $meta_length, $stream, $payload_length) = unpack OUTCOME_HEAD, $body;
    my $report  = substr $body, OUTCOME_HEAD_BYTES, $meta_length;
    my $payload = substr $body, OUTCOME_HEAD_BYTES + $meta_length;
    my @outcome = ($id, $status, $codec, $attempt, $run_us, $report);
    if ($stream && length $payload < $payload_length) {
        if ($payload_length > PAYLOAD_BYTES_MAX) {
            $link->{broken} ||= "the manager announced a payload of $payload_length bytes";
            return;
        }
        return _begin_stream($session, $link, $stream, \$payload, $payload_length, \@outcome);
    }
    return _settle($session, \@outcome, \$payload);
}

# A payload that comes in chunks. Of a task that is not ours, or whose payload comes already, the bytes are only counted.
sub _begin_stream {
    my ($session, $link, $stream, $payload, $length, $outcome) = @_;
    my ($partial, $id) = ($link->{partial}, $outcome->[0]);
    if ($partial->{$stream}) {
        $link->{broken} ||= 'the manager began a payload under the number of another';
        return;
    }
    if ($session->{journal}{$id} && !$link->{streaming}{$id}++) {
        Argon::Memory::expect($length);
        Argon::Memory::make_room($payload, $length < $ROOM_BYTES_MAX ? $length : $ROOM_BYTES_MAX);
        $partial->{$stream} = [$payload, $length, $outcome];
        return;
    }
    $partial->{$stream} = [undef, $length, $outcome, length ${$payload}];
    $link->{broken} ||= 'the manager began too many payloads of tasks that are not of this client'
        if ++$link->{foreign_streams} > $FOREIGN_STREAMS_MAX;
    return;
}

sub _on_chunk {
    my ($session, $link, $begin, $length) = @_;
    my $stream  = unpack 'N', substr $link->{in}, $begin, 4;
    my $partial = $link->{partial}{$stream};
    if (!$partial) {
        $link->{broken} ||= 'the manager sent a chunk of an unknown stream';
        return;
    }
    if   ($partial->[0]) { ${ $partial->[0] } .= substr $link->{in}, $begin + 4, $length - 4 }
    else                 { $partial->[3] += $length - 4 }
    return _on_part($session, $link, $stream);
}

sub _on_part {
    my ($session, $link, $stream) = @_;
    my ($payload, $expected, $outcome, $counted) = @{ $link->{partial}{$stream} };
    my $have = $payload ? length ${$payload} : $counted;
    return if $have < $expected;
    if ($have > $expected) {
        $link->{broken} ||= 'the manager sent more of a payload than it had announced';
        return;
    }
    delete $link->{partial}{$stream};
    if ($payload) { delete $link->{streaming}{ $outcome->[0] } }
    else          { $link->{foreign_streams}-- }
    # One that was only counted is not the outcome of a task of ours.
    return $payload || !$session->{journal}{ $outcome->[0] } ? _settle($session, $outcome, $payload) : undef;
}

sub _settle {
    my ($session, $outcome, $payload) = @_;
    my ($id, $status, $codec, $attempt, $run_us, $report) = @{$outcome};
    my $task = $session->{journal}{$id};
    if (!$task) {
        $session->{ack} .= $id if !delete $session->{unwanted}{$id};
        return;
    }
    $session->{in_flight}-- if ($task->[TASK_SENT_ON] || 0) == $session->{connections};
    if ($status == STATUS_REJECTED && Argon::Client::Session::Sending::hold_back($session, $task)) {
        $session->{reasons}->rejected($report);
        return;
    }
    delete $session->{journal}{$id};
    @{$task}[TASK_STATUS, TASK_CODEC, TASK_ATTEMPT, TASK_RUN_US] = ($status, $codec, $attempt, $run_us);
    $task->[TASK_REPORT] = $report if length $report;
    # By reference: it may be big.
    $task->[TASK_PAYLOAD] = $payload;
    # Of a task that it did not take, or does not know under this ticket, the manager holds nothing for this session.
    my $is_unknown = $task->[TASK_COLLECTS] && $status == STATUS_LOST && !$attempt;
    $session->{ack} .= $id if $status != STATUS_REJECTED && !$is_unknown;
    $session->settle($task);
    return;
}

sub _on_accepted {
    my ($session, $link, $body) = @_;
    if (length($body) % (ID_BYTES + TOKEN_BYTES)) {
        $link->{broken} ||= 'the manager accepted tasks without the tokens of their tickets';
        return;
    }
    my @tickets = unpack '(a24 a16)*', $body;
    while (my ($id, $token) = splice @tickets, 0, 2) { $session->accepted($id, $token) }
    return;
}

sub _on_reply {
    my ($session, $link, $body) = @_;
    my $reply = eval { JSON::PP->new->utf8->decode($body) };
    return if ref $reply ne 'HASH' || ref $reply->{request};
    my $request = delete $session->{requests}{ $reply->{request} // q{} } or return;
    $request->[TASK_LIST]   = [$reply];
    $request->[TASK_STATUS] = STATUS_OK;
    return $session->settle($request);
}

sub _on_refused {
    my ($session, $link, $body) = @_;
    # All that follows on this connection is refused, too.
    return if $link->{refused};
    my $code = _field($body, 'code');
    # One that is busy may let this client in the next time.
    $session->{refusals}++ if $code ne 'busy';
    $link->{refused} = 1;
    $link->{broken} ||= "the manager refused ($code): " . _field($body, 'message');
    return;
}

sub _field {
    my ($body, $name) = @_;
    return Argon::Protocol::Text::field($body, $name => 'no reason given');
}

1;
