package SystemCalls;

# Owns the numbers of system calls that a worker gives its perl runners, for the machines that the tests run on.

use strict;
use warnings;

use POSIX ();

# By the name of the machine, as libc has them.
my %NUMBERS = (
    x86_64 => {
        recvmsg => 47, sendmsg => 46, clone => 56, prctl => 157, setsid => 112, rt_sigprocmask => 14, prlimit64 => 302, ppoll => 271,
        dup3 => 292,
    },
    aarch64 => {
        recvmsg => 212, sendmsg => 211, clone => 220, prctl => 167, setsid => 157, rt_sigprocmask => 135, prlimit64 => 261, ppoll => 73,
        dup3 => 24,
    },
);

# By name; nothing where a worker gives none.
sub numbers { return $NUMBERS{ (POSIX::uname())[4] } || {} }

# As in ARGON_SYSCALLS.
sub text {
    my $numbers = numbers();
    return join ',', map {"$_:$numbers->{$_}"} sort keys %{$numbers};
}

1;
