package Argon::Protocol;

# Owns the numbers of the wire protocol: frame kinds, flags, statuses, limits and the layout of the binary heads.
# Reads and writes nothing. The client, the runner and the tests take them from here; the source is spec/protocol.md.

use strict;
use warnings;

use Exporter 'import';

my (%kind, %flag, %status, %limit, %layout);

BEGIN {
    %kind = (
        HELLO => 0x01, CHALLENGE => 0x02, PROOF => 0x03, WELCOME => 0x04, REFUSED => 0x05,
        PING  => 0x08, PONG      => 0x09, GOODBYE => 0x0A,
        OPEN    => 0x10, SUBMIT  => 0x11, OFFERED => 0x12, ACK      => 0x13, CANCEL => 0x14,
        COLLECT => 0x15, REQUEST => 0x16, REPLY   => 0x17, ACCEPTED => 0x18, CREDIT => 0x19,
        BLOB => 0x20, NEED_BLOB => 0x21, CHUNK         => 0x22,
        RUN  => 0x32, OUTCOME   => 0x33, OUTPUT        => 0x38, OUTPUT_CREDIT => 0x39,
        ASK  => 0x3C, ANSWER    => 0x3D, READY         => 0x40,
        OUTPUT_LEFT => 0x41, OUTPUT_TAKEN => 0x42, CHILD => 0x43, WAITS => 0x44,
        FORK => 0x45, FORKED => 0x46, LOG => 0x47, CHILD_OPEN => 0x48, LENT => 0x3E, REGISTER => 0x30, HELD => 0x49,
    );

    %flag = (
        FLAG_DETACHED    => 0x0001, FLAG_NEVER_TWICE => 0x0002, FLAG_OFFERED_AGAIN => 0x0004,
        FLAG_RETRY_ERROR => 0x0008, FLAG_RETRY_DIED  => 0x0010, FLAG_RETRY_TIMEOUT => 0x0020,
        FLAG_CAPTURE     => 0x0040, FLAG_LIST        => 0x0080, FLAG_STACK       => 0x0100,
        FLAG_AHEAD       => 0x8000,
    );

    %status = (
        STATUS_OK        => 0, STATUS_ERROR => 1, STATUS_DIED     => 2, STATUS_TIMEOUT => 3,
        STATUS_CANCELLED => 4, STATUS_LOST  => 5, STATUS_REJECTED => 6,
        ANSWER_YES       => 0, ANSWER_NO    => 1,
        OUTCOME_LEAVES   => 1,
        RUNTIME_PERL     => 1, RUNTIME_PYTHON => 2, RUNTIME_EXEC => 4,
        CODEC_RUNTIME    => 0, CODEC_JSON   => 1,
        PRIORITY_HIGH    => 0, PRIORITY_NORMAL => 1, PRIORITY_LOW => 2,
    );

    %limit = (
        PROTOCOL_VERSION    => 2,
        ID_BYTES            => 24,
        TOKEN_BYTES         => 16,
        SESSION_BYTES       => 16,
        SECRET_BYTES        => 32,
        FRAME_BYTES_MAX     => 1_048_576,
        PART_BYTES_MAX      => 262_144,
        PAYLOAD_BYTES_MAX   => 1_073_741_824,
        META_BYTES_MAX      => 65_536,
        LABEL_BYTES_MAX     => 200,
        BLOBS_MAX           => 16,
        OUTPUT_CREDIT_BYTES => 1_048_576,
    );

    # SUBMIT and RUN: id, attempt, flags, priority, runtime, timeout_ms, retries, codec, blob_count, backoff_ms,
    # memory_mib, meta_length, stream, payload_length. OUTCOME: id, attempt, status, codec, flags, run_us,
    # meta_length, stream, payload_length. BLOB: hash, stream, length.
    %layout = (
        TASK_HEAD    => 'a24 N n C C N n C C N N N N Q>', TASK_HEAD_BYTES    => 64,
        OUTCOME_HEAD => 'a24 N C C n Q> N N Q>',          OUTCOME_HEAD_BYTES => 56,
        BLOB_HEAD    => 'a32 N Q>',                       BLOB_HEAD_BYTES    => 44,
    );
}

use constant { %kind, %flag, %status, %limit, %layout };

our %KIND_NAME   = reverse %kind;
our @STATUS_NAME = qw(ok error died timeout cancelled lost rejected);

our @TASK_FIELDS = qw(
    id attempt flags priority runtime timeout_ms retries codec blob_count backoff_ms memory_mib meta_length stream
    payload_length
);
our @OUTCOME_FIELDS = qw(id attempt status codec flags run_us meta_length stream payload_length);
our @BLOB_FIELDS    = qw(hash stream length);

our @EXPORT_OK   = (keys %kind, keys %flag, keys %status, keys %limit, keys %layout);
our %EXPORT_TAGS = (all => \@EXPORT_OK);

# A frame: its length and kind, then the body.
sub frame {
    my ($kind, $body) = @_;
    return pack('N C', 1 + length $body, $kind) . $body;
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Protocol - the numbers of the Argon wire protocol

=head1 SYNOPSIS

  use Argon::Protocol qw(:all);

  my $frame = Argon::Protocol::frame(PING, 'abcdefgh');
  my %head;
  @head{@Argon::Protocol::OUTCOME_FIELDS} = unpack OUTCOME_HEAD, $body;

=head1 DESCRIPTION

Constants of the protocol that F<spec/protocol.md> describes: the kinds of frames (C<SUBMIT>, C<OUTCOME>, ...), flags
(C<FLAG_LIST>, ...), statuses (C<STATUS_OK>, ...), limits in bytes (C<PART_BYTES_MAX>, ...) and the layouts of the
binary heads for C<pack> and C<unpack> (C<TASK_HEAD>, C<OUTCOME_HEAD>, C<BLOB_HEAD>).

=head1 FUNCTIONS

=head2 frame($kind, $body)

Returns the bytes of one frame. The body must be bytes, no longer than C<FRAME_BYTES_MAX> less one; it is not checked.

=cut
