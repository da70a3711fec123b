# In every event loop, too, who waits for more than two seconds learns for what.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin", "$FindBin::Bin/../lib";
use Test::More;

use Cluster;
use EventPrograms qw(lines_of);

# A manager without a worker.
my $cluster = Cluster->new;
my $ready   = $cluster->start(manager => '--port' => 0);
($cluster->{port}) = $ready->{addr} =~ /:(\d+)\z/;

my $client = '$Argon::Client::Session::WaitingReasons::FIRST_S = 0.4; my $quick = 0; $client = Argon::Client->new(@address, on_waiting => sub { print "$_[1]{code} $quick\n"; exit }';
my %way = (
    'AnyEvent'  => ['AnyEvent', 'use AnyEvent;', "$client, loop => 'AnyEvent'); my \$timer = AnyEvent->timer(after => 0.1, cb => sub { \$quick = 'and the loop ran' }); \$client->defer(sub { 1 })->condvar->recv;"],
    'IO::Async' => ['IO::Async::Loop', 'use IO::Async::Loop;', "my \$loop = IO::Async::Loop->new; $client, loop => \$loop); \$loop->watch_time(after => 0.1, code => sub { \$quick = 'and the loop ran' }); \$client->defer(sub { 1 })->future->get;"],
    'Mojo'      => ['Mojo::IOLoop', 'use Mojo::IOLoop;', "$client, loop => 'Mojo'); Mojo::IOLoop->timer(0.1 => sub { \$quick = 'and the loop ran' }); \$client->defer(sub { 1 })->on_ready(sub { }); Mojo::IOLoop->start;"],
    'Coro'      => ['Coro', 'use Coro;', "$client); async { \$quick = 'and the loop ran' }; async { \$client->queue(sub { 1 }) }->join;"],
    'Coro and AnyEvent' => ['Coro::AnyEvent', 'use Coro; use AnyEvent; use Coro::AnyEvent;', "$client); async { Coro::AnyEvent::sleep(0.1); \$quick = 'and the loop ran' }; async { \$client->queue(sub { 1 }) }->join;"],
    'Future'    => ['Future', 'use Future;', "$client); \$quick = 'and the loop ran'; \$client->defer(sub { 1 })->future->get;"],
);
my $found = 0;
for my $name (sort keys %way) {
    my ($module, $loads, $program) = @{ $way{$name} };
    next if !eval "require $module; 1";
    $found++;
    is_deeply([ lines_of($cluster, $loads, $program) ], ['no_worker and the loop ran'], "a task without a worker is told: $name");
}
plan skip_all => 'no event loop is installed' if !$found;
done_testing;
