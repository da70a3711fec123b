package Argon::Client::Net::Dial;

# Owns the way from an address to a proven connection: name, connect, handshake. One try at one address, made of steps that
# never wait: step returns a link and what the manager granted, nothing as long as there is neither, or dies with an
# Argon::Client::Net::Dial::Failure that shows whether trying again can help. finish waits. Only the look-up of a name blocks.

use strict;
use warnings;

use Errno       qw(EINPROGRESS EINTR);
use JSON::PP    ();
use Socket      qw(IPPROTO_TCP SOCK_STREAM SOL_SOCKET SO_ERROR SO_KEEPALIVE TCP_KEEPIDLE TCP_NODELAY getaddrinfo);
use Time::HiRes ();

use Argon::Client::Net::Key ();
use Argon::Client::Net::Link ();
use Argon::Client::Net::Segments ();
use Argon::Client::Net::Trust ();
use Argon::Client::Wait ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Handshake ();
use Argon::Protocol::Text ();

my $CONNECT_S   = 5;
my $HANDSHAKE_S = 5;
# Silence after which the kernel asks the manager's for an answer. The manager sends a heartbeat every 5 s.
my $PROBE_AFTER_S = 6;

my $SAME_RELEASE = 'install the same release of Argon on both sides';

# Begins to connect to [host, port] with the key that the option names; the trust is an Argon::Client::Net::Trust.
sub begin {
    my ($class, $address, $key_option, $trust) = @_;
    my $where = $address->[0] =~ /:/ ? "[$address->[0]]:$address->[1]" : "$address->[0]:$address->[1]";
    my ($key, $origin, $pin, $cluster_line, $owner, $key_id) = eval { Argon::Client::Net::Key::find($key_option, $where) };
    $class->_fail($@, for_good => 1) if !defined $key;
    my ($error, @found) = getaddrinfo(@{$address}, { socktype => SOCK_STREAM, protocol => IPPROTO_TCP });
    $class->_fail("The host $address->[0] is not known ($error): check the name given as host.") if $error;
    my $self = bless {
        key => $key, origin => $origin, pin => $pin, cluster_line => $cluster_line,
        holder => defined $owner ? { owner => $owner, key => $key_id } : {},
        trust => $trust // Argon::Client::Net::Trust->new,
        host => $address->[0], where => $where, found => \@found, reason => 'no address',
    }, $class;
    $self->_next_address;
    return $self;
}

# Does what can be done now.
sub step {
    my ($self) = @_;
    if (!$self->{link}) {
        my ($link, $channel) = $self->{tls} || $self->_is_connected ? $self->_link : ();
        $self->_say_hello($link, $channel) if $link;
        return if !$link;
    }
    return $self->_prove;
}

# The link on the connected handle, and its channel if it is encrypted; nothing as long as the TLS handshake is under way.
sub _link {
    my ($self) = @_;
    if (!$self->{tls}) {
        my $handle = _tuned($self->{handle});
        return Argon::Client::Net::Link->new($handle, where => $self->{where}) if !$self->{is_encrypted};
        $self->{end} = Time::HiRes::time() + $HANDSHAKE_S;
        $self->{tls} = $self->_try_tls(sub { Argon::Client::Net::TLS->begin($handle, %{ $self->_peer_to_trust }) });
    }
    my @made = $self->_try_tls(sub { $self->{tls}->step });
    $self->_fail("What answers at $self->{where} did not finish the TLS handshake in time: it may not be an Argon manager.")
        if !@made && Time::HiRes::time() >= $self->{end};
    return @made;
}

sub _try_tls {
    my ($self, $code) = @_;
    my @made;
    return wantarray ? @made : $made[0] if eval { @made = $code->(); 1 };
    die $@ if ref $@ && ref $@ ne 'ARRAY';
    my ($sentence, $for_good) = ref $@ ? @{$@} : $@;
    return $self->_fail($sentence, for_good => $for_good || 0);
}

# Which manager an encrypted connection is to be with.
sub _peer_to_trust {
    my ($self) = @_;
    my %peer = (where => $self->{where}, host => $self->{host}, ca => $self->{trust}->ca);
    return \%peer if defined $peer{ca};
    $self->{pin} //= eval { Argon::Client::Net::Key::derive_pin(@{$self}{qw(origin cluster_line)}) } // $self->_fail($@, for_good => 1);
    return { %peer, pin => $self->{pin} };
}

