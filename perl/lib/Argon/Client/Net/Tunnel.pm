package Argon::Client::Net::Tunnel;

# Owns a connection over TLS through a helper, `argon tunnel`, for a perl that cannot encrypt. The helper dials, checks the
# manager's certificate, writes the channel of the connection and then carries bytes both ways on a socket pair. It has the
# steps of Argon::Client::Net::TLS.

use strict;
use warnings;

use Errno  qw(EAGAIN EINTR EWOULDBLOCK);
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);

use Argon::Client::Net::Link ();
use Argon::Client::Net::Program ();

my $CHANNEL_BYTES = 32;
my $WORDS_BYTES   = 4_096;

# Starts the helper. Dies with a sentence if it cannot.
sub begin {
    my ($class, %peer) = @_;
    my $program = Argon::Client::Net::Program::find()
        // die "A connection to $peer{where} must be encrypted, and this perl cannot: $peer{why}."
        . " Install IO::Socket::SSL 2.0 or later (libio-socket-ssl-perl), or put the program `argon` into PATH or ARGON_PROGRAM.\n";
    socketpair my $handle, my $far, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "A socket pair cannot be made: $!.\n";
    pipe my $words, my $words_end or die "A pipe cannot be made: $!.\n";
    my @trust = defined $peer{pin} ? ('--pin', unpack 'H*', $peer{pin}) : ('--tls-ca', $peer{ca});
    Argon::Client::Net::Program::start($program, ['tunnel', @trust, '--', $peer{where}], in => $far, out => $far, err => $words_end)
        or die "The program $program cannot be started: $!.\n";
    $_->blocking(0) for $handle, $words;
    binmode $handle;
    return bless { %peer, handle => $handle, words => $words, program => $program, channel => q{} }, $class;
}

sub handle      { return $_[0]{handle} }
sub wants_write { return 0 }

# The link and the channel, once the helper has connected; nothing until then. Dies with what the helper wrote if it failed.
sub step {
    my ($self) = @_;
    my $read = sysread $self->{handle}, $self->{channel}, $CHANNEL_BYTES - length $self->{channel}, length $self->{channel};
    if (!$read) {
        return if !defined $read && ($! == EAGAIN || $! == EINTR || $! == EWOULDBLOCK);
        die $self->_words;
    }
    return if length $self->{channel} < $CHANNEL_BYTES;
    close delete $self->{words};
    return (Argon::Client::Net::Link->new($self->{handle}, where => $self->{where}), $self->{channel});
}

# What the helper wrote before it ended, a sentence.
sub _words {
    my ($self) = @_;
    $self->{words}->blocking(1);
    my $words = q{};
    while (length $words < $WORDS_BYTES) {
        my $read = sysread $self->{words}, $words, $WORDS_BYTES - length $words, length $words;
        last if !$read && !$!{EINTR};
    }
    $words =~ s/\s+/ /g;
    $words =~ s/\A\s*(?:argon: )?|\s+\z//g;
    return "$words.\n" if length $words;
    return "The helper `$self->{program} tunnel` ended without a word: check that $self->{program} is the program argon.\n";
}

1;
