package Argon::Protocol::Handshake;

# Owns the proof of the cluster key: the text of a key, the keys of the roles, the transcript and the two proofs.
# Pure functions of their arguments; Argon::Client::Net::Dial carries the bytes. The source is spec/protocol.md, section 2.

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);

my $KEY_LINE = qr/\Aargon1-(cluster|client|worker|observer|admin)-([0-9a-f]{64})
    (?:-([0-9a-f]{64})(?:-([0-9a-f]{16})-([A-Za-z0-9][A-Za-z0-9._@-]{0,31}))?)?\z/x;

# Returns the scope (cluster or a role) and the 32 bytes of the text of a key, argon1-SCOPE-HEX or argon1-SCOPE-HEX-PIN, the pin
# of the manager's certificate, which may be on a line "pin HEX" instead, or undef, and the name and id of a person's key,
# argon1-ROLE-HEX-PIN-ID-NAME. Nothing if it is not a key. Further lines are of later releases, but for a second key, which would
# leave open what the file is for.
sub parse_key {
    my ($text) = @_;
    my ($first, @others) = map { s/\A\s+|\s+\z//gr } split /\n/, $text =~ s/\A\s+//r;
    my ($scope, $hex, $pin, $id, $name) = ($first // q{}) =~ $KEY_LINE or return;
    return if defined $name && ($scope eq 'cluster' || lc $name eq 'admin');
    for my $line (@others) {
        return if $line =~ /\Aargon1-/;
        next   if $line !~ /\Apin /;
        my ($given) = $line =~ /\Apin ([0-9a-f]{64})\z/ or return;
        return if defined $pin && $pin ne $given;
        $pin = $given;
    }
    return ($scope, pack('H*', $hex), (defined $pin ? pack 'H*', $pin : undef), defined $name ? ($name, $id) : ());
}

sub role_key {
    my ($cluster_key, $role) = @_;
    return hmac_sha256("argon-v1 role $role", $cluster_key);
}

# Both bodies exactly as they were sent; the channel is 32 zero bytes on a plain connection.
sub transcript {
    my ($hello, $challenge, $channel) = @_;
    return pack 'N/a* N/a* a32', $hello, $challenge, defined $channel ? $channel : q{};
}

sub dialler_proof {
    my ($role_key, $transcript) = @_;
    return hmac_sha256("argon-v1 dialler proof\0$transcript", $role_key);
}

sub listener_proof {
    my ($role_key, $transcript) = @_;
    return hmac_sha256("argon-v1 listener proof\0$transcript", $role_key);
}

# Compares without telling by its time where two proofs differ.
sub is_same {
    my ($left, $right) = @_;
    return 0 if length $left != length $right;
    my $difference = 0;
    $difference |= $_ for unpack 'C*', $left ^ $right;
    return $difference == 0;
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Protocol::Handshake - the proof of the cluster key

=head1 SYNOPSIS

  use Argon::Protocol::Handshake;

  my ($scope, $key, $pin) = Argon::Protocol::Handshake::parse_key($text) or die "no key";
  my $role_key   = Argon::Protocol::Handshake::role_key($key, 'client');
  my $transcript = Argon::Protocol::Handshake::transcript($hello, $challenge);
  my $proof      = Argon::Protocol::Handshake::dialler_proof($role_key, $transcript);

=head1 DESCRIPTION

The calculations of the handshake of F<spec/protocol.md>, section 2: HMAC-SHA256 over the bodies of HELLO and CHALLENGE, as they
were sent, and the hash of the listener's certificate (32 zero bytes without TLS).

=head1 FUNCTIONS

=head2 parse_key($text)

The scope (C<cluster>, or the name of a role), the 32 bytes and the pin (32 bytes or undef) of a text C<argon1-SCOPE-HEX> or
C<argon1-SCOPE-HEX-PIN>, perhaps with a line C<pin HEX> below it; an empty list when it is not one. For the key of a person,
C<argon1-ROLE-HEX-PIN-ID-NAME>, the name and the id follow.

=head2 role_key($cluster_key, $role)

The 32 bytes of a role's key. A key whose scope is a role is already one.

=head2 transcript($hello, $challenge, $channel)

What both sides prove to have seen. C<$channel> may be left out on a plain connection.

=head2 dialler_proof($role_key, $transcript), listener_proof($role_key, $transcript)

32 bytes each.

=head2 is_same($left, $right)

Compares two proofs in a time that does not depend on where they differ.

=cut
