use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;

my $cluster = Cluster->new;
my $manager = $cluster->start(manager => '--port' => 0);
my ($port) = $manager->{addr} =~ /:(\d+)\z/;
$cluster->{port} = $port;
my @workers = map { $cluster->start(worker => '--port' => 0, '--manager' => "127.0.0.1:$port", '--workers' => 1) } 1 .. 2;
my $client = Argon::Client->new($cluster->client_arguments);

is $client->queue(sub { 'up' }), 'up', 'manager_and_workers_run_a_task';

{
    my @deferred = map { $client->defer(sub { select undef, undef, undef, 0.005; $_[0] }, [$_]) } 1 .. 200;
    $deferred[10]->get;
    $cluster->kill_process($workers[0]{process});
    is_deeply [map { $_->() } @deferred], [1 .. 200], 'the_tasks_of_a_killed_worker_run_elsewhere';
}

{
    my @deferred = map { $client->defer(sub { select undef, undef, undef, 0.005; $_[0] }, [$_]) } 1 .. 200;
    $deferred[10]->get;
    $cluster->kill_process($manager->{process});
    $manager = $cluster->start(manager => '--port' => $port);
    is_deeply [map { $_->() } @deferred], [1 .. 200], 'every_task_ends_once_across_a_killed_manager';
}

done_testing;
