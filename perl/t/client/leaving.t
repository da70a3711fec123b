# Who leaves a wait by an exception, or is ended by a signal, does not leave tasks behind that hold slots.

use strict;
use warnings;

use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX       ();
use Test::More;
use Time::HiRes ();

use Argon::Client;
use Cluster;

my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);
my $watcher = Argon::Client->new($cluster->client_arguments);
my $LIB     = "$FindBin::Bin/../../lib";
my $ADDRESS = join ', ', map {"'$_'"} $cluster->client_arguments;

sub pending { return $watcher->server_status->{pending} }

# Until the manager has so many tasks that are not done.
sub wait_for_pending {
    my ($wanted, $seconds) = @_;
    my $end = Time::HiRes::time() + ($seconds // 60);
    my $found;
    while (($found = pending()) != $wanted && Time::HiRes::time() < $end) { select undef, undef, undef, 0.02 }
    return $found;
}

# Ends the call by an exception once the manager has the task.
sub left_by_alarm {
    my ($call) = @_;
    my $end = Time::HiRes::time() + 20;
    my $died = !eval {
        local $SIG{ALRM} = sub { die "enough\n" };
        Time::HiRes::alarm(1);
        $call->();
        1;
    };
    my $error = $@;
    Time::HiRes::alarm(0);
    return $died ? $error : 'it ended well';
}

my $sleeping = sub { sleep 60; return 'slept' };

# A sub that returns the value once the file exists, or after a minute, and the sub that makes the file.
sub held_back {
    my ($value) = @_;
    my $file = File::Temp->newdir;
    my $gate = "$file/open";
    my $task = sub { -e $gate ? last : select undef, undef, undef, 0.02 for 1 .. 3000; return $value };
    return ($task, sub { open my $made, '>', $gate or die "$file: $!"; close $made or die "$gate: $!"; return });
}

my %way = (
    'queue'              => sub { $client->queue($sleeping) },
    'process'            => sub { $client->process($sleeping) },
    'map'                => sub { $client->map($sleeping, [1 .. 3]) },
    'get of a handle'    => sub { $client->defer($sleeping)->get },
    'a call of a handle' => sub { my $deferred = $client->defer($sleeping); $deferred->() },
    'error'              => sub { $client->defer($sleeping)->error },
    'a derived handle'   => sub { $client->defer($sleeping)->then(sub { return 1 })->get },
    'map_later'          => sub { $client->map_later($sleeping, [1 .. 3])->get },
    'a future'           => sub { eval { require Future; 1 } or die "enough\n"; $client->defer($sleeping)->future->get },
);
for my $name (sort keys %way) {
    is(left_by_alarm($way{$name}), "enough\n", "a handler dies out of the wait: $name");
    is(wait_for_pending(0), 0, '... and what was waited for is cancelled');
}
# kind: leaving a wait | an alarm handler that dies out of any way of waiting | right | what was waited for is
#    cancelled, the slot is free
is($client->queue(sub { return 'free' }), 'free', 'the slot is free again');

# a_wait_may_be_left_by_a_loop_control
{
    no warnings 'exiting';
    my $reached;
    ONCE: for my $once (1) {
        $client->map(sub { sleep 60 if $_[0] > 1; return 1 }, [1 .. 3], { on_result => sub { last ONCE } });
        $reached = 1;
    }
    # kind: leaving a wait | `last` out of a callback | right | what was waited for is cancelled
    is($reached, undef, 'a callback leaves the wait with last');
    is(wait_for_pending(0), 0, '... and what was waited for is cancelled');
}

# a_handle_that_is_kept_can_be_waited_for_again
{
    my ($task, $let_go) = held_back('in the end');
    my $deferred = $client->defer($task);
    is(left_by_alarm(sub { $deferred->get }), "enough\n", 'a handler dies out of get');
    $let_go->();
    is($deferred->get, 'in the end', '... and a handle that is kept can be waited for again');
    my $second = $client->defer($sleeping);
    left_by_alarm(sub { $second->get });
    is(pending(), 1, 'as long as it is kept the task goes on');
    undef $second;
    is(wait_for_pending(0), 0, '... and no longer');
}

# what_others_wait_for_goes_on
{
    my ($task, $let_go) = held_back('for the callback');
    my $deferred = $client->defer($task);
    my $heard;
    $deferred->on_ready(sub { $heard = $_[0]->get });
    left_by_alarm(sub { $deferred->get });
    $let_go->();
    $client->queue(sub { return 1 });
    is($heard, 'for the callback', 'what a callback waits for is not cancelled');
}

# handles_that_nobody_waited_for
{
    $client->defer(sub { select undef, undef, undef, 0.5; return 1 });
    # kind: leaving a wait | a deferred call whose handle is dropped | right | the task runs: nobody left a wait
    is($client->queue(sub { return 'after it' }), 'after it', 'a handle that is dropped without a wait lets the task run');
}

# a_detached_task_goes_on_and_can_be_collected_again
{
    my ($task, $let_go) = held_back('collected');
    my $id = $client->submit($task);
    is(left_by_alarm(sub { $client->collect($id) }), "enough\n", 'a handler dies out of collect');
    $let_go->();
    my $end = Time::HiRes::time() + 20;
    $client->queue(sub { return 1 });    # its outcome comes while something else is waited for
    is($client->collect($id), 'collected', '... and the outcome is there for the next');
}

# a_cancelled_map
{
    my $map = $client->map_later($sleeping, [1]);
    is(wait_for_pending(1), 1, 'a map under way');
    $map->cancel;
    is(wait_for_pending(0), 0, '... can be cancelled');
    is(eval { $map->get; 'got' } // $@->kind, 'cancelled', '... and says so');
}

# Programs of their own, to be ended by a signal while they wait.
sub program {
    my ($text) = @_;
    my $process = fork // die $!;
    return $process if $process;
    # Under nohup a program ignores SIGHUP, and its children do too.
    @SIG{qw(INT TERM HUP)} = ('DEFAULT') x 3;
    open STDERR, '>', "$cluster->{folder}/program.log";
    exec $^X, '-I', $LIB, '-e', "use strict; use warnings; $text" or POSIX::_exit(127);
}

# Until it would be called for the signal. It takes the signals over once it has waited for 20 ms, which may be a while after
# the manager has the task; before that they end it without a goodbye.
sub wait_for_handler {
    my ($process, $signal) = @_;
    my $end = Time::HiRes::time() + 20;
    while (Time::HiRes::time() < $end) {
        open my $status, '<', "/proc/$process/status" or return;
        my ($caught) = map { /\ASigCgt:\s+([0-9a-f]+)/ ? hex substr $1, -8 : () } <$status>;
        return if !defined $caught || $caught & 1 << $signal - 1;
        select undef, undef, undef, 0.02;
    }
    return;
}

# The status with which it ended.
sub ended {
    my ($process) = @_;
    my $end = Time::HiRes::time() + 20;
    while (Time::HiRes::time() < $end) {
        return $? if waitpid($process, POSIX::WNOHANG()) == $process;
        select undef, undef, undef, 0.02;
    }
    kill KILL => $process;
    waitpid $process, 0;
    return 'it did not end';
}

my $new = "use Argon::Client; my \$client = Argon::Client->new($ADDRESS);";
my %waits = (
    'queue'   => "$new \$client->queue(sub { sleep 60 })",
    'get'     => "$new \$client->defer(sub { sleep 60 })->get",
    'map'     => "$new \$client->map(sub { sleep 60 }, [1])",
    'two clients' => "$new my \$other = Argon::Client->new($ADDRESS); my \$kept = \$other->defer(sub { sleep 60 }); \$other->flush; \$client->queue(sub { sleep 60 })",
    'a future' => "use Future; $new \$client->defer(sub { sleep 60 })->future->get",
    'Coro'    => "use Coro; $new async { \$client->queue(sub { sleep 60 }) }->join",
);
my %needs = ('a future' => 'Future', Coro => 'Coro');
for my $name (sort keys %waits) {
    next if $needs{$name} && !eval "require $needs{$name}";
    for my $signal (POSIX::SIGINT(), $name eq 'queue' ? (POSIX::SIGTERM(), POSIX::SIGHUP()) : ()) {
        my $process = program($waits{$name});
        my $expected = $name eq 'two clients' ? 2 : 1;
        is(wait_for_pending($expected), $expected, "a program waits: $name");
        wait_for_handler($process, $signal);
        kill $signal => $process;
        is(ended($process), $signal, "... and ends by the signal $signal");
        # kind: leaving a wait | Ctrl-C in a Perl program | right | its tasks are cancelled
        is(wait_for_pending(0, 10), 0, '... its tasks too');
    }
}

# a_handler_of_the_program_is_its_own
{
    my $process = program("\$SIG{INT} = sub { exit 7 }; $new \$client->queue(sub { sleep 60 })");
    wait_for_pending(1);
    kill INT => $process;
    is(ended($process) >> 8, 7, 'a handler of the program decides');
    is(wait_for_pending(0), 0, '... and a program that exits says goodbye');
    $process = program("\$SIG{INT} = 'IGNORE'; $new print \$client->queue(sub { select undef, undef, undef, 1; 1 }) ? '' : ''; exit 8");
    wait_for_pending(1);
    kill INT => $process;
    is(ended($process) >> 8, 8, 'an ignored signal stays ignored');
    $process = program("$new my \$n = \$client->queue(sub { 1 }); \$client->queue(sub { select undef, undef, undef, 0.2 }); exit(defined \$SIG{INT} ? 1 : 9)");
    is(ended($process) >> 8, 9, 'after a wait the signals are as they were');
}

# tasks_can_be_left
{
    my $process = program(qq{use Argon::Client; my \$client = Argon::Client->new($ADDRESS, on_interrupt => 'leave'); \$client->queue(sub { select undef, undef, undef, 2; 1 })});
    wait_for_pending(1);
    select undef, undef, undef, 0.1;
    kill INT => $process;
    is(ended($process), POSIX::SIGINT(), 'a client with on_interrupt => leave ends by the signal');
    is(pending(), 1, '... and its task goes on');
    is(wait_for_pending(0, 10), 0, '... to its end');
    my $error = eval { Argon::Client->new(on_interrupt => 'stay'); 1 } ? 'it was taken' : "$@";
    like($error, qr/on_interrupt must be cancel or leave, not 'stay'/, 'another word is refused');
}

done_testing;
