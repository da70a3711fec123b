package Argon::Client::Dial;

# Owns the way from an address to a proven connection: name, connect, handshake. One try at one address; it returns a
# link and what the manager granted, or dies with an Argon::Client::Dial::Failure that says whether trying again can help.

use strict;
use warnings;

use Errno qw(EAGAIN EINPROGRESS EINTR EWOULDBLOCK);
use JSON::PP    ();
use Socket      qw(IPPROTO_TCP SOCK_STREAM SOL_SOCKET SO_ERROR SO_KEEPALIVE TCP_NODELAY getaddrinfo);
use Time::HiRes ();

use Argon::Client::Key ();
use Argon::Client::Link ();
use Argon::Client::Wait ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Handshake ();

my $CONNECT_S   = 5;
my $HANDSHAKE_S = 5;

# Connects to [host, port] with the key that the option names.
sub dial {
    my ($address, $key_option) = @_;
    my ($key, $origin) = eval { Argon::Client::Key::find($key_option) };
    _fail($@, for_good => 1) if !defined $key;
    my $where  = $address->[0] =~ /:/ ? "[$address->[0]]:$address->[1]" : "$address->[0]:$address->[1]";
    my $handle = _connect($address, $where);
    my $link   = Argon::Client::Link->new($handle, where => $where);
    return ($link, _prove($link, $key, $origin));
}

sub _connect {
    my ($address, $where) = @_;
    my ($error, @found) = getaddrinfo(@{$address}, { socktype => SOCK_STREAM, protocol => IPPROTO_TCP });
    _fail("The host $address->[0] is not known ($error): check the name given as host.") if $error;
    my $reason = 'no address';
    for my $one (@found) {
        socket my $handle, $one->{family}, $one->{socktype}, $one->{protocol} or next;
        $handle->blocking(0);
        return _tuned($handle) if connect $handle, $one->{addr};
        if ($! == EINPROGRESS || $! == EINTR) {
            Argon::Client::Wait->choose->io($handle, 1, $CONNECT_S);
            my $status = getsockopt $handle, SOL_SOCKET, SO_ERROR;
            local $! = unpack 'i', $status;
            return _tuned($handle) if !$! && getpeername $handle;
            $reason = $! ? "$!" : "no answer within $CONNECT_S s";
        }
        else {
            $reason = "$!";
        }
    }
    return _fail("No manager answers at $where ($reason): start one there with `argon manager` or `argon up`, or check host and port.");
}

sub _tuned {
    my ($handle) = @_;
    setsockopt $handle, IPPROTO_TCP, TCP_NODELAY,  1;
    setsockopt $handle, SOL_SOCKET,  SO_KEEPALIVE, 1;
    binmode $handle;
    return $handle;
}

# The handshake of spec/protocol.md, section 2. Returns what WELCOME says.
sub _prove {
    my ($link, $key, $origin) = @_;
    my $json  = JSON::PP->new->utf8->canonical;
    my $hello = $json->encode({
        min => PROTOCOL_VERSION, max => PROTOCOL_VERSION, role => 'client', nonce => unpack('H*', random(32)), capabilities => [],
    });
    $link->{out} = 'ARGN';
    $link->send_frame(HELLO, $hello);
    my $end       = Time::HiRes::time() + $HANDSHAKE_S;
    my $challenge = _expect($link, CHALLENGE, $origin, $end);
    my $parsed    = eval { $json->decode($challenge) };
    _fail("What answers at $link->{where} is not an Argon manager.", for_good => 1) if ref $parsed ne 'HASH';
    _fail("The manager at $link->{where} speaks version $parsed->{version} of the protocol, this client version "
            . PROTOCOL_VERSION . ': use releases that are neighbours.', for_good => 1)
        if ($parsed->{version} || 0) != PROTOCOL_VERSION;
    my $transcript = Argon::Protocol::Handshake::transcript($hello, $challenge);
    $link->send_frame(PROOF, Argon::Protocol::Handshake::dialler_proof($key, $transcript));
    my $welcome = _expect($link, WELCOME, $origin, $end);
    Argon::Protocol::Handshake::is_same(substr($welcome, 0, 32), Argon::Protocol::Handshake::listener_proof($key, $transcript))
        or _fail("What answers at $link->{where} does not hold the cluster key from $origin: it may be another's manager.",
        for_good => 1);
    my $granted = eval { $json->decode(substr $welcome, 32) };
    _fail("The manager at $link->{where} said a WELCOME that cannot be read.") if ref $granted ne 'HASH';
    return $granted;
}

# The body of the next frame, which must be of this kind. What follows it stays in the link.
sub _expect {
    my ($link, $kind, $origin, $end) = @_;
    while (1) {
        my $have = length($link->{in}) - $link->{at};
        if ($have >= 5) {
            my ($length, $found) = unpack 'N C', substr $link->{in}, $link->{at}, 5;
            _fail("What answers at $link->{where} is not an Argon manager.", for_good => 1)
                if $length < 1 || $length > FRAME_BYTES_MAX || $found != $kind && $found != REFUSED;
            if ($have >= 4 + $length) {
                my $body = substr $link->{in}, $link->{at} + 5, $length - 1;
                $link->{at} += 4 + $length;
                return $body if $found == $kind;
                _refused($link, $body, $origin);
            }
        }
        my $flushed = $link->flush;
        my $left    = $end - Time::HiRes::time();
        _fail("The manager at $link->{where} did not finish the handshake within $HANDSHAKE_S s.") if $left <= 0;
        Argon::Client::Wait->choose->io($link->handle, !$flushed, $left);
        $link->read_some or _fail("The manager at $link->{where} closed the connection during the handshake.");
    }
    return;
}

sub _refused {
    my ($link, $body, $origin) = @_;
    my $refused = eval { JSON::PP->new->utf8->decode($body) } || {};
    my $code    = $refused->{code}    // 'unknown';
    my $message = $refused->{message} // 'no reason given';
    _fail("The key from $origin does not open the manager at $link->{where}: $message."
            . ' `argon key` on its machine shows the right one.', for_good => 1) if $code eq 'key';
    return _fail("The manager at $link->{where} refused this client ($code): $message.", for_good => $code eq 'version');
}

# Bytes from the kernel's generator: ids and nonces must not repeat after a fork or under srand.
sub random {
    my ($count) = @_;
    open my $source, '<:raw', '/dev/urandom' or die "Argon needs /dev/urandom: $!.\n";
    my $bytes = q{};
    while (length $bytes < $count) {
        sysread $source, $bytes, $count - length $bytes, length $bytes or die "Argon cannot read /dev/urandom.\n";
    }
    return $bytes;
}

sub _fail {
    my ($sentence, %fields) = @_;
    $sentence =~ s/\s+\z//;
    $sentence =~ s/[.][.]\z/./;
    die bless { sentence => $sentence, for_good => 0, %fields }, 'Argon::Client::Dial::Failure';
}

1;
