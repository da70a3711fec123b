# Tasks of tasks on a real cluster: a task that waits lends its slot, what a task needs travels from it, and all ends.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;

use Argon::Client;
use Cluster;

# A hang is a failure, not a wait.
local $SIG{ALRM} = sub { die "nested tasks took too long\n" };
alarm 240;

my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);

sub fib {
    my ($n) = @_;
    return $n if $n < 2;
    my $here  = Argon::Client->current;
    my $other = $here->defer(\&fib, [$n - 2]);
    return $here->queue(\&fib, [$n - 1]) + $other->get;
}

sub quicksort {
    my @list = @_;
    return @list if @list < 2;
    my $pivot = shift @list;
    my $here  = Argon::Client->current;
    my @parts = map { $here->defer(\&quicksort, $_, { context => 'list' }) } [grep { $_ < $pivot } @list], [grep { $_ >= $pivot } @list];
    my @sorted = map { [$_->get] } @parts;
    return (@{ $sorted[0] }, $pivot, @{ $sorted[1] });
}

is $client->queue(sub { Argon::Client->current->queue(sub { "inner @_" }, [7]) }), 'inner 7', 'a_task_queues_a_task';
is $client->queue(\&fib, [7]), 13, 'a_recursion_of_tasks_ends_on_two_slots';
is_deeply [$client->queue(\&quicksort, [5, 3, 9, 1, 7], { context => 'list' })], [1, 3, 5, 7, 9], 'a_parallel_quicksort_ends_on_two_slots';
is $client->queue(sub { $client->queue(sub { "here @_" }, [8]) }), 'here 8', 'a_captured_client_is_that_of_the_task';
is $client->queue(sub { Argon::Client->new(timeout => '1m')->queue(sub { $_[0] + 1 }, [1]) }), 2, 'a_client_without_an_address_is_that_of_the_task';
is_deeply $client->queue(sub { [Argon::Client->current->map(sub { $_ * 2 }, [1 .. 5])] }), [2, 4, 6, 8, 10], 'map_works_in_a_task';
is $client->queue(sub { my $by = 3; Argon::Client->current->queue(sub { $_[0] * $by }, [5]) }), 15, 'closures_travel_from_a_task';
eval { $client->queue(sub { Argon::Client->current->queue(sub { die "deep\n" }) }) };
is $@, "deep\n", 'an_error_of_an_inner_task_reaches_the_outer_caller';
is $client->queue(sub { Argon::Client->current->defer(sub { sleep 60 }); 'over' }), 'over', 'a_task_need_not_wait_for_its_tasks';
is $client->queue(sub { 'free' }), 'free', 'they_end_with_it';
is_deeply [map { $_->get } map { my $n = $_; $client->defer(sub { Argon::Client->current->queue(sub { $_[0] ** 2 }, [$n]) }) } 1 .. 6],
    [1, 4, 9, 16, 25, 36], 'more_waiting_tasks_than_slots_end';
is $client->queue(sub { my $shared = Argon::Client->current->share([1 .. 9]); Argon::Client->current->queue(sub { scalar @{ $_[0] } }, [$shared]) }), 9,
    'a_value_is_shared_from_a_task';

alarm 0;
done_testing;
