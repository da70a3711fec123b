package Argon::Runner::Template;

# Owns the template of a worker's perl runners (spec/runner.md section 8): a process that has loaded the runner and nothing of
# any user's, and forks itself into runners on request. It holds its socket and /dev/null, opens nothing and draws no random
# number. Argon::Runner makes it when the environment has ARGON_TEMPLATE, and is what each child becomes.

use strict;
use warnings;

use Argon::Code::Receive ();
use Argon::Data          ();
use Argon::Protocol qw(:all);
use Argon::Runner::Kernel ();

my $TITLE = 'argon perl template';

# FORK: length and kind of the frame, number of the runner, token of its tasks.
my $FORK       = 'N C Q> a16';
my $FORK_BYTES = 29;

# Socket, claim pipe, standard output and standard error of a runner; in a sandbox the rules of the runner, else its control
# group, where there are groups.
my $DESCRIPTORS     = 4;
my $DESCRIPTORS_MAX = 5;

my $SIGKILL = 9;

sub new {
    my ($class, $handle) = @_;
    binmode $handle;
    _load_for_first_task();
    # The folder of the scratch folders of all runners.
    my $sandbox = delete $ENV{ARGON_SANDBOX};
    return bless { handle => $handle, process => $$, parent => getppid, sandbox => $sandbox }, $class;
}

# Loads what a runner loads when it is needed first, so that no child has to. It is core perl and the runner's own.
sub _load_for_first_task {
    require Sub::Util if $] >= 5.022;
    Argon::Data::decode(Argon::Data::encode([undef, []]));
    Argon::Code::Receive::compile("sub { 1 }\n");
    return;
}

# Serves until the socket is closed, then exits. In a child it returns: the handle of the runner's socket.
sub serve {
    my ($self) = @_;
    Argon::Runner::Kernel::has(qw(clone prctl recvmsg setsid)) or die "argon runner: ARGON_SYSCALLS does not name what a template calls\n";
    delete $ENV{ARGON_TEMPLATE};
    $0 = $TITLE;
    # Until now it was the worker's pipe for what goes wrong at the start.
    open STDERR, '>>', '/dev/null' or die "argon runner: /dev/null: $!\n";
    my $version = sprintf '%vd', $^V;
    $self->_send(READY, qq({"runtime":"perl","version":"$version","pid":$$,"template":true}));
    while (my ($runner, $token, $last, @handles) = $self->_next_request) {
        # Nothing is buffered here, or both processes would write it.
        my $group   = defined $last && !defined $self->{sandbox} ? fileno $last : undef;
        my $process = Argon::Runner::Kernel::clone_sibling($group);
        if (defined $process && !$process) {
            $self->_enter_sandbox($runner, $last) if defined $self->{sandbox};
            close $last                           if defined $last;
            return $self->_become_runner($token, @handles);
        }
        close $last if defined $last;
        $self->_send(FORKED, defined $process ? pack('Q> N', $runner, $process) : pack 'Q> N N', $runner, 0, $! + 0);
    }
    exit 0;
}

# Number of the runner, token, its group or rules or undef, and a handle for each other descriptor. Nothing at the end of the socket.
sub _next_request {
    my ($self) = @_;
    my ($frame, @descriptors) = (q{});
    while (length $frame < $FORK_BYTES) {
        my ($bytes, @more) = Argon::Runner::Kernel::receive_with_descriptors($self->{handle}, $FORK_BYTES - length $frame, $DESCRIPTORS_MAX);
        if (!defined $bytes) {
            next if $!{EINTR};
            die "argon runner: the template cannot read its socket: $!\n";
        }
        push @descriptors, @more;
        return if !length $bytes;
        $frame .= $bytes;
    }
    my ($length, $kind, $runner, $token) = unpack $FORK, $frame;
    die sprintf "argon runner: a frame of kind 0x%02x with %d bytes and %d descriptors is not FORK\n", $kind, $length, scalar @descriptors
        if $kind != FORK || $length != $FORK_BYTES - 4 || @descriptors < $DESCRIPTORS || @descriptors > $DESCRIPTORS_MAX;
    my @modes = ('+<&=', '<&=', '>&=', '>&=', '<&=');
    my @handles;
    for my $index (0 .. $#descriptors) {
        open my $handle, $modes[$index], $descriptors[$index] or die "argon runner: a descriptor of FORK cannot be used: $!\n";
        push @handles, $handle;
    }
    my $last = @handles > $DESCRIPTORS ? pop @handles : undef;
    return ($runner, $token, $last, @handles);
}

# Restricts this process, which has just been forked, before it executes anything of a task.
sub _enter_sandbox {
    my ($self, $runner, $rules) = @_;
    exit 70 if !defined $rules || !Argon::Runner::Kernel::restrict(fileno $rules);
    $ENV{TMPDIR} = "$self->{sandbox}/$runner";
    chdir $ENV{TMPDIR} or exit 70;
    return;
}

# Makes this process, which has just been forked, what a runner that was started is.
sub _become_runner {
    my ($self, $token, $socket, $claims, $output, $errors) = @_;
    close $self->{handle};
    # A C library that remembers the number of the process gives that of the template.
    exit 70 if $$ == $self->{process};
    Argon::Runner::Kernel::set_session();
    Argon::Runner::Kernel::die_with_parent($SIGKILL);
    # The worker may have ended before that.
    exit 0 if getppid != $self->{parent};
    # Opened anew: runners of other sessions would share flags with this one.
    open STDIN, '<', '/dev/null' or exit 70;
    open STDOUT, '>&', $output or exit 70;
    open STDERR, '>&', $errors or exit 70;
    close $output;
    close $errors;
    $^T = time;
    $ENV{ARGON_TASK_TOKEN} = unpack 'H*', $token;
    return ($socket, $claims);
}

sub _send {
    my ($self, $kind, $body) = @_;
    my $frame = Argon::Protocol::frame($kind, $body);
    my $written = syswrite $self->{handle}, $frame;
    exit 0 if !defined $written || $written != length $frame;
    return;
}

1;
