package Argon::Client::Net::Trust;

# Owns what a client asks of connections that leave its machine: encryption, and which manager it trusts. The rules are those of
# spec/protocol.md, section 2. Argon::Client::Net::Dial asks for each address.

use strict;
use warnings;

use Socket qw(AF_INET AF_INET6 sockaddr_family unpack_sockaddr_in unpack_sockaddr_in6);

use Argon::Error ();

my $LOOPBACK = "\0" x 15 . "\1";
my $MAPPED   = "\0" x 10 . "\xff\xff";

# The options of a client as they were given; what is undef is the environment's to decide.
sub new {
    my ($class, %given) = @_;
    my $encryption = $ENV{ARGON_TLS} // q{};
    _refuse("ARGON_TLS must be auto or always, not '$encryption'") if $encryption !~ /\A(?:auto|always)?\z/;
    my $ca = $given{tls_ca} // $ENV{ARGON_TLS_CA};
    return bless {
        plaintext => defined $given{insecure_plaintext} ? !!$given{insecure_plaintext} : _variable('ARGON_INSECURE_PLAINTEXT'),
        always    => $encryption eq 'always',
        by_tunnel => _variable('ARGON_TLS_TUNNEL'),
        ca        => defined $ca && length $ca ? $ca : undef,
    }, $class;
}

# The file of the organisation's certificates that vouch for the manager, in place of the pin; or undef.
sub ca { return $_[0]{ca} }

# True if the program `argon` is to encrypt, whatever perl has.
sub by_tunnel { return $_[0]{by_tunnel} }

# True if the connection to this packed socket address is encrypted.
sub wants_tls {
    my ($self, $address) = @_;
    return 0 if $self->{plaintext};
    return $self->{always} || !is_loopback($address);
}

# True for an address of this machine.
sub is_loopback {
    my ($address) = @_;
    my $family = sockaddr_family($address);
    return 127 == unpack 'C', (unpack_sockaddr_in($address))[1] if $family == AF_INET;
    return 0 if $family != AF_INET6;
    my $bytes = (unpack_sockaddr_in6($address))[1];
    return $bytes eq $LOOPBACK || $MAPPED eq substr($bytes, 0, 12) && 127 == unpack 'x12 C', $bytes;
}

sub _variable {
    my ($name) = @_;
    my $given = $ENV{$name} // q{};
    _refuse("$name must be 1 or 0, not '$given'") if $given !~ /\A(?:0|1|false|true)?\z/;
    return $given eq '1' || $given eq 'true';
}

sub _refuse {
    my ($sentence) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: $sentence");
}

1;
