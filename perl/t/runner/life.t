use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Protocol qw(:all);
use RunnerProcess;
use ShippedText qw(shipped);
use Test::More;

{
    my $runner = RunnerProcess->start;
    my $ready  = $runner->ready;
    is $ready->{runtime}, 'perl', 'a_runner_says_its_runtime';
    is $ready->{pid}, $runner->process, 'a_runner_says_its_process';
    like $ready->{version}, qr/\A5\.\d+\.\d+\z/, 'a_runner_says_its_version';
    is $runner->end, 0, 'a_runner_whose_socket_is_closed_ends_with_status_0';
}

{
    my $runner = RunnerProcess->start;
    $runner->ready;
    my $sum = $runner->send_blob(shipped('sub { return $_[0] + $_[1] }'));
    my $outcome = $runner->run(blob => $sum, arguments => [4, 7]);
    is $outcome->{status}, STATUS_OK, 'a_task_that_returns_is_ok';
    is_deeply $outcome->{list}, [11], 'a_task_returns_its_value';
    is $outcome->{attempt}, 1, 'an_outcome_names_its_attempt';
    is_deeply $runner->run(blob => $sum, arguments => [1, 2])->{list}, [3], 'a_blob_is_sent_once';

    my $context = $runner->send_blob(shipped('sub { return wantarray ? (1, 2, 3) : "scalar" }'));
    is_deeply $runner->run(blob => $context)->{list}, ['scalar'], 'a_task_runs_in_scalar_context';
    is_deeply $runner->run(blob => $context, flags => FLAG_LIST)->{list}, [1, 2, 3], 'a_task_runs_in_list_context_when_asked';

    my $captured = $runner->send_blob(shipped('sub { return "$captures->[0] " . shift }', 1));
    is_deeply $runner->run(blob => $captured, captures => ['hello'], arguments => ['you'])->{list}, ['hello you'],
        'captured_values_travel_with_each_call';

    my $dies = $runner->send_blob(shipped('sub { die $_[0] }'));
    my $died = $runner->run(blob => $dies, arguments => ["no\n"]);
    is $died->{status}, STATUS_ERROR, 'a_task_that_dies_is_an_error';
    is_deeply $died->{list}, ["no\n"], 'the_text_of_die_is_the_same';
    my $object = $runner->run(blob => $dies, arguments => [bless { code => 7 }, 'My::Failure']);
    is ref $object->{list}[0], 'My::Failure', 'a_thrown_object_keeps_its_class';
    is $object->{list}[0]{code}, 7, '... and what it holds';

    my $last = $runner->send_blob(shipped('sub { no warnings; last }'));
    my $left = $runner->run(blob => $last);
    is $left->{status}, STATUS_ERROR, 'a_task_cannot_leave_its_runner_by_last';
    my $redo = $runner->send_blob(shipped('sub { no warnings; redo }'));
    is $runner->run(blob => $redo)->{status}, STATUS_ERROR, '... or by redo';

    my $broken = $runner->send_blob(shipped('sub { use No::Such::Module; 1 }'));
    $runner->send_run(blob => $broken);
    my ($kind, $ask) = $runner->next_frame;
    is $kind, ASK, 'a_missing_module_is_asked_for';
    $runner->send_frame(ANSWER, substr($ask, 0, 32) . pack('C', ANSWER_NO) . 'nowhere in @INC');
    my $refused = $runner->outcome;
    is $refused->{status}, STATUS_ERROR, 'code_that_does_not_load_is_an_error';
    like $refused->{list}[0], qr/does not load on perl 5\.\d+\.\d+ of worker test: .*No.*Such.*Module/s,
        '... whose message names the perl, the worker and the module';

    my $again = $runner->run(blob => $sum, arguments => [20, 22]);
    is_deeply $again->{list}, [42], 'a_runner_goes_on_after_errors';

    my $handle = $runner->send_blob(shipped('sub { return \*STDOUT }'));
    my $unfit = $runner->run(blob => $handle);
    is $unfit->{status}, STATUS_ERROR, 'a_value_that_cannot_travel_is_an_error';
    like $unfit->{list}[0], qr/what the task returned cannot travel/, '... that says so';

    my $identity = $runner->send_blob(shipped('sub { return "$ENV{ARGON_TASK_ID} $ENV{ARGON_ATTEMPT} $ENV{ARGON_WORKER} @ARGV" }'));
    my $known = $runner->run(blob => $identity, id => 'i' x 24);
    is $known->{list}[0], ('69' x 24) . ' 1 test ', 'a_task_knows_its_id_its_attempt_and_its_worker';

    my $slow = $runner->send_blob(shipped('sub { select undef, undef, undef, 0.02; 1 }'));
    cmp_ok $runner->run(blob => $slow)->{run_us}, '>=', 19_000, 'an_outcome_says_how_long_the_task_ran';
}

