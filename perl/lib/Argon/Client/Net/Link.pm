package Argon::Client::Net::Link;

# Owns one connection to a manager after the handshake: the socket, what was read and not yet taken, what is to be
# written, and the payloads that travel in chunks. It never waits: read and flush do what the socket allows now.
# Argon::Client::Session decides what is sent; Argon::Client::Session::Inbox takes apart what was read.

use strict;
use warnings;

use Errno qw(EAGAIN EINTR EWOULDBLOCK);

use Argon::Memory ();
use Argon::Protocol qw(:all);

my $READ_BYTES = 262_144;
# While a big payload comes, its bytes are read to where they stay, and what is read on the way is short.
my $READ_BYTES_BETWEEN = 4_096;
my $CHUNK_HEAD_BYTES   = 9;
# MSG_NOSIGNAL: a connection that is gone is an error, and no signal.
my $QUIETLY = $^O eq 'linux' ? 0x4000 : undef;
# MSG_MORE too: the kernel may wait for more before it sends a packet that is not full, but not for long.
my $MORE = $^O eq 'linux' ? 0x8000 | $QUIETLY : undef;

# Hot paths append whole frames to {out} and read {in} from {at}; {received} counts what was read. Nobody else touches the other
# fields.
sub new {
    my ($class, $handle, %fields) = @_;
    return bless {
        handle  => $handle,
        in      => q{},
        at      => 0,
        out     => q{},
        out_at  => 0,
        chunk   => undef,
        streams => [],
        stream  => 0,
        turn    => 0,
        partial => {},
        streaming => {},
        foreign_streams => 0,
        filling => undef,
        received => 0,
        blobs   => {},
        broken  => undef,
        %fields,
    }, $class;
}

sub handle { return $_[0]{handle} }

# Reason why the connection ended, or undef while it lives.
sub broken { return $_[0]{broken} }

sub has_output {
    my ($self) = @_;
    return length $self->{out} || $self->{chunk} || @{ $self->{streams} };
}

sub send_frame {
    my ($self, $kind, $body) = @_;
    $self->{out} .= pack('N C', 1 + length $body, $kind) . $body;
    return;
}

# Lets a payload follow in chunks; returns the stream's number for the head that announces it.
sub add_stream {
    my ($self, $payload) = @_;
    Argon::Memory::expect(length ${$payload});
    my $stream = $self->{stream} = $self->{stream} % 0x7fff_ffff + 1;
    push @{ $self->{streams} }, [$stream, $payload, 0];
    return $stream;
}

# Writes what the socket takes. True when nothing is left.
sub flush {
    my ($self) = @_;
    return 1 if !length $self->{out} && !$self->{chunk} && !@{ $self->{streams} };
    # Nearly always one write takes everything. Whatever it does not take is looked at below.
    return 1 if defined $QUIETLY && !$self->{out_at} && !$self->{chunk} && $self->_send($QUIETLY) && !@{ $self->{streams} };
    local $SIG{PIPE} = 'IGNORE';
    while (1) {
        return 0 if $self->{chunk} && !$self->_write_chunk;
        if (length $self->{out}) {
            $self->_write_some(\$self->{out}, \$self->{out_at}, length $self->{out}) or return 0;
            $self->{out}    = q{};
            $self->{out_at} = 0;
        }
        $self->_next_chunk or return 1;
    }
    return;
}

# Gives what waits to the kernel without urging it to send: many small frames become few packets, and yet all go out within
# 0.2 s at the latest, whatever the program does meanwhile. Where the kernel cannot, nothing is done.
sub hand_over {
    my ($self) = @_;
    return if !defined $MORE || $self->{out_at} || $self->{chunk} || @{ $self->{streams} };
    $self->_send($MORE);
    return;
}

# Gives the kernel what it takes of {out}, which it has nothing of yet. True when that is all.
sub _send {
    my ($self, $flags) = @_;
    { no warnings 'uninitialized'; $self->{out_at} += send $self->{handle}, $self->{out}, $flags; }
    return 0 if $self->{out_at} != length $self->{out};
    @{$self}{qw(out out_at)} = (q{}, 0);
    return 1;
}

