package TemplateProcess;

# Owns one real template of perl runners for the tests: starts it as a worker does, asks it for runners over its socket with
# four descriptors each, and gives them as RunnerProcess. Every wait has a deadline.

use strict;
use warnings;

use Carp ();
use Fcntl qw(F_SETFD);
use POSIX ();
use Socket;

use Argon::Protocol qw(:all);
use RunnerProcess;
use SystemCalls;

my $SCM_RIGHTS = 1;

sub start {
    my ($class, %environment) = @_;
    socketpair my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    pipe my $errors, my $errors_end or die "pipe: $!";
    my $process = fork // die "fork: $!";
    if (!$process) {
        open STDIN,  '<', '/dev/null' or die $!;
        open STDOUT, '>', '/dev/null' or die $!;
        POSIX::dup2(fileno $errors_end, 2);
        fcntl $its, F_SETFD, 0;
        # As a worker does, which marks its own descriptors: the template inherits none of them.
        opendir my $folder, '/proc/self/fd' or die $!;
        POSIX::close($_) for grep { /\d/ && $_ > 2 && $_ != fileno $its } readdir $folder;
        %ENV = (PATH => $ENV{PATH}, ARGON_WORKER => 'test', ARGON_FIONREAD => 0x541B, ARGON_SYSCALLS => SystemCalls::text(), %environment,
            ARGON_TEMPLATE => 1, ARGON_RUNNER_FD => fileno $its);
        exec $^X, '-e', RunnerProcess::bootstrap() or POSIX::_exit(127);
    }
    close $errors_end;
    my $self = bless { socket => $mine, errors => $errors, process => $process, owner => $$, forks => 0 }, $class;
    my $program = RunnerProcess::program();
    syswrite $mine, pack('N', length $program) . $program;
    return $self;
}

sub ready {
    my ($self) = @_;
    my ($kind, $body) = $self->next_frame;
    Carp::confess('the template ended: ' . join q{}, readline $self->{errors}) if !defined $kind;
    die "kind $kind where READY was due" if $kind != READY;
    return JSON::PP::decode_json($body);
}

sub next_frame { return RunnerProcess::next_frame($_[0]) }
sub read_bytes { return RunnerProcess::read_bytes(@_) }

# A runner, forked from the template: a RunnerProcess whose READY is still to be read.
sub fork_runner {
    my ($self, %options) = @_;
    my $wanted = $self->ask_for_runner(%options);
    return $self->runner($wanted);
}

# Sends FORK; what has to be given to runner().
sub ask_for_runner {
    my ($self, %options) = @_;
    my $number = ++$self->{forks};
    socketpair my $mine, my $its, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    pipe my $leases, my $leases_end or die "pipe: $!";
    pipe my $output, my $output_end or die "pipe: $!";
    pipe my $errors, my $errors_end or die "pipe: $!";
    my $frame = Argon::Protocol::frame(FORK, pack 'Q> a16', $number, $options{token} // 'sixteen bytes ok');
    $self->send_with_descriptors($options{bytes} // $frame, map { fileno $_ } $its, $leases, $output_end, $errors_end);
    return { number => $number, socket => $mine, leases => $leases_end, output => $output, errors => $errors };
}

# Reads FORKED.
sub runner {
    my ($self, $wanted) = @_;
    my ($kind, $body) = $self->next_frame;
    Carp::confess('the template closed its socket') if !defined $kind;
    die "kind $kind where FORKED was due" if $kind != FORKED;
    my ($number, $process, $errno) = unpack 'Q> N N', $body;
    die "FORKED is for $number where $wanted->{number} was due" if $number != $wanted->{number};
    die 'the template could not fork: ' . ($! = $errno) if !$process;
    return RunnerProcess->adopt(%{$wanted}, process => $process);
}

sub send_with_descriptors {
    my ($self, $bytes, @descriptors) = @_;
    my $control = pack 'Q i i i*', 16 + 4 * @descriptors, SOL_SOCKET, $SCM_RIGHTS, @descriptors;
    my $vector  = pack 'P Q', $bytes, length $bytes;
    my $message = pack 'x8 x8 P Q P Q x8', $vector, 1, $control, length $control;
    my $sent = syscall SystemCalls::numbers()->{sendmsg}, fileno($self->{socket}) + 0, $message, 0;
    die "sendmsg: $!" if $sent != length $bytes;
    return;
}

sub process { return $_[0]{process} }

# Waits for the process to end; its wait status.
sub end { return RunnerProcess::end($_[0]) }

sub DESTROY { return RunnerProcess::DESTROY($_[0]) }

1;
