package Argon::Client::Net::TLSLink;

# Owns a link whose bytes on the socket are TLS records. Everything that OpenSSL has decrypted is read at once, so that nothing is
# left inside of it when the handle is waited for. Argon::Client::Net::TLS makes it.

use strict;
use warnings;

use Argon::Protocol qw(:all);

use parent -norequire, 'Argon::Client::Net::Link';

# The text of one record has at most as many bytes.
my $RECORD_BYTES = 16_384;
my $READ_BYTES   = 262_144;

sub flush {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    return $self->SUPER::flush;
}

# A record cannot wait in the kernel for others.
sub hand_over { return }

sub has_output {
    my ($self) = @_;
    return $self->{answers} || $self->SUPER::has_output;
}

# Reads what is there. False when the connection is over and nothing came before its end.
sub read_some {
    my ($self) = @_;
    if ($self->{at}) {
        substr $self->{in}, 0, $self->{at}, q{};
        $self->{at} = 0;
    }
    my $ssl = $self->{ssl}->pointer;
    my $start = $self->{received};
    my $end   = $start + $READ_BYTES;
    # Reading can write: an alert, or an answer to new keys.
    local $SIG{PIPE} = 'IGNORE';
    while ($self->{received} < $end || Net::SSLeay::pending($ssl)) {
        my ($into, $room) = $self->_room;
        my $before = length ${$into};
        Net::SSLeay::ERR_clear_error();
        local $! = 0;
        # In one statement, so that a signal handler that dies loses nothing of what was read.
        ${$into} .= Net::SSLeay::read($ssl, $room) // q{};
        my $read = length(${$into}) - $before or return $self->_ended($ssl, $!) || $self->{received} > $start;
        $self->{received} += $read;
    }
    return 1;
}

# Where the next bytes belong, and how many: the chunk that is being filled, or {in}.
sub _room {
    my ($self) = @_;
    if (my $filling = $self->{filling}) {
        my ($payload, $end) = @{$filling};
        my $left = $end - length ${$payload};
        return ($payload, $left < $RECORD_BYTES ? $left : $RECORD_BYTES) if $left > 0;
    }
    return (\$self->{in}, $RECORD_BYTES);
}

# Nothing more was read: true if that is for now only.
sub _ended {
    my ($self, $ssl, $errno) = @_;
    my $error = Net::SSLeay::get_error($ssl, -1);
    $self->{answers} = $error == Net::SSLeay::ERROR_WANT_WRITE();
    return 1 if $self->{answers} || $error == Net::SSLeay::ERROR_WANT_READ();
    $self->{broken} ||= $self->_reason($error, $errno);
    return 0;
}

sub _reason {
    my ($self, $error, $errno) = @_;
    return 'the manager closed the connection' if $error == Net::SSLeay::ERROR_ZERO_RETURN();
    my $code = Net::SSLeay::ERR_get_error();
    my $reason = $code ? (split /:/, Net::SSLeay::ERR_error_string($code))[-1] : "$errno";
    return !length $reason || $reason =~ /unexpected eof/ ? 'the manager closed the connection' : $reason;
}

sub _send {
    my ($self) = @_;
    $self->_write_some(\$self->{out}, \$self->{out_at}, length $self->{out}) or return 0;
    @{$self}{qw(out out_at)} = (q{}, 0);
    return 1;
}

# What OpenSSL has begun to write is offered to it again at the same place, and nothing else before that.
sub _write_some {
    my ($self, $bytes, $offset, $end) = @_;
    my $ssl = $self->{ssl}->pointer;
    while (${$offset} < $end) {
        my $before = ${$offset};
        my $wrote;
        Net::SSLeay::ERR_clear_error();
        local $! = 0;
        ${$offset} += ($wrote = Net::SSLeay::write_partial($ssl, $before, $end - $before, ${$bytes})) > 0 ? $wrote : 0;
        next if ${$offset} > $before;
        my $errno = $!;
        my $error = Net::SSLeay::get_error($ssl, $wrote);
        return 0 if $error == Net::SSLeay::ERROR_WANT_WRITE() || $error == Net::SSLeay::ERROR_WANT_READ();
        $self->{broken} ||= $self->_reason($error, $errno);
        return 0;
    }
    return 1;
}

# Head and bytes of a chunk in one, which makes fewer records.
sub _next_chunk {
    my ($self) = @_;
    $self->SUPER::_next_chunk or return 0;
    my $chunk = $self->{chunk};
    my (undef, undef, $payload, $offset, $end) = @{$chunk};
    $chunk->[0] .= substr ${$payload}, $offset, $end - $offset;
    $chunk->[3] = $end;
    return 1;
}

# Ends the TLS state without a message: a forked child must not write on its parent's connection, and GOODBYE ends a session.
sub close {
    my ($self) = @_;
    $self->SUPER::close;
    delete $self->{ssl};
    return;
}

package Argon::Client::Net::TLSLink::Object;

# OpenSSL's object of a connection, and the context that it needs. A thread has no copy of it.
sub new     { my ($class, $pointer, $context) = @_; return bless [$pointer, $context], $class }
sub pointer { return $_[0][0] }
sub CLONE_SKIP { return 1 }

sub DESTROY {
    my ($self) = @_;
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    Net::SSLeay::free($self->[0]) if $self->[0];
    return;
}

1;
