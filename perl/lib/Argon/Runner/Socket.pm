package Argon::Runner::Socket;

# Owns the runner's private socket: reads whole messages from it, writes whole messages to it, and waits while it
# does. It knows frames and CHUNK streams, nothing of tasks. Only Argon::Runner and its parts call it, and only in the
# process that opened it: a child that a task forks must never speak here.

use strict;
use warnings;

use Errno ();

use Argon::Memory ();
use Argon::Protocol qw(:all);

my $READ_BYTES = 262_144;
# While a big payload comes, its bytes are read to where they stay, and what is read on the way is short.
my $READ_BYTES_BETWEEN = 4_096;
my $CHUNK_HEAD_BYTES   = 9;

sub new {
    my ($class, $handle) = @_;
    binmode $handle;
    return bless { handle => $handle, process => $$, buffer => '', offset => 0, partial => {}, kept => [], next_stream => 1 },
        $class;
}

# Waits until there is a message; false at the end of the socket.
sub wait_for_message {
    my ($self) = @_;
    while (!$self->has_message) {
        $self->read_more or return 0;
    }
    return 1;
}

# True if a message can be taken, or if next_message must read on.
sub has_message {
    my ($self) = @_;
    return 1 if @{ $self->{kept} } || %{ $self->{partial} };
    my $have = length($self->{buffer}) - $self->{offset};
    return 0 if $have < 4;
    my $length = unpack 'N', substr $self->{buffer}, $self->{offset}, 4;
    return $have >= 4 + $length || $length > FRAME_BYTES_MAX;
}

# Takes the next frame, which the caller has seen to be whole in the buffer.
sub take_frame {
    my ($self, $length) = @_;
    my $frame = substr $self->{buffer}, $self->{offset} + 4, $length;
    $self->{offset} += 4 + $length;
    return $frame if $self->{offset} < length $self->{buffer};
    $self->{buffer} = q{};
    $self->{offset} = 0;
    return $frame;
}

# The next whole message: its kind, its body up to the payload, and a reference to the payload when it came in a
# stream. Nothing at the end of the socket.
sub next_message {
    my ($self) = @_;
    return @{ shift @{ $self->{kept} } } if @{ $self->{kept} };
    return $self->_read_message;
}

# Returns the next message of one kind, such as an answer. Messages before it are kept for their turn.
sub next_message_of {
    my ($self, $wanted) = @_;
    for my $at (0 .. $#{ $self->{kept} }) {
        return @{ splice @{ $self->{kept} }, $at, 1 } if $self->{kept}[$at][0] == $wanted;
    }
    while (my @message = $self->_read_message) {
        return @message if $message[0] == $wanted;
        push @{ $self->{kept} }, \@message;
    }
    return;
}

sub _read_message {
    my ($self) = @_;
    while (1) {
        if (%{ $self->{partial} } && $self->_is_at_chunk) {
            my $ended = $self->_read_chunk or next;
            return @{$ended};
        }
        my $body = $self->_next_frame;
        return if !defined $body;
        my $kind = ord $body;
        substr $body, 0, 1, '';
        die "the worker sent a chunk of an unknown stream\n" if $kind == CHUNK;
        my ($stream, $expected, $head_bytes) = $self->_stream_of($kind, $body);
        return ($kind, $body) if !$stream;
        my $payload = substr $body, $head_bytes;
        substr $body, $head_bytes, length($body) - $head_bytes, '';
        return ($kind, $body, \$payload) if length $payload >= $expected;
        Argon::Memory::expect($expected);
        Argon::Memory::make_room(\$payload, $expected);
        $self->{partial}{$stream} = [$kind, $body, \$payload, $expected];
    }
}

# True if this blob has begun to arrive: small messages overtake big ones, so its task may be here first.
sub has_begun_blob {
    my ($self, $hash) = @_;
    return scalar grep { $_->[0] == BLOB && substr($_->[1], 0, 32) eq $hash } values %{ $self->{partial} };
}

sub send_frame {
    my ($self, $kind, $body) = @_;
    return $self->send_bytes(pack('N C', 1 + length $body, $kind) . $body);
}

# A number for a payload that is longer than one frame holds.
sub new_stream {
    my ($self) = @_;
    $self->{next_stream} = $self->{next_stream} % 0x7fff_ffff + 1;
    return $self->{next_stream};
}

# Sends a message whose payload goes in CHUNK frames. The head of a chunk is written over the bytes before it, which are sent
# by then: each chunk takes one write, no byte is copied, and the payload is spoilt. The first bytes go with the message.
sub send_with_stream {
    my ($self, $kind, $head, $stream, $payload) = @_;
    $self->send_frame($kind, $head . substr ${$payload}, 0, $CHUNK_HEAD_BYTES);
    my $offset = $CHUNK_HEAD_BYTES;
    my $length = length ${$payload};
    while ($offset < $length) {
        my $part = $length - $offset > PART_BYTES_MAX ? PART_BYTES_MAX : $length - $offset;
        substr ${$payload}, $offset - $CHUNK_HEAD_BYTES, $CHUNK_HEAD_BYTES, pack 'N C N', 5 + $part, CHUNK, $stream;
        $self->_write($payload, $offset - $CHUNK_HEAD_BYTES, $CHUNK_HEAD_BYTES + $part);
        $offset += $part;
    }
    return;
}

