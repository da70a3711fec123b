use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", $FindBin::Bin;

use Cluster;
use EventPrograms qw(needs lines_of);
use Test::More;

BEGIN { needs('IO::Async::Loop', 'Future') }

my $cluster = Cluster->up(slots => 4);
my $loads   = 'use IO::Async::Loop; my $loop = IO::Async::Loop->new;';

is_deeply [lines_of($cluster, $loads, <<'END')], ['IO::Async::Future', '7 14 21', 'no at all', 'timeout -e', 'list 1 2'],
my @futures = map { $client->defer(sub { $_[0] * 7 }, [$_])->future } 1 .. 3;
print ref $futures[0], "\n";
print join(' ', map { $_->get } @futures), "\n";
eval { $client->defer(sub { die "no at all\n" })->future->get };
print $@;
eval { $client->defer(\&nap, [30], { timeout => 0.2 })->future->get };
print join(' ', $@->kind, $@->file), "\n";
print join(' ', 'list', $client->defer(sub { @_ }, [1, 2], { context => 'list' })->future->get), "\n";
END
    'futures_get_values_and_errors';

is_deeply [lines_of($cluster, $loads, <<'END')], ['timers ran', 'the sum is 30', 'first 1', 'cancelled'],
my $ticks = 0;
my $tick; $tick = sub { $ticks++; $loop->watch_time(after => 0.02, code => $tick) }; $tick->();
my $all = Future->needs_all(map { $client->defer(\&nap, [0.3, $_ * 10])->future } 1, 2);
my $sum = 0; $sum += $_ for $loop->await($all)->get;
print $ticks > 5 ? "timers ran\n" : "timers stood still: $ticks\n";
print "the sum is $sum\n";
my $slow = $client->defer(\&nap, [30, 2]);
print 'first ', Future->wait_any($client->defer(\&nap, [0.05, 1])->future, $slow->future)->get, "\n";
eval { $slow->get };
print $@->kind, "\n";
END
    'futures_combine_and_a_cancelled_future_cancels_its_task';

is_deeply [lines_of($cluster, $loads, <<'END', loop => 'IO::Async')], ['on_ready 4', 'ended by itself'],
$client->defer(sub { 4 })->on_ready(sub { my $value = $_[0]->get; $loop->later(sub { print "on_ready $value\n"; $loop->stop }) });
$loop->run;
print "ended by itself\n";
END
    'callbacks_run_in_the_loop';

for my $way ($loads, 'use Future;') {
    is_deeply [lines_of($cluster, $way, <<'END')], ['6', 'no', 'late 8'], "futures_chain ($way)";
print $client->defer(sub { 2 })->future->then(sub { $client->defer(sub { $_[0] * 3 }, [$_[0]])->future })->get, "\n";
eval { $client->defer(sub { die "no\n" })->future->get };
print $@;
my $done = $client->defer(sub { 8 });
$done->get;
print 'late ', $done->future->get, "\n";
END
}

SKIP: {
    skip 'Future::AsyncAwait is not installed', 2 if !eval { require Future::AsyncAwait };
    for my $way ($loads, 'use Future;') {
        is_deeply [lines_of($cluster, "use Future::AsyncAwait; $way", <<'END')], ['41 42', 'caught no'], "await_works ($way)";
async sub both {
    my $first  = await $client->defer(sub { 41 })->future;
    my $second = await $client->defer(sub { $_[0] + 1 }, [$first])->future;
    return "$first $second";
}
print both()->get, "\n";
async sub fails { my $ok = eval { await $client->defer(sub { die "no\n" })->future; 1 }; return "caught $@" }
print fails()->get;
END
    }
}

is_deeply [lines_of($cluster, 'use IO::Async::Loop; use Future;', <<'END')], ['late', 'next', 'nothing left'], 'the_end_of_a_time_limit_cancels_the_task';
my $loop = IO::Async::Loop->new;
$client = Argon::Client->new(@address, loop => $loop);
my $slow = $client->defer(sub { sleep 60 })->future;
print eval { Future->wait_any($slow, $loop->timeout_future(after => 0.5))->get; 1 } ? "in time\n" : "late\n";
print $client->defer(sub { 'next' })->future->get, "\n";
my $end = time + 10;
select undef, undef, undef, 0.05 while $client->server_status->{pending} && time < $end;
print $client->server_status->{pending} ? "a task is left\n" : "nothing left\n";
END

done_testing;
