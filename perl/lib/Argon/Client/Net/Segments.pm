package Argon::Client::Net::Segments;

# Owns the sizes of TCP segments. Some networks (VPNs, overlays) lose large packets without a message: a connection opens,
# small messages pass, and the first big one stops it for ever. A manager to which a connection ended like that is dialled
# with small segments. This process remembers it for each manager; the rules are those of crates/argon-net/src/segments.rs.

use strict;
use warnings;

use Socket      qw(AF_UNIX IPPROTO_TCP TCP_MAXSEG sockaddr_family);
use Time::HiRes ();

# Payload of a small segment: with its headers it fits into the 576 bytes that every IPv4 network carries.
my $SMALL_BYTES = 536;
# Time for which a manager is dialled with small segments after a connection to it has stopped moving.
my $SMALL_S = 3600;
# A manager that has sent nothing for this long has missed a heartbeat. It sends one every 5 s.
my $MISSED_S = 7;
# An answer of the manager's kernel, for example to a probe, that is younger shows that small packets pass.
my $ANSWERED_S = 10;
# Times that the kernel has sent the same segment again before it counts as lost on its way.
my $RETRANSMITS_MIN = 3;
# Ends in a row that count although nothing at all came back from the manager, which may just have been away.
my $UNCLEAR_MAX = 2;
# tcpi_retransmits, tcpi_last_data_recv and tcpi_last_ack_recv (milliseconds) of Linux' struct tcp_info, and its size up to there.
my $INFO       = 'x2 C x49 L2';
my $INFO_BYTES = 60;

my (%small_until, %unclear);

# A connection to an address ("host:port") has ended; its handle is still open.
sub note_end {
    my ($where, $handle) = @_;
    return note($where, _movement_of($handle), Time::HiRes::time());
}

# Sets the size before the connection begins, so that the manager learns of it and sends small segments, too.
sub shrink_if_needed {
    my ($where, $handle) = @_;
    setsockopt $handle, IPPROTO_TCP, TCP_MAXSEG, $SMALL_BYTES if is_small($where, Time::HiRes::time());
    return;
}

# How the bytes of a connection moved at its end: moved, stuck or unclear. Ages are seconds.
sub movement {
    my ($retransmits, $data_age, $answer_age) = @_;
    my $is_silent = $data_age >= $MISSED_S;
    return $is_silent ? 'unclear' : 'stuck' if $retransmits >= $RETRANSMITS_MIN;
    return 'moved' if !$is_silent;
    return $answer_age < $ANSWERED_S ? 'stuck' : 'unclear';
}

# Takes how a connection has ended.
sub note {
    my ($where, $movement, $now) = @_;
    # Small segments stay for their time when it moves: they may be why.
    my $unclear = 1 + (delete $unclear{$where} || 0);
    if    ($movement eq 'unclear' && $unclear < $UNCLEAR_MAX) { $unclear{$where}     = $unclear }
    elsif ($movement ne 'moved')                              { $small_until{$where} = $now + $SMALL_S }
    return;
}

# True if the manager is to be dialled with small segments.
sub is_small {
    my ($where, $now) = @_;
    return $now < ($small_until{$where} || 0);
}

sub _movement_of {
    my ($handle) = @_;
    my $option = $^O eq 'linux' ? Socket::TCP_INFO() : return 'moved';
    my $name   = $handle && defined fileno $handle && getsockname $handle;
    return 'moved' if !$name || sockaddr_family($name) == AF_UNIX;
    my $info = getsockopt $handle, IPPROTO_TCP, $option;
    return 'moved' if length($info // q{}) < $INFO_BYTES;
    my ($retransmits, $data_ms, $answer_ms) = unpack $INFO, $info;
    return movement($retransmits, $data_ms / 1000, $answer_ms / 1000);
}

1;