sub send_bytes {
    my ($self, $bytes) = @_;
    _refuse_fork() if $$ != $self->{process};
    # Nearly always one write takes everything.
    my $written = syswrite($self->{handle}, $bytes) || 0;
    return if $written == length $bytes;
    return $self->_write(\$bytes, $written, length($bytes) - $written);
}

sub _refuse_fork { die "a forked child must not use the socket of its runner\n" }

sub _write {
    my ($self, $bytes, $offset, $left) = @_;
    _refuse_fork() if $$ != $self->{process};
    while ($left > 0) {
        my $written = syswrite $self->{handle}, ${$bytes}, $left, $offset;
        if (!defined $written) {
            next if $!{EINTR};
            exit 0;
        }
        $offset += $written;
        $left -= $written;
    }
    return;
}

# Kind and body of one frame, as one string.
sub _next_frame {
    my ($self) = @_;
    my $have = length($self->{buffer}) - $self->{offset};
    while ($have < 4) {
        $self->read_more or return;
        $have = length($self->{buffer}) - $self->{offset};
    }
    my $length = unpack 'N', substr $self->{buffer}, $self->{offset}, 4;
    die "the worker sent a frame of $length bytes\n" if $length < 1 || $length > FRAME_BYTES_MAX;
    while ($have < 4 + $length) {
        $self->read_more or return;
        $have = length($self->{buffer}) - $self->{offset};
    }
    return $self->take_frame($length);
}

# Reads once; the bytes, 0 at the end of the socket.
sub read_more {
    my ($self) = @_;
    if ($self->{offset}) {
        substr $self->{buffer}, 0, $self->{offset}, '';
        $self->{offset} = 0;
    }
    my $room = $READ_BYTES;
    if (%{ $self->{partial} }) {
        # To the end of the frame that has begun, or a little.
        $room = length $self->{buffer} < 4 ? 0 : 4 + unpack('N', $self->{buffer}) - length $self->{buffer};
        $room = $READ_BYTES_BETWEEN if $room < $READ_BYTES_BETWEEN;
    }
    return $self->_read_to(\$self->{buffer}, $room);
}

# The same when the buffer is empty and no payload is under way, which is nearly always; 0 also when it is not so.
sub read_into_empty {
    my ($self) = @_;
    return 0 if %{ $self->{partial} };
    _refuse_fork() if $$ != $self->{process};
    return sysread($self->{handle}, $self->{buffer}, $READ_BYTES) || ($!{EINTR} ? $self->read_more : 0);
}

# Reads once, behind what is there. 0 at the end of the socket.
sub _read_to {
    my ($self, $bytes, $room) = @_;
    _refuse_fork() if $$ != $self->{process};
    while (1) {
        my $read = sysread $self->{handle}, ${$bytes}, $room, length ${$bytes};
        return $read if defined $read;
        return 0 if !$!{EINTR};
    }
    return;
}

sub _stream_of {
    my ($self, $kind, $body) = @_;
    if ($kind == RUN) {
        my ($blob_count, $meta_length, $stream, $length) = unpack 'x39 C x8 N N Q>', $body;
        return ($stream, $length, TASK_HEAD_BYTES + 32 * $blob_count + $meta_length);
    }
    if ($kind == BLOB) {
        my (undef, $stream, $length) = unpack BLOB_HEAD, $body;
        return ($stream, $length, BLOB_HEAD_BYTES);
    }
    return 0;
}

# True if a chunk comes next; its head is in the buffer then.
sub _is_at_chunk {
    my ($self) = @_;
    for my $bytes (5, $CHUNK_HEAD_BYTES) {
        while (length($self->{buffer}) - $self->{offset} < $bytes) {
            $self->read_more or return 0;
        }
        return 0 if ord(substr $self->{buffer}, $self->{offset} + 4, 1) != CHUNK;
    }
    return 1;
}

# Reads the chunk that comes next. The message, when that was the last of its payload.
sub _read_chunk {
    my ($self) = @_;
    my ($length, undef, $stream) = unpack 'N C N', substr $self->{buffer}, $self->{offset}, $CHUNK_HEAD_BYTES;
    my $partial = $self->{partial}{$stream} or die "the worker sent a chunk of an unknown stream\n";
    my $left    = $length - 5;
    die "the worker sent a chunk of $left bytes\n" if $left < 0 || $left > $partial->[3] - length ${ $partial->[2] };
    $self->{offset} += $CHUNK_HEAD_BYTES;
    my $have = length($self->{buffer}) - $self->{offset};
    $have = $left if $have > $left;
    ${ $partial->[2] } .= substr $self->{buffer}, $self->{offset}, $have;
    $self->{offset} += $have;
    $left -= $have;
    while ($left > 0) {
        my $read = $self->_read_to($partial->[2], $left) or return;
        $left -= $read;
    }
    my ($kind, $head, $payload, $expected) = @{$partial};
    return if length ${$payload} < $expected;
    delete $self->{partial}{$stream};
    return [$kind, $head, $payload];
}

1;
