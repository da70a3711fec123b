# Two programs share the slots of one worker. The tasks of one change everything that a task can change; the tasks of the
# other, interleaved on the same slots, must find a fresh process each time.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use File::Temp ();
use Test::More;

use Argon::Client;
use Cluster;

local $SIG{ALRM} = sub { die "the tasks took too long\n" };
alarm 400;

my $folder = File::Temp->newdir;

# Each row: what it is, what the poisoner does, what the other program looks at. What it sees must be what it saw before.
# All of it is text, so that nothing of it is done here. (The thread runs a sub of a module: perl may crash when a thread begins
# a sub whose text was evaluated and is freed meanwhile.)
my @POISON = (
    ['a package variable', '$Left::here = 1', 'defined $Left::here ? 1 : 0'],
    ['a setting of a module', 'require Data::Dumper; $Data::Dumper::Indent = 7', 'require Data::Dumper; $Data::Dumper::Indent'],
    ['another setting', 'require Text::Wrap; $Text::Wrap::columns = 7', 'require Text::Wrap; $Text::Wrap::columns'],
    ['a patched sub of a module', 'require List::Util; no warnings; *List::Util::sum = sub { "patched" }', 'require List::Util; List::Util::sum(1, 2)'],
    ['a patched sub of the runner', 'no warnings; *Argon::Data::encode_left = sub { 1 }; *Storable::freeze = sub { "patched" }', 'require Storable; length(Storable::freeze([1])) > 7 ? 1 : 0'],
    ['a method of every class', 'no warnings; *UNIVERSAL::left = sub { 1 }', 'main->can("left") ? 1 : 0'],
    ['an overridden builtin', 'no warnings; *CORE::GLOBAL::time = sub { 7 }; *CORE::GLOBAL::sleep = sub { die }', 'eval("time") > 1_000 ? 1 : 0'],
    ['a loaded module', 'require Text::ParseWords', '$INC{"Text/ParseWords.pm"} ? 1 : 0'],
    ['a module that is said to be loaded', '$INC{"Not/There.pm"} = "/left"', '$INC{"Not/There.pm"} // "none"'],
    ['a folder of modules', 'unshift @INC, "/left"', 'scalar grep { $_ eq "/left" } @INC'],
    ['a hook for modules', 'push @INC, sub { return }', 'scalar grep { ref eq "CODE" } @INC'],
    ['warnings everywhere', '$^W = 1', '$^W'],
    ['a debugger flag', '$^P = 0x10', '$^P'],
    ['an extended debugging', '$^D = 0; $^F = 7', '$^F'],
    ['an inplace edit', '$^I = ".bak"', '$^I // "none"'],
    ['the accumulator', '$^A = "left"', '$^A'],
    ['the arguments', '@ARGV = ("left")', 'scalar @ARGV'],
    ['the name of the program', '$0 = "left"', '$0 eq "left" ? 1 : 0'],
    ['the environment', '$ENV{LEFT} = 1; delete $ENV{PATH}', '(exists $ENV{LEFT} ? 1 : 0) . (exists $ENV{PATH} ? 1 : 0)'],
    ['the record separator', '$/ = "x"; $\ = "y"; $, = "z"; $" = "+"; $; = "-"', 'join "|", map { $_ // "none" } $/ eq "\n" ? 1 : 0, $\, $,, $", ord $;'],
    ['a seed', 'srand 42', 'my %seen = map { rand() => 1 } 1 .. 3; srand(42); my $fixed = rand; $seen{$fixed} ? 1 : 0'],
    ['a signal handler', '$SIG{$_} = sub { } for qw(INT TERM HUP USR1 USR2 ALRM WINCH)', 'join ",", map { defined $SIG{$_} ? ref $SIG{$_} || $SIG{$_} : "none" } qw(INT TERM HUP USR1 USR2 ALRM WINCH)'],
    ['an ignored signal', '$SIG{CHLD} = $SIG{PIPE} = "IGNORE"', 'join ",", map { $_ // "none" } @SIG{qw(CHLD PIPE)}'],
    ['a handler set by POSIX', 'require POSIX; POSIX::sigaction(POSIX::SIGUSR1(), POSIX::SigAction->new(sub { }, POSIX::SigSet->new, POSIX::SA_RESTART()))', 'defined $SIG{USR1} ? 1 : 0'],
    ['a blocked signal', 'require POSIX; POSIX::sigprocmask(POSIX::SIG_BLOCK(), POSIX::SigSet->new(POSIX::SIGTERM(), POSIX::SIGUSR2()))', 'open my $in, "<", "/proc/self/status"; join "", grep {/^Sig(?:Blk|Ign)/} <$in>'],
    ['handlers of perl', '$SIG{__WARN__} = sub { }; $SIG{__DIE__} = sub { die "left" }', 'join ",", map { defined $SIG{$_} ? 1 : 0 } qw(__WARN__ __DIE__)'],
    ['an alarm', '$SIG{ALRM} = sub { die "left" }; alarm 30', 'alarm 0'],
    ['a timer of its processor time', 'require Time::HiRes; Time::HiRes::setitimer(2, 30, 30)', 'require Time::HiRes; 0 + Time::HiRes::getitimer(2)'],
    ['the working folder', 'chdir "/"', 'require Cwd; Cwd::getcwd()'],
    ['the file mode mask', 'umask 0777', 'umask'],
    ['the priority', 'setpriority 0, 0, 3 + getpriority 0, 0', 'getpriority 0, 0'],
    ['a process group', 'setpgrp 0, 0', 'getpgrp == $$ ? 1 : 0'],
    ['a limit', 'my $number = { x86_64 => 302 }->{ (require POSIX, POSIX::uname())[-1] }; if ($number) { my $limit = pack "QQ", 64, 64; syscall $number, 0, 7, $limit, 0 }', 'open my $in, "<", "/proc/self/limits"; join "", grep {/open files/} <$in>'],
    ['a locale', 'require POSIX; POSIX::setlocale(POSIX::LC_ALL(), $_) && last for qw(de_DE.UTF-8 C.UTF-8 POSIX)', 'require POSIX; POSIX::setlocale(POSIX::LC_ALL())'],
    ['a time zone', '$ENV{TZ} = "Asia/Tokyo"; require POSIX; POSIX::tzset()', 'require POSIX; POSIX::strftime("%Z", localtime 0)'],
    ['a file left open', 'open $Left::file, ">", "FOLDER/open"; print {$Left::file} "x"', '(() = glob "/proc/self/fd/*") < 30 ? scalar grep { (readlink $_ // "") =~ m{^FOLDER/} } glob "/proc/self/fd/*" : "many"'],
    ['a lock', 'open $Left::lock, ">", "FOLDER/lock"; require Fcntl; flock $Left::lock, 2', 'open my $lock, ">", "FOLDER/lock"; require Fcntl; flock($lock, 6) ? "free" : "held"'],
    ['a socket that listens', 'require IO::Socket::INET; $Left::socket = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1")', 'open my $in, "<", "/proc/self/net/tcp"; my %mine = map { (readlink $_ // "") =~ /socket:\[(\d+)\]/ ? ($1 => 1) : () } glob "/proc/self/fd/*"; scalar grep { my @f = split; $f[3] eq "0A" && $mine{ $f[9] } } <$in>'],
    ['a connection', 'pipe $Left::reader, $Left::writer', 'scalar grep { (readlink $_ // "") =~ /^pipe:/ } glob "/proc/self/fd/*"'],
    ['a child', '$Left::child = fork; if (!$Left::child) { exec "sleep", 20 }', 'my $child = waitpid -1, 1; $child'],
    ['a child that has ended', '$Left::child = fork; if (!$Left::child) { exec "true" } select undef, undef, undef, 0.1', 'waitpid -1, 1'],
    ['a thread', 'require Config; if ($Config::Config{useithreads}) { require threads; require Time::HiRes; threads->create(\&Time::HiRes::sleep, 20)->detach }', '(stat "/proc/self/task")[3]'],
    ['standard output', 'close STDOUT', 'defined fileno STDOUT ? fileno STDOUT : "closed"'],
    ['tied standard output', '{ package Left::Tie; sub TIEHANDLE { bless [] } sub PRINT { 1 } } tie *STDOUT, "Left::Tie"', 'tied(*STDOUT) ? 1 : 0'],
    ['a layer', 'binmode STDOUT, ":utf8"; binmode STDERR, ":utf8"', 'join ",", PerlIO::get_layers(*STDOUT), PerlIO::get_layers(*STDERR)'],
    ['default layers', '${^OPEN} = ":utf8\0:utf8"; require open; open->import(":std", ":utf8")', 'open my $in, "<", "/dev/null"; join ",", PerlIO::get_layers($in)'],
    ['a selected handle', 'select STDERR', 'select'],
    ['an end block', 'eval q{END { print {*STDERR} "left\n" } 1}', '1'],
    ['a destructor', '{ package Left::Guard; sub DESTROY { $Left::destroyed = 1 } } $Left::guard = bless [], "Left::Guard"', 'defined $Left::guard || defined $Left::destroyed ? 1 : 0'],
    ['a taint of memory', '$Left::memory = "x" x 20_000_000', 'open my $in, "<", "/proc/self/status"; my ($rss) = map { /^VmRSS:\s+(\d+)/ ? $1 : () } <$in>; $rss < 40_000 ? "small" : "big: $rss"'],
    ['a cached name', 'no warnings; sub Left::method { 1 } @main::ISA = ("Left")', 'join ",", @main::ISA'],
    ['a place of a match', '"left" =~ /(e)/', 'defined $1 ? 1 : 0'],
    ['the last error', '$! = 2; $@ = "left"; $? = 7', 'join ",", $! + 0, $@, $?'],
    ['a position', 'pos($_) = 1 for my $text = "left"; $_ = "left"', 'defined $_ ? 1 : 0'],
    ['a format', '$~ = "LEFT"; $^ = "LEFT_TOP"; $= = 7', 'join ",", $~, $^, $='],
    ['where each stands in a hash', 'each %ENV', 'scalar(() = %ENV) > 3 ? 1 : 0'],
    ['a pragma for text that is evaluated', '$^H |= 0x2; $^H{left} = 1', '$^H{left} // "none"'],
    ['a tied hash', '{ package Left::Hash; sub TIEHASH { bless {} } sub FETCH { "left" } sub EXISTS { 1 } } tie my %other, "Left::Hash"; $Left::tied = \%other', 'ref $Left::tied'],
    ['a weak name of a class', 'bless [], "0"', '0'],
    ['an own module', '$INC{"Argon/Client.pm"} = "left"; no warnings; *Argon::Client::current = sub { "left" }', '$INC{"Argon/Client.pm"} // "none"'],
    ['flags of standard input', 'require Fcntl; fcntl STDIN, Fcntl::F_SETFL(), Fcntl::O_NONBLOCK()', 'require Fcntl; fcntl STDIN, Fcntl::F_GETFL(), 0'],
    ['outputs that do not wait', 'STDOUT->blocking(0); STDERR->blocking(0)', 'join ",", map { $_->blocking } *STDOUT, *STDERR'],
    ['standard error to the output', 'open STDERR, ">&", \*STDOUT', 'readlink("/proc/self/fd/1") eq readlink("/proc/self/fd/2") ? 1 : 0'],
    ['a policy of scheduling', 'my $number = { x86_64 => 144 }->{ (require POSIX, POSIX::uname())[-1] }; if ($number) { my $priority = pack "i", 0; syscall $number, 0, 3, $priority }', 'open my $in, "<", "/proc/self/stat"; (split q{ }, readline($in) =~ s/.*\) //r)[38]'],
    ['a score for the lack of memory', 'open my $out, ">", "/proc/self/oom_score_adj"; print {$out} "900"; close $out', 'open my $in, "<", "/proc/self/oom_score_adj"; readline $in'],
    ['a buffered handle', 'select((select(STDOUT), $| = 0)[0]); print STDOUT q{}', 'my $before = select STDOUT; my $flushes = $|; select $before; $flushes'],
    ['an overridden die and require', 'no warnings; *CORE::GLOBAL::die = sub { CORE::die("left") }; *CORE::GLOBAL::require = sub { CORE::require($_[0]) }', 'join ",", map { defined &{"CORE::GLOBAL::$_"} ? 1 : 0 } qw(die require)'],
    ['an operator of all classes', '{ package UNIVERSAL; no warnings; *{q{(""}} = sub { "left" }; *DESTROY = sub { $Left::universal++ } }', 'my $object = bless [], "Some::Class"; "$object" =~ /^Some::Class=ARRAY/ ? 1 : 0'],
    ['a tied variable of perl', '{ package Left::Comma; sub TIESCALAR { bless [] } sub FETCH { "left" } sub STORE { } } tie $,, "Left::Comma"; tie $/, "Left::Comma"', 'join "|", tied($,) ? 1 : 0, tied($/) ? 1 : 0'],
    ['a flood of descriptors', 'require POSIX; POSIX::dup2(0, $_) for 200 .. 220', 'scalar grep { -e "/proc/self/fd/$_" } 200 .. 220'],
    ['an attribute of the kernel', 'my $number = { x86_64 => 157 }->{ (require POSIX, POSIX::uname())[-1] }; if ($number) { my $name = "left\0"; syscall $number, 15, $name, 0, 0, 0 }', 'open my $in, "<", "/proc/self/comm"; my $name = <$in>; $name =~ /left/ ? 1 : 0'],
);

