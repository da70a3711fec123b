use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", $FindBin::Bin;

use Cluster;
use EventPrograms qw(needs lines_of);
use Test::More;

BEGIN { needs('Mojo::IOLoop', 'Mojo::Promise') }

my $cluster = Cluster->up(slots => 4);
my %ways = ('poll' => 'BEGIN { $ENV{MOJO_REACTOR} = "Mojo::Reactor::Poll" } use Mojo::IOLoop; use Mojo::Promise;');
$ways{EV} = 'BEGIN { $ENV{MOJO_REACTOR} = "Mojo::Reactor::EV" } use Mojo::IOLoop; use Mojo::Promise;' if eval { require EV };

for my $way (sort keys %ways) {
    is_deeply [lines_of($cluster, $ways{$way}, <<'END')], ['7 14 21', 'no at all', 'died', 'then 11', 'list 1 2'],
Mojo::Promise->all(map { $client->defer(sub { $_[0] * 7 }, [$_])->promise } 1 .. 3)
    ->then(sub { print join(' ', map { $_->[0] } @_), "\n" })->wait;
$client->defer(sub { die "no at all\n" })->promise->catch(sub { print $_[0] })->wait;
$client->defer(sub { exit 3 })->promise->catch(sub { print $_[0]->kind, "\n" })->wait;
$client->defer(sub { 10 })->promise->then(sub { $client->defer(sub { $_[0] + 1 }, [$_[0]])->promise })
    ->then(sub { print "then $_[0]\n" })->wait;
$client->defer(sub { @_ }, [1, 2], { context => 'list' })->promise->then(sub { print "list @_\n" })->wait;
END
        "promises_get_values_and_errors ($way)";

    is_deeply [lines_of($cluster, $ways{$way}, <<'END', loop => 'Mojo')], ['timers ran', 'callback 5', 'the loop ended by itself'],
my $ticks = 0;
my $timer = Mojo::IOLoop->recurring(0.02 => sub { $ticks++ });
$client->defer(\&nap, [0.3, 5])->on_ready(sub {
    Mojo::IOLoop->remove($timer);
    print $ticks > 5 ? "timers ran\n" : "timers stood still: $ticks\n";
    print 'callback ', $_[0]->get, "\n";
});
Mojo::IOLoop->start;
print "the loop ended by itself\n";
END
        "callbacks_run_on_the_reactor_which_may_end ($way)";
}

is_deeply [lines_of($cluster, 'use Mojo::IOLoop; use Mojo::Promise; my $own = Mojo::IOLoop->new;', <<'END')], ['own 3'],
my $mine = Argon::Client->new(@address, loop => $own);
$mine->defer(sub { 3 })->on_ready(sub { print 'own ', $_[0]->get, "\n"; $own->stop });
$own->start;
END
    'a_loop_of_ones_own_drives_the_client';

done_testing;