# Begins an encrypted connection through the program `argon`, if this perl cannot encrypt. It finds the addresses by itself.
sub _begin_tunnel {
    my ($self) = @_;
    require Argon::Client::Net::TLS;
    my $lack = $self->{trust}->by_tunnel ? 'ARGON_TLS_TUNNEL does not let it' : Argon::Client::Net::TLS::lack() // return 0;
    require Argon::Client::Net::Tunnel;
    my $peer = $self->_peer_to_trust;
    $self->{tls} = eval { Argon::Client::Net::Tunnel->begin(%{$peer}, why => $lack) } // $self->_fail($@, for_good => 1);
    @{$self}{qw(handle end)} = ($self->{tls}->handle, Time::HiRes::time() + $CONNECT_S + $HANDSHAKE_S);
    return 1;
}

# Steps and waits until there is a connection.
sub finish {
    my ($self) = @_;
    while (1) {
        my @made = $self->step;
        return @made if @made;
        my $left = $self->{end} - Time::HiRes::time();
        Argon::Client::Wait->choose->io($self->{handle}, $self->wants_write, $left > 0 ? $left : 0);
    }
    return;
}

# For an event loop: what to watch, and until when.
sub handle   { return $_[0]{handle} }
sub deadline { return $_[0]{end} }

sub wants_write {
    my ($self) = @_;
    return $self->{link} ? $self->{link}->has_output : $self->{tls} ? $self->{tls}->wants_write : 1;
}

# Begins with the next address of the name, until one does not fail at once.
sub _next_address {
    my ($self) = @_;
    while (my $one = shift @{ $self->{found} }) {
        $self->{is_encrypted} = $self->{trust}->wants_tls($one->{addr});
        return if $self->{is_encrypted} && $self->_begin_tunnel;
        socket my $handle, $one->{family}, $one->{socktype}, $one->{protocol} or next;
        $handle->blocking(0);
        Argon::Client::Net::Segments::shrink_if_needed($self->{where}, $handle);
        @{$self}{qw(handle end)} = ($handle, Time::HiRes::time() + $CONNECT_S);
        return if connect($handle, $one->{addr}) || $! == EINPROGRESS || $! == EINTR;
        $self->{reason} = "$!";
    }
    return $self->_fail("No manager answers at $self->{where} ($self->{reason}):"
            . ' start one there with `argon manager` or `argon up`, or check host and port.');
}

sub _is_connected {
    my ($self) = @_;
    while (1) {
        my $status = getsockopt $self->{handle}, SOL_SOCKET, SO_ERROR;
        local $! = unpack 'i', $status;
        return 1 if !$! && getpeername $self->{handle};
        return 0 if !$! && Time::HiRes::time() < $self->{end};
        $self->{reason} = $! ? "$!" : "no answer within $CONNECT_S s";
        $self->_next_address;
    }
    return;
}

sub _tuned {
    my ($handle) = @_;
    setsockopt $handle, IPPROTO_TCP, TCP_NODELAY,  1;
    setsockopt $handle, SOL_SOCKET,  SO_KEEPALIVE, 1;
    setsockopt $handle, IPPROTO_TCP, TCP_KEEPIDLE, $PROBE_AFTER_S if $^O eq 'linux';
    binmode $handle;
    return $handle;
}

# The handshake of spec/protocol.md, section 2.
sub _say_hello {
    my ($self, $link, $channel) = @_;
    @{$self}{qw(link channel)} = ($link, $channel);
    $self->{end}   = Time::HiRes::time() + $HANDSHAKE_S;
    $self->{hello} = JSON::PP->new->utf8->canonical->encode({
        min => PROTOCOL_VERSION, max => PROTOCOL_VERSION, role => 'client', nonce => unpack('H*', random(32)), capabilities => [],
        %{ $self->{holder} },
    });
    $self->{link}{out} = 'ARGN';
    return $self->{link}->send_frame(HELLO, $self->{hello});
}

