use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon;
use Argon::Client;
use Cluster;
use Test::More;
use Time::HiRes ();

sub kind_of { my ($error) = @_; return ref $error ? $error->kind : "none: $error" }

my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);

{
    my $offset = 3;
    is $client->queue(sub { $_[0] + $_[1] + $offset }, [4, 7]), 14, 'queue_returns_the_value';
    is_deeply [$client->queue(sub { map { $_ * 2 } @_ }, [1, 2, 3])], [2, 4, 6], 'queue_returns_a_list_in_list_context';
    my @values = map { $_->() } map { $client->defer(sub { $_[0] }, [$_]) } 1 .. 2_000;
    is_deeply \@values, [1 .. 2_000], 'two_thousand_deferred_tasks_return_their_own_values';
    is_deeply [$client->map(sub { -$_[0] }, [1 .. 20])], [map { -$_ } 1 .. 20], 'map_keeps_the_order';
}

{
    my $deferred = $client->defer(sub { die { code => 7 } });
    eval { $deferred->() };
    is eval { my $error = $@; $deferred->error->{code} }, 7, 'an_error_object_is_thrown_again';
    eval { $client->queue(sub { die "text\n" }) };
    is $@, "text\n", 'an_error_text_is_thrown_again';
    eval { $client->queue(sub { print STDERR "last words\n"; exit 3 }) };
    my $error = $@;
    is kind_of($error), 'died', 'exit_in_a_task_is_died';
    is eval { $error->exit_code }, 3, '... with its exit code';
    eval { $client->queue(sub { kill KILL => $$; sleep 10 }) };
    $error = $@;
    is eval { $error->signal }, 9, 'a_killed_runner_tells_the_signal';
    is $client->queue(sub { 'alive' }), 'alive', 'the_slot_goes_on';
    eval { $client->queue(sub { sleep 30 }, [], { timeout => 0.3 }) };
    is kind_of($@), 'timeout', 'a_time_limit_ends_a_task';
    my $long = $client->defer(sub { sleep 30 });
    $client->queue(sub { 1 });
    $long->cancel;
    eval { $long->get };
    is kind_of($@), 'cancelled', 'a_cancelled_task_ends';
    my $begun = Time::HiRes::time();
    my $tries = eval { $client->queue(sub { exit 1 if $ENV{ARGON_ATTEMPT} < 3; $ENV{ARGON_ATTEMPT} }, [], { retries => 3, backoff => 0.01 }) };
    is $tries, 3, 'retries_run_a_died_task_again' or diag $@;
}

{
    open my $stdout, '>&', \*STDOUT or die $!;
    my $printed = q{};
    close STDOUT; open STDOUT, '>', \$printed or die $!;
    $client->queue(sub { print "line $_\n" for 1 .. 3; return });
    close STDOUT; open STDOUT, '>&', $stdout or die $!;
    is $printed, "line 1\nline 2\nline 3\n", 'what_a_task_prints_appears_here';
    $printed = q{};
    close STDOUT; open STDOUT, '>', \$printed or die $!;
    $client->queue(sub { print 'x' x 1_000, "\n" for 1 .. 3_000; return });
    close STDOUT; open STDOUT, '>&', $stdout or die $!;
    is length $printed, 3_003_000, 'three_megabytes_of_output_come_whole';
    is $client->defer(sub { print "kept\n"; 1 }, [], { capture => 1 })->output, "kept\n", 'captured_output_is_kept_with_the_task';
}

{
    my $big = join q{}, map { chr(65 + $_ % 26) x 1_000 } 1 .. 5_000;
    ok $client->queue(sub { scalar reverse $_[0] }, [$big]) eq reverse($big), 'five_megabytes_travel_both_ways';
}

{
    my $folder = File::Temp->newdir;
    mkdir "$folder/Only";
    open my $file, '>', "$folder/Only/Here.pm" or die $!;
    print {$file} "package Only::Here;\nsub new { bless [] }\nsub run { 'from the client, line ' . __LINE__ }\n1;\n";
    close $file;
    local @INC = ("$folder", @INC);
    require Only::Here;
    is $client->queue('Only::Here'), 'from the client, line 3', 'a_module_that_only_the_client_has_runs_there';
    eval { $client->queue(sub { require No::Such::Module }) };
    like $@, qr/\ACan't locate No\/Such\/Module\.pm in \@INC/, 'a_module_that_nobody_has_is_a_clear_error';
}

{
    my $ticket = $client->submit(sub { "detached @_" }, [1]);
    my $other = Argon::Client->new($cluster->client_arguments);
    is $other->collect($ticket), 'detached 1', 'another_client_collects_a_detached_task';
    my $long = $client->submit(sub { sleep 300 });
    ok $other->cancel($long), 'another_client_cancels_it_with_its_ticket';
    is eval { $other->collect($long); 1 } // $@->kind, 'cancelled', '... and learns that it was cancelled';
    my ($id) = split /-/, $long;
    like eval { $other->cancel($id); 1 } // $@, qr/$id is the id of a task, not its ticket/, 'an_id_alone_cancels_nothing';
    is eval { $other->cancel("$id-" . '0' x 32); 1 } // $@->kind, 'lost', '... and no wrong token';
}

{
    my $status = $client->server_status;
    ok exists $status->{$_}, "server_status_has_$_" for qw(workers total_capacity current_capacity queue_length pending);
}

is eval { Argon::Client->new($cluster->client_arguments, key => 'argon1-cluster-' . '11' x 32)->queue(sub { 1 }) }, undef,
    'a_wrong_key_does_not_get_in';
like $@, qr/does not open the manager/, '... and reads why';

done_testing;
