# What a task leaves in its process besides perl's own variables: it is put back, or the runner leaves after the outcome.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Config ();
use Fcntl qw(:flock);
use File::Temp ();
use Test::More;

use Argon::Code;
use Argon::Protocol qw(:all);
use RunnerProcess;

plan skip_all => 'a worker gives no numbers of system calls on this machine' if !%{ SystemCalls::numbers() };

my $runner;

sub fresh {
    $runner = RunnerProcess->start(@_);
    $runner->ready;
    return;
}

# Outcome of one task in the current runner.
sub outcome_of {
    my ($code, @arguments) = @_;
    my $shipped = Argon::Code::ship($code);
    my $outcome = $runner->run(blob => $runner->send_blob($shipped->{text}), captures => $shipped->{captures}, arguments => \@arguments);
    is $outcome->{status}, STATUS_OK, 'the task ends well' or diag $outcome->{list}[0];
    return $outcome;
}

sub stays {
    my ($name, $code, @arguments) = @_;
    my $outcome = outcome_of($code, @arguments);
    is $outcome->{flags}, 0, "the_runner_stays_after: $name";
    return $outcome->{list}[0];
}

sub leaves {
    my ($name, $code, @arguments) = @_;
    my $outcome = outcome_of($code, @arguments);
    is $outcome->{flags}, OUTCOME_LEAVES, "the_runner_leaves_after: $name";
    is $runner->end, 0, '... and exits with 0';
    fresh();
    return $outcome->{list}[0];
}

fresh();
my $folder = File::Temp->newdir;
my $path   = "$folder/file";
my %number = %{ SystemCalls::numbers() };

# Files: what was written is there, and the lock is free, when the caller hears that the task is over.
leaves('a file that is left open', sub { our $left; open $left, '>', $_[0] or die $!; print {$left} "text\n"; 1 }, $path);
is -s $path, 5, 'what_a_task_wrote_is_in_the_file';
leaves('a lock', sub { require Fcntl; our $left; open $left, '>', $_[0] or die $!; flock $left, 2; 1 }, $path);
open my $mine, '>', $path or die $!;
ok flock($mine, LOCK_EX | LOCK_NB), 'the_lock_that_a_task_left_is_free';
leaves('a socket that listens', sub { require Socket; socket our $left, 2, 1, 0 or die $!; listen $left, 1 or die $!; 1 });
stays('a file that is closed', sub { open my $out, '>', $_[0] or die $!; print {$out} "more\n"; close $out; 1 }, $path);
stays('a file that goes out of scope', sub { open my $out, '>', $_[0] or die $!; print {$out} "more\n"; 1 }, $path);
leaves('a file opened in the place of a closed standard handle', sub { close STDIN; our $first; open $first, '<', $_[0] or die $!; our $second; open $second, '<', $_[0] or die $!; 1 }, $path);

# Connections of a library may stay, and what is buffered for them is sent.
{
    local $SIG{ALRM} = sub { die 'the line did not come' };
    alarm 20;
    require IO::Socket::INET;
    my $server = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    stays('a connection that a library keeps', sub {
        require IO::Socket::INET;
        my $kept = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[0]) or die $!;
        $kept->autoflush(0);
        print {$kept} "buffered\n";
        no strict 'refs';
        ${'Local::kept'} = $kept;
        1;
    }, $server->sockport);
    my $line = readline scalar $server->accept;
    is $line, "buffered\n", 'what_is_buffered_for_it_is_sent';
    stays('a task that uses it again', sub { no strict 'refs'; print { ${'Local::kept'} } "again\n" or die $! });
    alarm 0;
}
stays('a pipe', sub { pipe our $reader, our $writer; 1 });
stays('a folder', sub { opendir our $left, '/'; 1 });
leaves('connections without end', sub { our @kept = map { pipe my $r, my $w; ($r, $w) } 1 .. 40; 1 });