# Returns the link and the content of WELCOME, once it has arrived.
sub _prove {
    my ($self) = @_;
    my ($link, $where) = @{$self}{qw(link where)};
    if (!$self->{transcript}) {
        my $challenge = $self->_expect(CHALLENGE) // return;
        my $parsed = eval { JSON::PP->new->utf8->decode($challenge) };
        $self->_fail("What answers at $where is not an Argon manager.", for_good => 1) if ref $parsed ne 'HASH';
        my $version = ($parsed->{version} // q{}) =~ /\A([0-9]{1,9})\z/ ? $1 : 'an unknown one';
        $self->_fail("The manager at $where speaks version $version of the protocol, this client version "
                . PROTOCOL_VERSION . ": $SAME_RELEASE.", for_good => 1)
            if $version ne PROTOCOL_VERSION;
        $self->{transcript} = Argon::Protocol::Handshake::transcript($self->{hello}, $challenge, $self->{channel});
        $link->send_frame(PROOF, Argon::Protocol::Handshake::dialler_proof($self->{key}, $self->{transcript}));
    }
    my $welcome = $self->_expect(WELCOME) // return;
    my $proof   = Argon::Protocol::Handshake::listener_proof($self->{key}, $self->{transcript});
    Argon::Protocol::Handshake::is_same(substr($welcome, 0, 32), $proof)
        or $self->_fail("What answers at $where does not hold the cluster key from $self->{origin}: it may be another's manager.",
        for_good => 1);
    my $granted = eval { JSON::PP->new->utf8->decode(substr $welcome, 32) };
    $self->_fail("The manager at $where sent a WELCOME that cannot be read.")
        if ref $granted ne 'HASH' || ($granted->{incarnation} // q{}) !~ /\A[0-9a-f]{32}\z/
        || grep { ($_ // 0) !~ /\A[0-9]{1,18}\z/ } @{$granted}{qw(credit_tasks credit_bytes)};
    return ($link, $granted);
}

sub _peer { return "The manager at $_[0]{where}" }

# The body of the next frame, which must be of this kind, or undef if it is not here yet. What follows it stays in the link.
sub _expect {
    my ($self, $kind) = @_;
    my $link = $self->{link};
    $link->flush;
    my $body = $self->_take($kind) // ($link->read_some ? $self->_take($kind) : undef);
    return $body if defined $body;
    $self->_fail($self->_peer . ' closed the connection during the handshake.') if $link->broken;
    $self->_fail($self->_peer . " did not finish the handshake within $HANDSHAKE_S s.")
        if Time::HiRes::time() >= $self->{end};
    return;
}

sub _take {
    my ($self, $kind) = @_;
    my $link = $self->{link};
    my $have = length($link->{in}) - $link->{at};
    return if $have < 5;
    my ($length, $found) = unpack 'N C', substr $link->{in}, $link->{at}, 5;
    # A TLS alert: what answers cannot read plain text.
    $self->_fail("What answers at $link->{where} speaks TLS, and this client plain text: leave out insecure_plaintext and"
            . ' ARGON_INSECURE_PLAINTEXT.', for_good => 1) if $length >> 16 == 0x1503;
    $self->_fail("What answers at $link->{where} is not an Argon manager.", for_good => 1)
        if $length < 1 || $length > FRAME_BYTES_MAX || $found != $kind && $found != REFUSED;
    return if $have < 4 + $length;
    my $body = substr $link->{in}, $link->{at} + 5, $length - 1;
    $link->{at} += 4 + $length;
    return $body if $found == $kind;
    return $self->_refused($body);
}

sub _refused {
    my ($self, $body) = @_;
    my ($link, $origin) = @{$self}{qw(link origin)};
    my $code    = Argon::Protocol::Text::field($body, code    => 'unknown');
    my $message = Argon::Protocol::Text::field($body, message => 'no reason given');
    $message =~ s/[.]\z//;
    $self->_fail("The key from $origin does not open the manager at $link->{where}, which says: $message.", for_good => 1)
        if $code eq 'key';
    $self->_fail("The manager at $link->{where} speaks another version of the protocol than this client, version "
            . PROTOCOL_VERSION . " ($message): $SAME_RELEASE.", for_good => 1) if $code eq 'version';
    return $self->_fail("The manager at $link->{where} refused this client ($code): $message.", for_good => $code ne 'busy');
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
    my (undef, $sentence, %fields) = @_;
    $sentence =~ s/\s+\z//;
    $sentence =~ s/[.][.]\z/./;
    die bless { sentence => $sentence, for_good => 0, %fields }, 'Argon::Client::Net::Dial::Failure';
}

1;
