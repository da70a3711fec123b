use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon;
use Argon::Client;
use Test::More;
use TestManager;

sub kind_of { my ($error) = @_; return ref $error ? $error->kind : 'none' }

my $manager = TestManager->start;
my $client  = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);

{
    my $offset = 3;
    is $client->queue(sub { my ($x, $y) = @_; return $x + $y + $offset }, [4, 7]), 14, 'queue_returns_the_value';
    my @list = $client->queue(sub { return map { $_ * 2 } @_ }, [1, 2, 3]);
    is_deeply \@list, [2, 4, 6], 'queue_returns_a_list_in_list_context';
    my $context = $client->queue(sub { return wantarray ? 'list' : 'scalar' });
    is $context, 'scalar', 'queue_runs_in_the_callers_context';
}

{
    my $deferred = $client->defer(sub { return wantarray ? 'list' : "scalar @_" }, [7]);
    is $deferred->(), 'scalar 7', 'a_deferred_is_called_for_its_value';
    is $deferred->get, 'scalar 7', '... as often as wanted';
    ok $deferred->is_ready, 'a_deferred_in_hand_is_ready';
    like $deferred->id, qr/\A[0-9a-f]{48}\z/, 'a_deferred_has_an_id';
    my @list = $client->defer(sub { return @_[1, 2] }, [1 .. 3], { context => 'list' })->get;
    is_deeply \@list, [2, 3], 'a_deferred_gives_a_list_when_asked';
    is $client->defer(sub { 5 })->then(sub { return $_[0] + 1 })->get, 6, 'then_derives_a_value';
    is $client->defer(sub { die "no\n" })->then(undef, sub { return "caught $_[0]" })->get, "caught no\n", 'then_handles_an_error';
    is $client->defer(sub { 2 })->then(sub { return $client->defer(sub { $_[0] * 3 }, [$_[0]]) })->get, 6, 'then_waits_for_a_deferred';
    my @seen;
    my $watched = $client->defer(sub { 'seen' })->on_ready(sub { push @seen, $_[0]->get });
    $watched->get;
    is_deeply \@seen, ['seen'], 'on_ready_calls_back_once';
}

{
    my $died = $client->defer(sub { die "plain text\n" });
    for my $time (1, 2) {
        eval { $died->() };
        is $@, "plain text\n", "a_failed_defer_throws_each_time ($time)";
    }
    eval { $client->queue(sub { die "with a place" }) };
    is $@, "with a place at $0 line " . (__LINE__ - 1) . ".\n", 'an_error_keeps_its_file_and_line';
    eval { $client->queue(sub { die bless { code => 7 }, 'My::Failure' }) };
    is ref $@, 'My::Failure', 'an_error_object_keeps_its_class';
    is $@->{code}, 7, '... and what it holds';
}

{
    eval { $client->queue(sub { exit 3 }) };
    my $line = __LINE__ - 1;
    my $error = $@;
    isa_ok $error, 'Argon::Error', 'a_died_runner';
    is $error->kind, 'died', '... says so';
    is $error->exit_code, 3, '... with its exit code';
    like "$error", qr/ at \Q$0\E line $line\.\n\z/, '... at the line of the call';
    eval { $client->queue(sub { kill KILL => $$; sleep 5 }) };
    is $@->signal, 9, 'a_killed_runner_tells_the_signal';
}

{
    package Local::Task;
    sub new { my ($class, @arguments) = @_; return bless [@arguments], $class }
    sub run { my ($self) = @_; return "ran @{$self}" }
}
is $client->queue('Local::Task', [1, 2]), 'ran 1 2', 'a_class_of_the_script_travels';
sub helper { return "helped @_" }
is $client->queue('main::helper', [1]), 'helped 1', 'a_function_of_the_script_travels';
is $client->queue('List::Util::sum', [1, 2, 3]), 6, 'a_function_of_a_module_is_called_by_name';

is_deeply [$client->map(sub { $_[0]**2 }, [1 .. 50], { ahead => 7 })], [map { $_**2 } 1 .. 50], 'map_keeps_the_order';
{
    my @progress;
    my $next = 0;
    my @got = $client->map(sub { -$_[0] }, sub { return $next < 5 ? ++$next : () }, { progress => sub { push @progress, $_[0] } });
    is_deeply \@got, [-1, -2, -3, -4, -5], 'map_takes_an_iterator';
    is_deeply \@progress, [1 .. 5], 'map_tells_its_progress';
    eval { $client->map(sub { die "four\n" if $_[0] == 4; 1 }, [1 .. 10]) };
    is $@, "four\n", 'map_throws_the_first_error';
}

