package Argon::Runner::Leftovers;

# Owns the comparison after a task that is not proven pure: what the task left in the process that does not go away by itself.
# What can be put back is put back here: timers, the signal mask, the priority. For the rest look() gives a reason, and the
# runner exits after the outcome (flag LEAVES in spec/runner.md). Argon::Runner calls it before each outcome, so it costs
# a handful of system calls. Argon::Runner::Reset restores what perl itself keeps.

use strict;
use warnings;

use Time::HiRes ();

use Argon::Runner::Kernel ();

use constant {
    WNOHANG          => 1,
    ITIMER_VIRTUAL   => 1,
    ITIMER_PROF      => 2,
    SOL_SOCKET       => 1,
    SO_ACCEPTCONN    => 30,
    S_IFMT           => 0xf000,
    S_IFREG          => 0x8000,
    S_IFSOCK         => 0xc000,
    CONNECTIONS_MAX  => 64,
};

# An exec of a program that does not exist makes perl write all its buffers.
my $NO_PROGRAM = '/proc/self/none';

sub new {
    my ($class) = @_;
    my $self = bless { modules => scalar keys %INC, libraries => scalar @DynaLoader::dl_shared_objects, is_foreign => 0, calls_kernel => 0, kept => 0, can_poll => scalar Argon::Runner::Kernel::has('ppoll'), limits => undef }, $class;
    $self->{is_root} = { map { _root($_) => 1 } @DynaLoader::dl_shared_objects };
    # A first call may open or start something itself.
    Argon::Runner::Kernel::open_descriptors() if $self->{can_poll};
    @{$self}{qw(identity priority group)} = (_identity(), getpriority(0, 0), getpgrp);
    $self->{mask}    = Argon::Runner::Kernel::has('rt_sigprocmask') ? Argon::Runner::Kernel::blocked_signals() : undef;
    $self->{threads} = _threads();
    $self->{policy}  = _policy();
    $self->{own} = $self->{descriptors} = $self->_descriptors;
    return $self;
}

# Before the first task: a worker sets limits of the process from outside until then.
sub begin {
    my ($self) = @_;
    $self->{limits} = Argon::Runner::Kernel::has('prlimit64') ? Argon::Runner::Kernel::limits() : q{};
    return;
}

sub has_begun { return defined $_[0]{limits} }

# Code was loaded for a task that is about to run: what it opened belongs to the session.
sub loaded {
    my ($self) = @_;
    $self->{descriptors} = $self->_descriptors;
    $self->{threads}     = _threads();
    return;
}

# Code was compiled that calls syscall or sets a timer.
sub calls_kernel { $_[0]{calls_kernel} = 1; return }

# Why this process cannot take another task, in words; undef if it can. Everything that perl has buffered is written.
sub look {
    my ($self) = @_;
    local ($!, $?);
    my $now = $self->_descriptors;
    _flush_all() if $now ne $self->{own};
    my $child;
    do { $child = waitpid -1, WNOHANG } while $child > 0;
    return 'a child process still runs' if $child == 0;
    return 'its user or groups are others'  if $self->{identity} ne _identity();
    return 'its process group is another'   if $self->{group} != getpgrp;
    return 'its priority cannot be restored' if $self->{priority} != getpriority(0, 0) && !$self->_restore_priority;
    my $reason = $now ne $self->{descriptors} ? $self->_look_at_descriptors($now) : undef;
    return $reason if defined $reason;
    # Only modules, and functions that the runner's own modules have, change more.
    return $self->_look_closer if $self->{calls_kernel} || keys %INC != $self->{modules};
    return;
}

sub _look_closer {
    my ($self) = @_;
    Time::HiRes::setitimer(ITIMER_VIRTUAL, 0);
    Time::HiRes::setitimer(ITIMER_PROF,    0);
    Argon::Runner::Kernel::block_signals($self->{mask}) if defined $self->{mask} && Argon::Runner::Kernel::blocked_signals() ne $self->{mask};
    return if !$self->{calls_kernel} && !$self->_has_foreign_library;
    return 'a thread still runs'   if $self->{threads} < _threads();
    return 'its scheduling is another' if $self->{policy} ne _policy();
    return 'its limits are others' if length $self->{limits} && $self->{limits} ne Argon::Runner::Kernel::limits();
    return;
}

