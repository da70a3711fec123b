use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;
use Time::HiRes ();

my $cluster = Cluster->up(slots => 3);
my $client  = Argon::Client->new($cluster->client_arguments);
my $nap     = sub { select undef, undef, undef, $_[0]; return $_[0] };

# A task that ends once the file is there, so that the order of ends is certain.
my $folder = File::Temp->newdir;
my $after  = sub {
    my ($number, $awaited) = @{ $_[0] };
    for (1 .. 3_000) { last if !defined $awaited || -e $awaited; select undef, undef, undef, 0.01 }
    return $number;
};
my $touch = sub { open my $file, '>', $_[0] or die $!; close $file };

is_deeply [$client->map(sub { -$_[0] }, [1 .. 300], { ahead => 7 })], [map { -$_ } 1 .. 300], 'results_come_in_the_order_of_the_items';
is_deeply [$client->map(sub { 1 }, [])], [], 'no_items_give_no_results';
is_deeply scalar $client->map(sub { $_[0] }, [1, 2]), [1, 2], 'scalar_context_gives_an_array_reference';
is_deeply [$client->map(sub { ($_[0]) x $_[0] }, [1, 2, 3], { context => 'list' })], [1, 2, 2, 3, 3, 3], 'lists_are_joined';

{
    my @seen;
    my @got = $client->map($after, [[1, "$folder/two"], [2], [3]], {
        order => 'completed', progress => sub { push @seen, "@_"; $touch->("$folder/two") if @seen == 2 },
    });
    is_deeply [sort(@got[0, 1]), $got[2]], [2, 3, 1], 'as_completed_the_first_to_end_comes_first';
    is_deeply \@seen, ['1 3', '2 3', '3 3'], '... and progress tells how many';
    my @order;
    my $count = $client->map($after, [[1, "$folder/three"], [2], [3]], {
        order => 'completed', on_result => sub { push @order, "@_"; $touch->("$folder/three") if @order == 2 },
    });
    is $count, 3, 'with_on_result_map_gives_the_number';
    is_deeply [sort(@order[0, 1]), $order[2]], ['1 2', '2 3', '0 1'], '... and on_result gets index and value';
}

for my $order (qw(given completed)) {
    my ($taken, $done, $most) = (0, 0, 0);
    my $next = sub {
        return if $taken == 200;
        my $ahead = ++$taken - $done;
        $most = $ahead if $ahead > $most;
        return $taken;
    };
    my $sum = 0;
    $client->map(sub { $_[0] }, $next, { ahead => 10, order => $order, on_result => sub { $done++; $sum += $_[1] } });
    is $sum, 20_100, "an_iterator_is_drained ($order)";
    cmp_ok $most, '<=', 10, "... never further ahead than asked ($order)";
}

{
    my $more = 5;
    my $got = $client->map(sub { $_[0] }, sub { $client->queue(sub { 1 }); return $more-- ? $more : () });
    is_deeply $got, [4, 3, 2, 1, 0], 'an_iterator_may_wait_for_tasks_of_its_own';
}

{
    my $more = 2;
    is_deeply [$client->map(sub { defined $_[0] ? 'value' : 'undef' }, sub { return $more-- > 0 ? undef : () })], [qw(undef undef)],
        'undef_is_an_item_and_the_empty_list_the_end';
}

for my $order (qw(given completed)) {
    eval { $client->map(sub { die "four\n" if $_[0] == 4; return $_[0] }, [1 .. 50], { order => $order }) };
    is $@, "four\n", "the_first_error_is_thrown ($order)";
}
eval { $client->map(sub { 1 }, [1 .. 10], { progress => sub { die "enough\n" } }) };
is $@, "enough\n", 'what_progress_throws_ends_the_map';
eval { $client->map(sub { 1 }, sub { die "no items\n" }) };
is $@, "no items\n", 'what_the_iterator_throws_ends_the_map';
eval { $client->map(sub { exit 2 }, [1]) };
like "$@", qr/ at \Q$0\E line @{[__LINE__ - 1]}\.$/m, 'a_death_names_the_line_of_map';
eval { $client->map(sub { 1 }, 'text') };
like $@, qr/map needs an array reference or an iterator/, 'something_else_than_items_is_refused';
eval { $client->map(sub { 1 }, [1], { order => 'random' }) };
like $@, qr/order must be given or completed/, 'an_unknown_order_is_refused';

{
    eval {
        local $SIG{ALRM} = sub { die "interrupted\n" };
        alarm 1;
        $client->map($nap, [(60) x 20]);
    };
    alarm 0;
    # kind: leaving a wait | a handler that dies out of Perl's `map` | right | all tasks of the map are cancelled
    is $@, "interrupted\n", 'a_signal_ends_the_map';
    my $begun = Time::HiRes::time();
    is $client->queue(sub { 'free' }), 'free', '... and its tasks, whose slots are free again';
    cmp_ok Time::HiRes::time() - $begun, '<', 20, '... soon';
}

{
    my $later = $client->map_later(sub { $_[0] * 2 }, [1 .. 20], { ahead => 4 });
    is $client->queue(sub { 'between' }), 'between', 'map_later_does_not_wait';
    is_deeply [$later->get], [map { $_ * 2 } 1 .. 20], '... and gives a deferred of the list';
    is_deeply [$client->map_later(sub { $_[0] }, [1, 2])->then(sub { return "@_" })->get], ['1 2'], '... which chains';
}

done_testing;