# Both programs send text that is compiled in the task. A task of its own for each look: what one look loads is no change.
my $run = sub { no strict; no warnings; package main; my $value = eval $_[0]; die $@ if $@; return defined $value ? "$value" : 'undef' };
my $try = sub { no strict; no warnings; package main; eval $_[0]; return 'done' };

for my $slots (1, 2) {
    my $cluster = Cluster->up(slots => $slots);
    my @poison  = map { [$_->[0], map { s/FOLDER/$folder/gr } @{$_}[1, 2]] } @POISON;
    # What a fresh process shows: each in a session of its own.
    my %fresh;
    {
        my $reference = Argon::Client->new($cluster->client_arguments);
        $fresh{ $_->[0] } = $reference->queue($run, [$_->[2]]) for @poison;
        $reference->shutdown;
    }
    my $poisoner = Argon::Client->new($cluster->client_arguments);
    my $other    = Argon::Client->new($cluster->client_arguments);
    my (%seen, @died);
    for my $row (@poison) {
        my ($name, $spoil) = @{$row};
        # On every slot, and more than once.
        my @spoilt = map { $poisoner->defer($try, [$spoil]) } 1 .. 2 * $slots;
        for my $deferred (@spoilt) { eval { $deferred->get; 1 } or push @died, "$name: $@" }
        my @looks = map { $other->defer($run, [$row->[2]]) } 1 .. $slots;
        my %value = map { $_ => 1 } map { eval { $_->get } // "error: $@" } @looks;
        is join(' / ', sort keys %value), $fresh{$name}, "on $slots slots another program sees nothing of: $name";
    }
    is_deeply \@died, [], 'and no task of the poisoner died of an earlier one';
    is $other->queue(sub { "still $_[0]" }, ['well']), 'still well', 'the worker serves on';
    # The poisoner's own sessions go on, too.
    is $poisoner->queue(sub { 1 + $_[0] }, [1]), 2, 'also the poisoner';
}

alarm 0;
done_testing;