# True if a compiled module was loaded that perl does not bring along, or that starts threads. Those of perl lie where the
# libraries of the runner's own modules do.
sub _has_foreign_library {
    my ($self) = @_;
    if (@DynaLoader::dl_shared_objects != $self->{libraries}) {
        $self->{libraries} = @DynaLoader::dl_shared_objects;
        $self->{is_foreign} = grep { m{/threads[.]\w+\z} || !$self->{is_root}{ _root($_) } } @DynaLoader::dl_shared_objects;
    }
    return $self->{is_foreign};
}

sub _root { return $_[0] =~ s{/auto/.*}{}sr }

# The effective ones too. Perl reads the groups from the kernel each time.
sub _identity { return "$< $> $( $)" }

sub _threads { return (stat '/proc/self/task')[3] // 0 }

# Perl has no function for the policy of the scheduler.
sub _policy {
    open my $in, '<', '/proc/self/stat' or return q{};
    return (split q{ }, readline($in) =~ s/\A.*\)//sr)[38] // q{};
}

sub _restore_priority {
    my ($self) = @_;
    return setpriority(0, 0, $self->{priority}) && getpriority(0, 0) == $self->{priority};
}

sub _flush_all {
    no warnings 'exec';
    exec {$NO_PROGRAM} $NO_PROGRAM;
    return;
}

# A text that differs when other descriptors are open.
sub _descriptors {
    my ($self) = @_;
    return Argon::Runner::Kernel::open_descriptors() if $self->{can_poll};
    return join ' ', _listed();
}

sub _listed {
    opendir my $folder, '/proc/self/fd' or return;
    my @numbers = sort { $a <=> $b } grep {/\A\d/} readdir $folder;
    closedir $folder;
    # The folder itself was open.
    return grep { defined readlink "/proc/self/fd/$_" } @numbers;
}

# New connections and the like may stay, as those that a library keeps. Files, and sockets that listen, may not: they are
# closed here, before the outcome is sent.
sub _look_at_descriptors {
    my ($self, $now) = @_;
    my %was = map { $_ => 1 } $self->_numbers($self->{descriptors});
    my @new = grep { !$was{$_} } $self->_numbers($now);
    my @left;
    for my $number (@new) {
        my $path = readlink "/proc/self/fd/$number" // next;
        my $mode = (stat "/proc/self/fd/$number")[2] // 0;
        my $type = $mode & S_IFMT;
        # A module with __DATA__ keeps its file open.
        next if $type == S_IFREG ? _is_module($path) : $type != S_IFSOCK || !_listens($number);
        push @left, [$number, $path];
    }
    if (@left) {
        Argon::Runner::Kernel::close_descriptor($_->[0]) for @left;
        return "$left[0][1] is still open";
    }
    $self->{kept} += @new;
    return "it keeps $self->{kept} connections open" if $self->{kept} > CONNECTIONS_MAX;
    $self->{descriptors} = $now;
    return;
}

sub _numbers {
    my ($self, $text) = @_;
    return $self->{can_poll} ? Argon::Runner::Kernel::descriptors_of($text) : split q{ }, $text;
}

sub _is_module {
    my ($path) = @_;
    return $path =~ /[.]p[ml]\z/ && grep { defined && !ref && $path =~ m{(?:\A|/)\Q@{[ s{\A(?:[.]/)+}{}r ]}\E\z} } values %INC;
}

sub _listens {
    my ($number) = @_;
    # A copy: to close a handle on the number itself would close it.
    open my $copy, '+<&', $number or return 0;
    my $answer = getsockopt $copy, SOL_SOCKET, SO_ACCEPTCONN;
    return defined $answer && unpack 'i', $answer;
}

1;