{
    my $runner = RunnerProcess->start;
    $runner->ready;
    my $hash = Digest::SHA::sha256(my $text = shipped('sub { "found" }'));
    $runner->send_run(blob => $hash);
    my ($kind, $wanted) = $runner->next_frame;
    is $kind, NEED_BLOB, 'a_blob_that_is_not_there_is_asked_for';
    is $wanted, $hash, '... by its hash';
    $runner->send_blob($text);
    is_deeply $runner->outcome->{list}, ['found'], 'the_task_then_runs';
}

{
    my $runner = RunnerProcess->start;
    $runner->ready;
    my $twice = $runner->send_blob(shipped('sub { $_[0] x 2 }'));
    my $big   = join q{}, map { chr(65 + $_ % 26) x 1000 } 1 .. 700;
    my $bytes = Argon::Data::encode([undef, [$big]]);
    $runner->send_frame(RUN, $runner->run_head(blob => 1, stream => 9, length => length $bytes) . $twice . substr $bytes, 0, 1000);
    for (my $offset = 1000; $offset < length $bytes; $offset += 200_000) {
        $runner->send_frame(CHUNK, pack('N', 9) . substr $bytes, $offset, 200_000);
    }
    my $outcome = $runner->outcome;
    isnt $outcome->{stream}, 0, 'a_big_payload_comes_in_a_stream';
    ok $outcome->{list}[0] eq $big x 2, 'a_big_payload_is_whole_both_ways';
    my $code = shipped('sub { 1 }' . "\n" . '# padding' x 100_000 . "\n");
    my $hash = Digest::SHA::sha256($code);
    $runner->send_frame(BLOB, pack BLOB_HEAD, $hash, 5, length $code);
    $runner->send_frame(CHUNK, pack('N', 5) . $_) for unpack '(a200000)*', $code;
    is $runner->run(blob => $hash)->{status}, STATUS_OK, 'a_big_blob_comes_in_a_stream';
}

{
    my $runner = RunnerProcess->start;
    $runner->ready;
    my $exit = $runner->send_blob(shipped('sub { exit 3 }'));
    $runner->send_run(blob => $exit);
    is $runner->next_frame, undef, 'exit_in_a_task_closes_the_socket';
    is $runner->end >> 8, 3, 'exit_in_a_task_ends_the_runner_with_its_code';
}

{
    my $runner = RunnerProcess->start;
    $runner->ready;
    my $class = $runner->run(meta => '{"call":"List::Util::sum"}', arguments => [1, 2, 3]);
    is_deeply $class->{list}, [6], 'a_function_is_called_by_name';
    my $json = $runner->run(meta => '{"call":"List::Util::max"}', codec => CODEC_JSON, payload => '[3,9,4]');
    is $json->{payload}, '9', 'json_arguments_give_a_json_value';
    my $nothing = $runner->run(meta => '{"call":"List::Util::no_such"}');
    like $nothing->{list}[0], qr/there is no function List::Util::no_such/, 'a_missing_function_is_named';
    my $nowhere = $runner->run(meta => '{"call":"No::Such::f"}')->{list}[0];
    like $nowhere, qr{the function No::Such::f was asked for: Can't locate No/Such\.pm}, 'a_function_of_a_missing_module_is_named';
    unlike $nowhere, qr/Runner|line \d/, 'the_place_is_not_one_of_the_runners_own';
    my $hostile = $runner->run(meta => '{"class":"a; system(1)"}');
    like $hostile->{list}[0], qr/is not the name of a class/, 'a_name_that_is_none_is_refused';
}

done_testing;
