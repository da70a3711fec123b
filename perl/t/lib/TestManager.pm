package TestManager;

# Owns a small manager for the tests of the client: one process that speaks the listener's side of spec/protocol.md on
# loopback and has real runner processes, so that a test can also order what a real manager does rarely: to reject, to
# grant little credit, to cut the connection, to forget its key. It keeps tasks in memory and knows one session at a time.

use strict;
use warnings;

use IO::Handle       ();
use IO::Socket::INET ();
use POSIX            ();

use Argon::Protocol::Handshake ();
use TestManager::Process ();

# Options: version (of the protocol), insists (answers with its version though the client does not speak it), slots, credit_tasks, credit_bytes, reject (so many SUBMITs), cut_after (so many outcomes, once),
# no_listener_proof, incarnation, port, key.
sub start {
    my ($class, %option) = @_;
    my $key = $option{key} // 'argon1-cluster-' . '5a' x 32;
    my $listener = IO::Socket::INET->new(
        Listen => 16, LocalAddr => '127.0.0.1', LocalPort => $option{port} // 0, ReuseAddr => 1,
    ) or die "cannot listen: $!";
    my $port = $listener->sockport;
    my $process = fork // die "fork: $!";
    if (!$process) {
        my $self = bless {
            %option, listener => $listener, cluster_key => (Argon::Protocol::Handshake::parse_key($key))[1],
            clients => {}, tasks => {}, blobs => {}, queue => [], runners => [], outcomes => 0,
        }, 'TestManager::Process';
        eval { $self->serve; 1 } or print {*STDERR} "test manager: $@";
        POSIX::_exit(0);
    }
    return bless { port => $port, key => $key, process => $process, owner => $$ }, $class;
}

sub port { return $_[0]{port} }
sub key  { return $_[0]{key} }

sub stop {
    my ($self) = @_;
    return if !$self->{process} || $self->{owner} != $$;
    local $?;
    kill KILL => $self->{process};
    waitpid $self->{process}, 0;
    $self->{process} = undef;
    return;
}

sub DESTROY { return $_[0]->stop }

1;