# What is opened while code is loaded belongs to the session.
mkdir "$folder/lib";
open my $module, '>', "$folder/lib/KeepsOpen.pm" or die $!;
print {$module} "package KeepsOpen; open our \$log, '>>', '$path' or die; sub note { print {\$log} \@_; 1 } sub text { local \$/; readline DATA } 1;\n__DATA__\nhere\n";
close $module;
fresh(PERL5LIB => "$folder/lib");
{
    my $note = "# Argon Perl code, format 1, written by perl $]\nBEGIN { Argon::Code::Receive::prepare(modules => ['KeepsOpen.pm']) }\nArgon::Code::Receive::by_name('KeepsOpen::note')\n";
    my $blob = $runner->send_blob($note);
    for my $turn (1, 2) {
        my $outcome = $runner->run(blob => $blob, arguments => ["line $turn\n"]);
        is_deeply [@{$outcome}{qw(status flags)}], [STATUS_OK, 0], 'the_runner_stays_with_what_a_module_opened';
        open my $in, '<', $path or die $!;
        like join(q{}, readline $in), qr/line $turn\n\z/, 'what_is_written_there_is_in_the_file_after_each_task';
    }
    is stays('the text of a module', sub { KeepsOpen::text() }), "here\n", 'a_module_keeps_its_own_text_open';
}
fresh(PERL5LIB => "$folder/lib");
leaves('a module that opens a file while the task runs', sub { require KeepsOpen; 1 });

# Children.
leaves('a child that still runs', sub { my $child = fork; exec 'sleep', 30 if !$child; $child });
stays('a child that has ended', sub { my $child = fork; exec '/bin/true' if !$child; select undef, undef, undef, 0.2; 1 });
is stays('the next task', sub { waitpid -1, 1 }), -1, 'a_dead_child_of_one_task_is_not_reaped_by_the_next';
leaves('a child after its parent ignored children', sub { $SIG{CHLD} = 'IGNORE'; my $child = fork; exec 'sleep', 30 if !$child; 1 });

# What can be put back.
my $mask = sub { open my $status, '<', '/proc/self/status' or die $!; join q{}, map { /\ASigBlk:\s*(\w+)/ ? $1 : () } readline $status };
my $blocked = stays('a look at the signal mask', $mask);
stays('a blocked signal', sub { require POSIX; POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(POSIX::SIGUSR1())); 1 });
is stays('a look at the signal mask', $mask), $blocked, 'a_blocked_signal_is_free_in_the_next_task';
for my $timer (qw(ITIMER_REAL ITIMER_VIRTUAL ITIMER_PROF)) {
    stays("a timer $timer", sub { require Time::HiRes; no strict 'refs'; Time::HiRes::setitimer(&{"Time::HiRes::$_[0]"}(), 100); 1 }, $timer);
    is stays('a look at it', sub { require Time::HiRes; no strict 'refs'; 0 + Time::HiRes::getitimer(&{"Time::HiRes::$_[0]"}()) }, $timer), 0, "the_timer_is_off_in_the_next_task: $timer";
}
{
    # Only compiled modules and syscall change the policy of the scheduler.
    my $policy = { x86_64 => 144, aarch64 => 119 }->{ (POSIX::uname())[4] };
    leaves('another policy of the scheduler', sub { my $priority = pack 'i', 0; syscall $policy, 0, 3, $priority }) if $policy;
    fresh();
    # Only root may raise a priority again.
    my $is_root = $> == 0;
    my $nicer = sub { setpriority 0, 0, 5 + getpriority 0, 0; getpriority 0, 0 };
    if ($is_root) {
        my $before = getpriority 0, 0;
        stays('a lower priority', $nicer);
        is stays('a look at it', sub { getpriority 0, 0 }), $before, 'the_priority_is_restored';
    }
    else { leaves('a lower priority', $nicer) }
}

# What cannot.
leaves('a limit set by syscall', sub { my ($number, $limit) = @_; my $set = pack 'Q Q', 100, 100; syscall($number, 0, 7, $set, 0) == 0 or die $!; 1 }, $number{prlimit64});
SKIP: {
    skip 'this perl has no threads', 3 if !$Config::Config{useithreads};
    leaves('a thread that still runs', sub { require threads; threads->create(sub { sleep 30 })->detach; 1 });
}
SKIP: {
    skip 'only root can be somebody else', 3 if $> != 0;
    leaves('another effective user', sub { $> = 65_534; $> });
}

is $runner->end, 0, 'the runner ends well';

done_testing;
