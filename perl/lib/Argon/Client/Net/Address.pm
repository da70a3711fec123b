package Argon::Client::Net::Address;

# Owns the reading of the addresses and arguments that a client is made with: named or positional, one host or several,
# IPv6 in brackets. It resolves no names.

use strict;
use warnings;

use Argon::Error ();

my $DEFAULT_HOST = '127.0.0.1';
my $DEFAULT_PORT = 8000;

# Returns the named arguments; new('host', 8000, ...) is host and port. The first argument is true for a word that is an option.
sub arguments {
    my ($is_option, @given) = @_;
    @given = %{ $given[0] } if @given == 1 && ref $given[0] eq 'HASH';
    @given = (host => @given) if @given == 1;
    @given = (host => $given[0], port => @given[1 .. $#given])
        if @given >= 2 && ($given[1] // q{}) =~ /\A\d+\z/ && !$is_option->($given[0]);
    _refuse('the options of new are names and values') if @given % 2;
    return @given;
}

# [host, port] for each address. Without any, the environment variable ARGON_MANAGER names them.
sub all {
    my ($host, $port, $hosts) = @_;
    return map { _parse($_, undef) } ref $hosts ? @{$hosts} : split /[\s,]+/, $hosts if defined $hosts;
    my $named = $ENV{ARGON_MANAGER} // q{};
    return all(undef, undef, $named) if !defined $host && !defined $port && $named =~ /\S/;
    return _parse($host // $DEFAULT_HOST, $port);
}

sub _parse {
    my ($text, $port) = @_;
    my ($host, $own_port)
        = $text =~ /\A\[([^\]]+)\](?::(.*))?\z/ ? ($1, $2)
        : $text =~ /\A([^:]*):([^:]*)\z/        ? ($1, $2)
        :                                         ($text, undef);
    $port = $own_port // $port // $DEFAULT_PORT;
    _refuse("'$text' names no host") if $host eq q{};
    _refuse("'$port' is not a port: it must be a number from 1 to 65535") if $port !~ /\A\d{1,5}\z/ || $port < 1 || $port > 65_535;
    return [$host, $port];
}

sub _refuse {
    my ($sentence) = @_;
    die Argon::Error->new(kind => 'option', message => "Argon::Client: $sentence");
}

1;