{
    my $ticket = $client->submit(sub { return "detached @_" }, [1]);
    like $ticket, qr/\A[0-9a-f]{48}-[0-9a-f]{32}\z/, 'submit_returns_a_ticket';
    my ($id, $token) = split /-/, $ticket;
    eval { $client->collect($id) };
    like $@, qr/needs the ticket that submit returned; $id is the id of a task, not its ticket/, 'an_id_alone_opens_nothing';
    for my $wrong (undef, q{}, 7, "$ticket\n", "${ticket}0", uc $ticket, "$id-") {
        eval { $client->collect($wrong) };
        like $@, qr/needs the ticket that submit returned; what was given is not one/, 'what_is_not_a_ticket_is_refused';
        unlike $@, qr/$token/i, '... without the token in the message';
    }
    my $guessed = $client->collect_later("$id-" . '0' x 32);
    is $client->collect($ticket), 'detached 1', 'collect_gets_the_value_with_the_ticket';
    is kind_of(eval { $guessed->get } // $@), 'lost', 'a_wrong_token_is_the_ticket_of_no_task';
}

{
    my $status = $client->server_status;
    ok exists $status->{$_}, "server_status_has_$_" for qw(workers total_capacity current_capacity queue_length pending);
}

{
    my $big = join q{}, map { chr(65 + $_ % 26) x 1_000 } 1 .. 3_000;
    ok $client->queue(sub { return scalar reverse $_[0] }, [$big]) eq reverse($big), 'three_megabytes_travel_both_ways';
    my @small = map { $client->defer(sub { $_[0] }, [$_]) } 1 .. 500;
    my $large = $client->defer(sub { length $_[0] }, ['x' x 2_000_000]);
    is_deeply [map { $_->() } @small], [1 .. 500], 'small_tasks_pass_beside_a_big_one';
    is $large->(), 2_000_000, '... and the big one arrives';
}

{
    my ($printed, $warned) = (q{}, q{});
    open my $stdout, '>&', \*STDOUT or die $!;
    open my $stderr, '>&', \*STDERR or die $!;
    close STDOUT; open STDOUT, '>', \$printed or die $!;
    close STDERR; open STDERR, '>', \$warned  or die $!;
    $client->queue(sub { print "to you\n"; print STDERR "and you\n"; return });
    close STDOUT; open STDOUT, '>&', $stdout or die $!;
    close STDERR; open STDERR, '>&', $stderr or die $!;
    is $printed, "to you\n", 'what_a_task_prints_appears_on_the_clients_own_handle';
    is $warned, "and you\n", '... and what it warns';
    my $deferred = $client->defer(sub { print "kept\n"; return 1 }, [], { capture => 1 });
    is $deferred->output, "kept\n", 'captured_output_is_kept_with_the_task';
}

{
    my $deferred = $client->defer(sub { sleep 30 });
    $client->defer(sub { 1 })->get;
    $deferred->cancel;
    eval { $deferred->get };
    is kind_of($@), 'cancelled', 'a_cancelled_task_throws_cancelled';
}

is $client->queue(sub { "low @_" }, [1], $Argon::PRI_LOW, 3), 'low 1', 'priority_and_tries_may_be_positional';
for my $bad ([{ priority => 'urgent' }, qr/priority must be high, normal or low, not 'urgent'/], [{ colour => 1 }, qr/no option 'colour'/],
    [{ timeout => 'soon' }, qr/timeout must be a number of seconds/], [{ never_twice => 1, retries => 1 }, qr/exclude each other/])
{
    eval { $client->queue(sub { 1 }, [], $bad->[0]) };
    like $@, qr/$bad->[1].* at \Q$0\E line/, "a_wrong_option_is_refused_at_the_call: $bad->[1]";
}

for my $bad ([4], [{ a => 1 }], ['high']) {
    eval { $client->queue(sub { 1 }, @{$bad}) };
    like $@, qr/the arguments of a task are an array reference, as in queue\(\$code, \[4, 7\]\), not '.* at \Q$0\E line/,
        'arguments_that_are_no_array_reference_are_refused_at_the_call';
}
for my $bad ([4, 7], [4, 5, 6]) {
    eval { $client->queue(sub { 1 }, @{$bad}) };
    like $@, qr/in one array reference, as in queue\(\$code, \[4, 7\]\)/, 'arguments_without_an_array_reference_are_told_where_they_go';
}
eval { Argon::Client->new(hots => 'mgrhost', port => 8000) };
like $@, qr/no option 'hots'.*; those of new alone are host, port,/, 'a_wrong_option_of_new_is_told_all_options';
eval { $client->collect(49) };
like $@, qr/interface => '0\.16'/, 'a_script_of_0_16_is_told_its_option';

{
    my $pending = $client->defer(sub { sleep 30 });
    my $child = open my $from_child, '-|';
    if (!$child) {
        eval { $pending->get };
        print kind_of($@), "\n", $client->queue(sub { 6 * 7 }), "\n";
        exit 0;
    }
    chomp(my @said = readline $from_child);
    is_deeply \@said, ['lost', 42], 'a_forked_child_has_its_own_session_and_none_of_the_parents_tasks';
    is $client->queue(sub { 'still' }), 'still', 'the_parent_goes_on_after_a_fork';
    $client->shutdown;
    eval { $pending->get };
    is kind_of($@), 'cancelled', 'shutdown_cancels_what_is_unfinished';
    eval { $client->queue(sub { 1 }) };
    like $@, qr/was shut down at \Q$0\E line/, 'a_client_that_was_shut_down_says_so';
}

done_testing;
