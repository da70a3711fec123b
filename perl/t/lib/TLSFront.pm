package TLSFront;

# Owns a machine in the middle for the tests: a server with a certificate of its own before a manager on loopback. With the
# client's key it plays the manager; without, it relays what it decrypts. python/tests/tls_front.py is the program.

use strict;
use warnings;

use Cwd            ();
use Digest::SHA    ();
use File::Basename ();
use MIME::Base64   ();

use Argon::Protocol::Handshake ();

my $ROOT         = Cwd::abs_path(File::Basename::dirname(__FILE__) . '/../../..');
my $CERTIFICATES = "$ROOT/tests/certificates";

# Stands before a Cluster. Options: certificate (its name), relays (true: it has no key).
sub start {
    my ($class, $cluster, %option) = @_;
    my $name = $option{certificate} // 'other';
    my @key  = $option{relays} ? () : ('--key', $cluster->key_file);
    my $process = open my $ready, '-|', 'python3', "$ROOT/python/tests/tls_front.py", '--certificate', $name, '--manager',
        '127.0.0.1:' . $cluster->port, @key
        or die "fork: $!";
    local $SIG{ALRM} = sub { die "the front did not become ready\n" };
    alarm 30;
    my ($port) = (readline($ready) // q{}) =~ /addr=127[.]0[.]0[.]1:(\d+)/ or die "the front ended\n";
    alarm 0;
    return bless { port => $port, process => $process, ready => $ready, owner => $$, key => role_key($cluster, pin_of($name)) }, $class;
}

sub port    { return $_[0]{port} }
sub key     { return $_[0]{key} }
sub process { return $_[0]{process} }

sub client_arguments {
    my ($self) = @_;
    return (host => '127.0.0.1', port => $self->{port}, key => $self->{key});
}

sub ca_file { return "$CERTIFICATES/ca.pem" }

# The key of the clients of a Cluster, with this pin.
sub role_key {
    my ($cluster, $pin) = @_;
    return join '-', 'argon1-client', unpack('H*', Argon::Protocol::Handshake::role_key(_secret($cluster), 'client')), $pin // ();
}

# The first line of the cluster's key file alone.
sub cluster_line { return 'argon1-cluster-' . unpack 'H*', _secret($_[0]) }

# The pin that a key would have for a certificate of the tests.
sub pin_of {
    my ($name) = @_;
    my ($text) = _file("$CERTIFICATES/$name.pem") =~ /-----BEGIN CERTIFICATE-----(.*)-----END/s or die "no certificate $name\n";
    return Digest::SHA::sha256_hex(MIME::Base64::decode_base64($text));
}

sub _secret {
    my ($cluster) = @_;
    return (Argon::Protocol::Handshake::parse_key(_file($cluster->key_file)))[1];
}

sub _file {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!";
    local $/;
    return readline $file;
}

sub DESTROY {
    my ($self) = @_;
    return if $self->{owner} != $$;
    local ($?, $!);
    kill KILL => $self->{process};
    close $self->{ready};
    return;
}

1;
