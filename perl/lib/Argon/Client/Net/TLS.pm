package Argon::Client::Net::TLS;

# Owns the TLS handshake with a manager through IO::Socket::SSL and its Net::SSLeay, and the check of the manager's certificate.
# The handle stays a plain one, so that every event loop can watch it; Argon::Client::Net::TLSLink carries the bytes later.
# Steps never wait.

use strict;
use warnings;

use POSIX ();

use Argon::Client::Net::TLSLink ();
use Argon::Protocol::Handshake ();

my $TLS_1_3_SINCE = 0x1010_1000;    # OpenSSL 1.1.1
my $NOT_YET_VALID = 9;
my $EXPIRED       = 10;
my %IS_WRONG_NAME = map { $_ => 1 } 62, 63, 64;

# Why this perl cannot speak TLS 1.3, words for a sentence; nothing if it can.
sub lack {
    my ($ok, $problem);
    {
        local $@;
        $ok = eval { require IO::Socket::SSL; IO::Socket::SSL->VERSION('2.0'); require Net::SSLeay; 1 };
        $problem = $@;
    }
    return $ok ? _lack_of_openssl() : _in_words($problem);
}

sub _in_words {
    my ($problem) = @_;
    return 'IO::Socket::SSL is not installed' if $problem =~ m{\ACan't locate IO/Socket/SSL[.]pm};
    $problem =~ s/ at \S+ line \d+.*//s;
    return "IO::Socket::SSL cannot be loaded ($problem)";
}

sub _lack_of_openssl {
    return if defined &Net::SSLeay::CTX_set_min_proto_version && Net::SSLeay::OPENSSL_VERSION_NUMBER() >= $TLS_1_3_SINCE
        && defined &Net::SSLeay::X509_VERIFY_PARAM_set1_host;
    return 'its OpenSSL or Net::SSLeay is too old for TLS 1.3';
}

# Begins on a connected handle that does not block. %peer: where, host, and pin (32 bytes) or ca (a file).
sub begin {
    my ($class, $handle, %peer) = @_;
    my $self = bless { %peer, handle => $handle, wants_write => 0 }, $class;
    my $context = $self->_context;
    my $ssl = Net::SSLeay::new($context->{context}) or die "TLS cannot begin: OpenSSL has no memory.\n";
    $self->{ssl} = Argon::Client::Net::TLSLink::Object->new($ssl, $context);
    Net::SSLeay::set_fd($ssl, fileno $handle) or die "TLS cannot begin on the socket.\n";
    $self->_expect_name($ssl) if !defined $peer{pin};
    return $self;
}

sub handle      { return $_[0]{handle} }
sub wants_write { return $_[0]{wants_write} }

# The link and the channel, once the manager has shown its certificate and that is the right one; nothing until then. Dies
# with [sentence, true if another try would end in the same way].
sub step {
    my ($self) = @_;
    my $ssl = $self->{ssl}->pointer;
    local $SIG{PIPE} = 'IGNORE';
    Net::SSLeay::ERR_clear_error();
    local $! = 0;
    my $made = Net::SSLeay::connect($ssl);
    if ($made <= 0) {
        my $error = Net::SSLeay::get_error($ssl, $made);
        $self->{wants_write} = $error == Net::SSLeay::ERROR_WANT_WRITE();
        return if $self->{wants_write} || $error == Net::SSLeay::ERROR_WANT_READ();
        die $self->_failure($ssl, $!);
    }
    my $certificate = Net::SSLeay::get_peer_certificate($ssl) or die ["What answers at $self->{where} shows no certificate.", 1];
    my $channel = Net::SSLeay::X509_digest($certificate, Net::SSLeay::EVP_get_digestbyname('sha256'));
    Net::SSLeay::X509_free($certificate);
    $self->_check($channel) if defined $self->{pin};
    return (Argon::Client::Net::TLSLink->new($self->{handle}, where => $self->{where}, ssl => $self->{ssl}), $channel);
}

sub _check {
    my ($self, $channel) = @_;
    return if Argon::Protocol::Handshake::is_same($channel, $self->{pin});
    my ($shown, $pin) = map { substr unpack('H*', $_), 0, 16 } $channel, $self->{pin};
    die ["What answers at $self->{where} is not the manager that your key names: its certificate is $shown..., and the key's pin is $pin..."
            . '. Someone may be between you and the manager, the address may be another cluster\'s, or the manager has a new key:'
            . ' get the key anew from its machine.', 1];
}

sub _context {
    my ($self) = @_;
    my $ca = $self->{ca};
    my %trust;
    if (defined $self->{pin}) {
        %trust = (
            SSL_verify_mode    => Net::SSLeay::VERIFY_NONE(),
            SSL_alpn_protocols => ['argon/' . unpack 'H16', $self->{pin}],
        );
    }
    else {
        open my $file, '<', $ca or die ["The file $ca, named by tls_ca or ARGON_TLS_CA, cannot be read: $!.", 1];
        %trust = (SSL_verify_mode => Net::SSLeay::VERIFY_PEER(), SSL_ca_file => $ca);
    }
    local ($@, $!);
    my $context = eval {
        IO::Socket::SSL::SSL_Context->new({ SSL_version => 'SSLv23', SSL_verifycn_scheme => 'none', SSL_check_crl => 0, %trust });
    };
    if ($context && Net::SSLeay::CTX_set_min_proto_version($context->{context}, Net::SSLeay::TLS1_3_VERSION())) {
        return $context;
    }
    die ["The file $ca, named by tls_ca or ARGON_TLS_CA, holds no certificate in PEM.", 1] if defined $ca;
    die ['OpenSSL does not allow TLS 1.3 here: ' . ($IO::Socket::SSL::SSL_ERROR || $@ || 'no reason given') . q{.}, 1];
}

# The name or address that the certificate must be for.
sub _expect_name {
    my ($self, $ssl) = @_;
    my $parameters = Net::SSLeay::get0_param($ssl);
    return if Net::SSLeay::X509_VERIFY_PARAM_set1_ip_asc($parameters, $self->{host});
    Net::SSLeay::X509_VERIFY_PARAM_set1_host($parameters, $self->{host});
    Net::SSLeay::set_tlsext_host_name($ssl, $self->{host});
    return;
}

sub _failure {
    my ($self, $ssl, $errno) = @_;
    my $where  = $self->{where};
    my $code   = Net::SSLeay::ERR_get_error();
    my $reason = $code ? lc((split /:/, Net::SSLeay::ERR_error_string($code))[-1]) : q{};
    my $verify = defined $self->{ca} ? Net::SSLeay::get_verify_result($ssl) : 0;
    return [$self->_untrusted($verify), 1] if $verify && $reason =~ /certificate verify failed/;
    return ["What answers at $where does not speak TLS, so it is not an Argon manager, or one that serves plain text only:"
            . ' check host and port.', 1]
        if $reason =~ /wrong version number|unknown protocol|http request|packet length too long|unexpected message/;
    return ["What answers at $where does not speak TLS 1.3, as every Argon manager does.", 1]
        if $reason =~ /unsupported protocol|protocol version|no protocols available/;
    return ["What answers at $where closed the connection during the TLS handshake: it is not an Argon manager, or it is one that"
            . ' serves plain text only.']
        if $reason =~ /unexpected eof/ || !$code && !$errno;
    return ["The connection to $where broke during the TLS handshake: $errno."] if !$code;
    return ["The TLS handshake with $where failed: $reason."];
}

sub _untrusted {
    my ($self, $verify) = @_;
    my $whose = "The certificate of the manager at $self->{where}";
    if ($verify == $NOT_YET_VALID || $verify == $EXPIRED) {
        my $now = POSIX::strftime('%Y-%m-%d %H:%M UTC', gmtime);
        return "$whose " . ($verify == $EXPIRED ? 'has expired' : 'is not valid yet')
            . ": this machine's clock says $now. Set the clock if it is wrong, else renew the certificate.";
    }
    return "$whose is for another name than $self->{host}: give the address as the certificate names it, or make one with this name."
        if $IS_WRONG_NAME{$verify};
    return "$whose is not of the CA in $self->{ca} (" . Net::SSLeay::X509_verify_cert_error_string($verify)
        . '): check --tls-cert of the manager and tls_ca of the client.';
}

1;