# Reads once. False when the connection is over.
sub read_some {
    my ($self) = @_;
    if ($self->{at}) {
        substr $self->{in}, 0, $self->{at}, q{};
        $self->{at} = 0;
    }
    my $read;
    if (my $filling = $self->{filling}) {
        my ($payload, $end) = @{$filling};
        $read = sysread $self->{handle}, ${$payload}, $end - length ${$payload}, length ${$payload};
    }
    else {
        $read = sysread $self->{handle}, $self->{in}, %{ $self->{partial} } ? $self->_room_between : $READ_BYTES, length $self->{in};
    }
    if ($read) {
        $self->{received} += $read;
        return 1;
    }
    if (!defined $read) {
        return 1 if $! == EAGAIN || $! == EINTR || $! == EWOULDBLOCK;
        $self->{broken} ||= "$!";
        return 0;
    }
    $self->{broken} ||= 'the manager closed the connection';
    return 0;
}

# Number of bytes to read while a big payload arrives: to the end of the frame that has begun, or a few.
sub _room_between {
    my ($self) = @_;
    my $missing = length $self->{in} < 4 ? 0 : 4 + unpack('N', $self->{in}) - length $self->{in};
    return $missing > $READ_BYTES_BETWEEN ? $missing : $READ_BYTES_BETWEEN;
}

sub close {
    my ($self) = @_;
    $self->{broken} ||= 'closed';
    close $self->{handle} if $self->{handle};
    $self->{handle} = undef;
    return;
}

# Writes until the end offset; false when the socket takes no more now, or is broken. The offset is moved in the same
# statement as the write, so that a signal handler that dies between two statements leaves no byte written twice.
sub _write_some {
    my ($self, $bytes, $offset, $end, $flags) = @_;
    while (${$offset} < $end) {
        my $before = ${$offset};
        no warnings 'uninitialized';
        if (defined $flags) { ${$offset} += send $self->{handle}, substr(${$bytes}, $before), $flags }
        else                { ${$offset} += syswrite $self->{handle}, ${$bytes}, $end - $before, $before }
        next if ${$offset} > $before || $! == EINTR;
        $self->{broken} ||= "$!" if $! != EAGAIN && $! != EWOULDBLOCK;
        return 0;
    }
    return 1;
}

sub _write_chunk {
    my ($self) = @_;
    my $chunk = $self->{chunk};
    # The head waits in the kernel for the bytes that follow it at once.
    $self->_write_some(\$chunk->[0], \$chunk->[1], length $chunk->[0], $MORE) or return 0;
    $self->_write_some($chunk->[2], \$chunk->[3], $chunk->[4]) or return 0;
    $self->{chunk} = undef;
    return 1;
}

# Takes over a chunk of which only the beginning is in {in}, at {at}: the rest is read to where it stays.
sub fill {
    my ($self) = @_;
    my ($length, undef, $stream) = unpack 'N C N', substr $self->{in}, $self->{at}, $CHUNK_HEAD_BYTES;
    my $partial = $self->{partial}{$stream};
    return if !$partial || !$partial->[0];
    my $end = length(${ $partial->[0] }) + $length - 5;
    my $at  = $self->{at} + $CHUNK_HEAD_BYTES;
    ${ $partial->[0] } .= substr $self->{in}, $at;
    @{$self}{qw(in at)} = (q{}, 0);
    $self->{filling} = [$partial->[0], $end, $stream];
    return;
}

# The stream of the chunk that was filled, once nothing of that is missing.
sub filled {
    my ($self) = @_;
    my ($payload, $end, $stream) = @{ $self->{filling} };
    return if length ${$payload} < $end;
    $self->{filling} = undef;
    return $stream;
}

# The next part of the stream whose turn it is. The one that came first and the one with least left go in turns: those of one
# length follow one another, and the first is worked on while the next is under way; a short one waits for none that is
# much longer, and none waits for ever.
sub _next_chunk {
    my ($self) = @_;
    my $streams = $self->{streams};
    return 0 if !@{$streams};
    my $at = 0;
    if (@{$streams} > 1 && ($self->{turn} ^= 1)) {
        my @left = map { length(${ $_->[1] }) - $_->[2] } @{$streams};
        $left[$_] < $left[$at] and $at = $_ for 1 .. $#left;
    }
    my $next = $streams->[$at];
    my ($stream, $payload, $offset) = @{$next};
    my $end = $offset + PART_BYTES_MAX;
    $end = length ${$payload} if $end > length ${$payload};
    $self->{chunk} = [pack('N C N', 5 + $end - $offset, CHUNK, $stream), 0, $payload, $offset, $end];
    if ($end < length ${$payload}) {
        $next->[2] = $end;
    }
    else {
        splice @{$streams}, $at, 1;
    }
    return 1;
}

1;
