package Chaos::Process;

# Owns one process of the show: starts it, kills, freezes and thaws it, starts it again when its time comes. Its children
# die with the program that started them, whatever ends that.

use strict;
use warnings;

use POSIX qw(WNOHANG);
use Time::HiRes qw(time);

# prctl has a number of its own on each kind of processor.
my %PRCTL = (x86_64 => 157, aarch64 => 167);
use constant PR_SET_PDEATHSIG => 1;

# name; folder for what it prints; command, a code reference that gives the list to execute; ready, whether it says so.
sub new {
    my ($class, %fields) = @_;
    return bless { state => 'down', due => 0, starts => 0, %fields }, $class;
}

sub name  { return $_[0]{name} }
sub pid   { return $_[0]{pid} }
sub state { return $_[0]{state} }

sub start {
    my ($self) = @_;
    my $count   = ++$self->{starts};
    my @command = $self->{command}->();
    my $path    = "$self->{folder}/$self->{name}-$count";
    my $pid     = fork // die "cannot fork: $!\n";
    if (!$pid) {
        my $number = $PRCTL{ (POSIX::uname())[4] };
        syscall $number, PR_SET_PDEATHSIG, 9 if $number;
        open STDIN,  '<', '/dev/null' or POSIX::_exit(126);
        open STDOUT, '>', "$path.out" or POSIX::_exit(126);
        open STDERR, '>', "$path.log" or POSIX::_exit(126);
        exec {$command[0]} @command or POSIX::_exit(127);
    }
    @{$self}{qw(pid path state)} = ($pid, $path, $self->{ready} ? 'starting' : 'up');
    return;
}

# Looks after it; returns its exit status if it ended by itself, which nobody asked it to do.
sub look {
    my ($self) = @_;
    my $now = time;
    if ($self->{state} eq 'down') {
        $self->start if $self->{due} && $now >= $self->{due};
        return;
    }
    $self->thaw if $self->{state} eq 'frozen' && $now >= $self->{due};
    $self->{state} = 'up' if $self->{state} eq 'starting' && defined $self->ready_line;
    return if waitpid($self->{pid}, WNOHANG) != $self->{pid};
    my ($status, $was) = ($?, $self->{state});
    @{$self}{qw(state due)} = ('down', $now + ($self->{pause} || 0.2));
    return $was eq 'leaving' ? undef : $status;
}

# It has done its part and need not come back.
sub rest {
    my ($self) = @_;
    @{$self}{qw(state due)} = ('done', 0);
    return 1;
}

sub kill_for {
    my ($self, $seconds) = @_;
    kill 'KILL', $self->{pid};
    waitpid $self->{pid}, 0;
    @{$self}{qw(state due)} = ('down', time + $seconds);
    return;
}

sub freeze_for {
    my ($self, $seconds) = @_;
    kill 'STOP', $self->{pid};
    @{$self}{qw(state due)} = ('frozen', time + $seconds);
    return;
}

sub thaw {
    my ($self) = @_;
    kill 'CONT', $self->{pid};
    $self->{state} = $self->{ready} && !defined $self->ready_line ? 'starting' : 'up';
    return;
}

# Asks it to finish and leave; it comes back after so many seconds.
sub dismiss_for {
    my ($self, $seconds) = @_;
    kill 'TERM', $self->{pid};
    @{$self}{qw(state pause)} = ('leaving', $seconds);
    return;
}

# Ends it for good: politely, and after so many seconds not.
sub end {
    my ($self, $seconds) = @_;
    return 1 if $self->{state} eq 'down' || $self->{state} eq 'done';
    kill $_, $self->{pid} for qw(CONT TERM);
    my $until = time + $seconds;
    while (waitpid($self->{pid}, WNOHANG) == 0) {
        if (time > $until) {
            $self->kill_for(0);
            last;
        }
        select undef, undef, undef, 0.02;
    }
    my $was_polite = time <= $until;
    @{$self}{qw(state due)} = ('down', 0);
    return $was_polite;
}

sub ready_line {
    my ($self) = @_;
    open my $file, '<', "$self->{path}.out" or return;
    my $line = <$file>;
    return defined $line && $line =~ /\Aargon-ready .*\n/ ? $line : undef;
}

# The last lines that it wrote to its log.
sub last_words {
    my ($self) = @_;
    open my $file, '<', "$self->{path}.log" or return q{};
    my @lines = <$file>;
    return join q{}, @lines > 8 ? @lines[-8 .. -1] : @lines;
}

1;
