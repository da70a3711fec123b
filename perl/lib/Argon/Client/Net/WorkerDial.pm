package Argon::Client::Net::WorkerDial;

# Owns the way from a task to its own worker: a Unix socket and a proof of the task, no handshake (spec/protocol.md
# section 9). The worker relays the connection to its manager. It has the steps of Argon::Client::Net::Dial, in whose place
# Argon::Client::Session::Reconnect uses it.

use strict;
use warnings;

use Socket      qw(AF_UNIX SOCK_STREAM pack_sockaddr_un);
use Time::HiRes ();

use Argon::Client::Net::Dial ();
use Argon::Client::Net::Link ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Text ();

use parent -norequire, 'Argon::Client::Net::Dial';

# The worker asks its manager meanwhile.
my $ANSWER_S = 10;

# Begins to connect for a task, an Argon::Client::InTask.
sub begin {
    my ($class, $task) = @_;
    my $path = $task->socket_path;
    my $self = bless { where => "the socket $path of this task's worker" }, $class;
    socket my $handle, AF_UNIX, SOCK_STREAM, 0 or $self->_fail("A Unix socket cannot be made: $!.");
    $handle->blocking(0);
    my $address = eval { pack_sockaddr_un($path) } or $self->_fail("The path $path in ARGON_WORKER_SOCKET is not that of a socket.", for_good => 1);
    connect $handle, $address or $self->_fail("The worker of this task does not answer at $path: $!.");
    binmode $handle;
    @{$self}{qw(handle end)} = ($handle, Time::HiRes::time() + $ANSWER_S);
    $self->{link} = Argon::Client::Net::Link->new($handle, where => $self->{where});
    $self->{link}->send_frame(CHILD, $task->proof);
    return $self;
}

# Does what can be done now: the link and the credit, once the worker has answered.
sub step {
    my ($self) = @_;
    my $credit = $self->_expect(CREDIT) // return;
    my %granted;
    @granted{qw(credit_tasks credit_bytes)} = unpack 'Q> Q>', $credit;
    return ($self->{link}, \%granted);
}

sub _peer { return 'The worker of this task' }

sub _refused {
    my ($self, $body) = @_;
    my $code = Argon::Protocol::Text::field($body, code => 'unknown');
    return $self->_fail("The worker of this task refused its client ($code): " . Argon::Protocol::Text::field($body, message => 'no reason given') . '.',
        for_good => $code ne 'busy');
}

1;
