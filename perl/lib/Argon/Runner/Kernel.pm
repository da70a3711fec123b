package Argon::Runner::Kernel;

# Owns the system calls for which perl has no function without loading POSIX. The worker gives their numbers in ARGON_SYSCALLS
# (spec/runner.md section 8). Structures are those of 64-bit Linux; a worker gives no numbers elsewhere, and has() is false then.

use strict;
use warnings;
no warnings 'portable';    # 64 bits, see has()

use constant {
    SIGNALS_BYTES     => 8,               # of a set of signals
    LIMIT_BYTES       => 16,              # soft and hard value of one resource
    SIGCHLD           => 17,
    SIG_SETMASK       => 2,
    CLONE_PARENT      => 0x0000_8000,
    CLONE_INTO_CGROUP => 0x2_0000_0000,
    PR_SET_PDEATHSIG  => 1,
    MSG_CMSG_CLOEXEC  => 0x4000_0000,
    SOL_SOCKET        => 1,
    SCM_RIGHTS        => 1,
    O_CLOEXEC         => 0x8_0000,
};

my %number;

# Takes the numbers out of the environment, which a task must not see. (The value is a copy: %ENV gives an alias.)
sub take_numbers {
    my $list = delete $ENV{ARGON_SYSCALLS};
    return if !defined $list || length pack('J', 0) != 8;
    %number = map { /\A(\w+):(\d+)\z/ ? ($1, $2 + 0) : () } split /,/, $list;
    return;
}

# True if all of these system calls are known.
sub has {
    my @names = @_;
    return !grep { !exists $number{$_} } @names;
}

# Forks this process so that the child belongs to the parent of this one, in the control group of a descriptor if there is
# one and the kernel can do that. Returns what fork returns.
sub clone_sibling {
    my ($group) = @_;
    if (defined $group && has('clone3')) {
        # The signal at its end is that of this process. Other fields: no descriptor, no thread, no stack of its own.
        my $arguments = pack 'Q x72 Q', CLONE_PARENT | CLONE_INTO_CGROUP, $group + 0;
        my $process   = syscall $number{clone3}, $arguments, length $arguments;
        return $process if $process >= 0;
    }
    my $process = syscall $number{clone}, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0;
    return $process < 0 ? undef : $process;
}

# Ends this process with a signal when its parent ends.
sub die_with_parent {
    my ($signal) = @_;
    return syscall($number{prctl}, PR_SET_PDEATHSIG, $signal + 0, 0, 0, 0) == 0;
}

# Puts this process, for good, into the Landlock domain of a descriptor.
sub restrict {
    my ($rules) = @_;
    return has('landlock_restrict_self') && syscall($number{landlock_restrict_self}, $rules + 0, 0) == 0;
}

sub set_session { return syscall($number{setsid}) >= 0 }

# Reads up to $count bytes and the descriptors that come with them. Returns (bytes, descriptors); no bytes at the end
# of the socket; an empty list if the call failed.
sub receive_with_descriptors {
    my ($socket, $count, $descriptors_max) = @_;
    my $bytes   = _room($count);
    my $control = _room(16 + 4 * $descriptors_max);
    my $vector  = pack 'P Q', $bytes, $count;
    my $message = pack 'x8 x8 P Q P Q x8', $vector, 1, $control, length $control;
    my $read = syscall $number{recvmsg}, fileno($socket) + 0, $message, MSG_CMSG_CLOEXEC;
    return if $read < 0;
    my $control_length = unpack 'x40 Q', $message;
    my @descriptors;
    if ($control_length >= 16) {
        my ($length, $level, $type) = unpack 'Q i i', $control;
        @descriptors = unpack 'i*', substr $control, 16, $length - 16 if $level == SOL_SOCKET && $type == SCM_RIGHTS;
    }
    return (substr($bytes, 0, $read), @descriptors);
}

# The signals that are blocked, as bytes.
my $blocked = _room(SIGNALS_BYTES);

sub blocked_signals {
    return syscall($number{rt_sigprocmask}, SIG_SETMASK, 0, $blocked, SIGNALS_BYTES) == 0 ? $blocked : undef;
}

sub block_signals {
    my ($signals) = @_;    # a copy: perl makes a variable that the kernel may write to of what it gives
    return syscall($number{rt_sigprocmask}, SIG_SETMASK, $signals, 0, SIGNALS_BYTES) == 0;
}

# Soft and hard values of the limits on processor time, files, memory, core files, processes and descriptors, as bytes.
my @LIMITS = (0 .. 4, 6, 7, 9);
my @limit  = map { _room(LIMIT_BYTES) } @LIMITS;

sub limits {
    for my $index (0 .. $#LIMITS) { syscall $number{prlimit64}, 0, $LIMITS[$index], 0, $limit[$index] }
    return join q{}, @limit;
}

# Which of the first descriptors are open, as bytes: the answer of one poll. See descriptors_of.
my $DESCRIPTORS = 128;
my $POLL        = join q{}, map { pack 'i x4', $_ } 0 .. $DESCRIPTORS - 1;
my $NO_TIME     = _room(16);
my $POLLNVAL    = 0x20;

sub open_descriptors {
    my $answer = $POLL;
    syscall $number{ppoll}, $answer, $DESCRIPTORS, $NO_TIME, 0, 0;
    return $answer;
}

# The numbers of the open descriptors in such an answer.
sub descriptors_of {
    my ($answer) = @_;
    my @revents = unpack '(x6 s)*', $answer;
    return grep { !($revents[$_] & $POLLNVAL) } 0 .. $#revents;
}

# Closes what a descriptor stands for, whichever handles perl has on it: it is /dev/null then.
sub close_descriptor {
    my ($descriptor) = @_;
    return 0 if !has('dup3');
    open my $nothing, '+<', '/dev/null' or return 0;
    return syscall($number{dup3}, fileno($nothing) + 0, $descriptor + 0, O_CLOEXEC) >= 0;
}

# A string of zero bytes with memory of its own, into which the kernel may write.
sub _room {
    my ($count) = @_;
    my $room = q{};
    vec($room, $count - 1, 8) = 0;
    return $room;
}

1;
