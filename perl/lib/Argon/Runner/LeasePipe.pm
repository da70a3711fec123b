package Argon::Runner::LeasePipe;

# Owns what lets a worker hand a runner tasks ahead (spec/runner.md section 3): before it starts such a task, the runner
# claims it by reading its number from a pipe, where the worker may have read it first; and it claims nothing while output of
# the task before is still in the pipes, so that the worker knows whose it is.

use strict;
use warnings;

use Argon::Protocol qw(:all);

my $NUMBER_BYTES = 8;

# In the upper half of a number that is a barrier.
my $BARRIER = 0x8000_0000;

# $numbers: the read end of the pipe, or undef for a runner without one.
sub new {
    my ($class, $socket, $numbers) = @_;
    my $self = bless { socket => $socket, fionread => delete $ENV{ARGON_FIONREAD}, count => pack('i', 0), number => 0, barrier => 0 }, $class;
    return $self if !defined $numbers || !defined $self->{fionread};
    binmode $numbers;
    # A task may close or replace its standard handles; these stay what they are.
    open my $stdout, '>&', \*STDOUT or die "argon runner: standard output cannot be duplicated: $!\n";
    open my $stderr, '>&', \*STDERR or die "argon runner: standard error cannot be duplicated: $!\n";
    @{$self}{qw(numbers outputs)} = ($numbers, [$stdout, $stderr]);
    return $self;
}

# The pipe that the environment names, for a runner that was started.
sub inherited {
    my $descriptor = delete $ENV{ARGON_CLAIM_FD};
    return if !defined $descriptor;
    open my $numbers, '<&=', $descriptor or die "argon runner: the lease pipe cannot be opened: $!\n";
    return $numbers;
}

# True if the worker can send this runner tasks ahead.
sub can_claim { return defined $_[0]{numbers} }

# True if the next task that was sent ahead is still this runner's. Waits until the worker has taken the output of the task before.
sub claim {
    my ($self) = @_;
    $self->output_taken($self->{socket}->next_message_of(OUTPUT_TAKEN)) if $self->{is_output_left};
    my $number = ++$self->{number};
    while ($number >= $self->{barrier}) {
        my ($high, $low) = $self->_next_number or return 0;
        return 1 if !($high & $BARRIER);
        # All before the number that follows the barrier have been taken back. That one may be by now, too, and then
        # another barrier is next.
        $self->{barrier} = ($high ^ $BARRIER) * 2**32 + $low;
    }
    return 0;
}

# Returns OUTPUT_LEFT if the ending task has output in the pipes, else an empty text.
sub output_left {
    my ($self) = @_;
    return $self->{numbers} && ($self->_holds_output(0) || $self->_holds_output(1)) ? $self->_say_left : q{};
}

# The same for a task that can print nothing itself.
sub warnings_left {
    my ($self) = @_;
    return q{} if !$self->{numbers} || !ioctl($self->{outputs}[1], $self->{fionread}, $self->{count}) || !unpack 'i', $self->{count};
    return $self->_say_left;
}

# Perl makes the string as long as it thinks that the kernel may need; so it is kept.
sub _holds_output {
    my ($self, $which) = @_;
    return ioctl($self->{outputs}[$which], $self->{fionread}, $self->{count}) && unpack 'i', $self->{count};
}

sub _say_left {
    my ($self) = @_;
    $self->{is_output_left} = 1;
    return pack 'N C', 1, OUTPUT_LEFT;
}

# The worker has taken the output in the pipes. No message means that the worker has ended.
sub output_taken {
    my ($self, @message) = @_;
    exit 0 if !@message;
    $self->{is_output_left} = 0;
    return;
}

# The two halves of the first number in the pipe; nothing if the worker has taken all of them back.
sub _next_number {
    my ($self) = @_;
    my $bytes;
    while (1) {
        my $read = sysread $self->{numbers}, $bytes, $NUMBER_BYTES;
        return unpack 'N N', $bytes if $read;
        exit 0 if defined $read;
        return if !$!{EINTR};
    }
    return;
}

1;
