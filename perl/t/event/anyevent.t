use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", $FindBin::Bin;

use Cluster;
use EventPrograms qw(needs lines_of);
use Test::More;

BEGIN { needs('AnyEvent') }

my $cluster = Cluster->up(slots => 4);
my %ways = ('pure perl' => 'BEGIN { $ENV{PERL_ANYEVENT_MODEL} = "Perl" } use AnyEvent;');
$ways{EV} = 'use EV; use AnyEvent;' if eval { require EV };

for my $way (sort keys %ways) {
    is_deeply [lines_of($cluster, $ways{$way}, <<'END')], ['7 14 21', 'no at all', 'died exit 3 -e', 'list 1 2'],
my @waiting = map { $client->defer(sub { $_[0] * 7 }, [$_])->condvar } 1 .. 3;
print join(' ', map { $_->recv } @waiting), "\n";
eval { $client->defer(sub { die "no at all\n" })->condvar->recv };
print $@;
eval { $client->defer(sub { exit 3 })->condvar->recv };
print join(' ', $@->kind, 'exit', $@->exit_code, $@->file), "\n";
print join(' ', 'list', $client->defer(sub { @_ }, [1, 2], { context => 'list' })->condvar->recv), "\n";
END
        "condvars_get_values_and_errors ($way)";

    is_deeply [lines_of($cluster, $ways{$way}, <<'END')], ['timers ran', 'callback 5', 'left 0'],
my $done  = AnyEvent->condvar;
my $ticks = 0;
my $timer = AnyEvent->timer(after => 0, interval => 0.02, cb => sub { $ticks++ });
$client->defer(\&nap, [0.3, 5])->on_ready(sub { $done->send('callback ' . $_[0]->get) });
my $said = $done->recv;
print $ticks > 5 ? "timers ran\n" : "timers stood still: $ticks\n";
print "$said\n";
print 'left ', $client->unfinished, "\n";
END
        "callbacks_run_in_the_loop_while_it_does_other_things ($way)";

    is_deeply [lines_of($cluster, $ways{$way}, <<'END', loop => 'AnyEvent')], ['500 125250'],
my $all = AnyEvent->condvar;
my ($count, $sum) = (0, 0);
$all->begin;
for my $n (1 .. 500) {
    $all->begin;
    $client->defer(sub { $_[0] }, [$n])->on_ready(sub { $count++; $sum += $_[0]->get; $all->end });
}
$all->end;
$all->recv;
print "$count $sum\n";
END
        "a_burst_is_sent_and_settled_by_the_loop_alone ($way)";
}

is_deeply [lines_of($cluster, 'use AnyEvent;', <<'END')], ['unreachable, ticks'],
use IO::Socket::INET;
my $free = do { my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1'); $s->sockport };
my $lost = Argon::Client->new(@address, port => $free, loop => 'AnyEvent');
my $ticks = 0;
my $timer = AnyEvent->timer(after => 0, interval => 0.02, cb => sub { $ticks++ });
eval { $lost->defer(sub { 1 })->condvar->recv };
print $@->kind, $ticks > 5 ? ', ticks' : ', blocked', "\n";
END
    'a_manager_that_does_not_answer_ends_tasks_without_stopping_the_loop';

done_testing;
