use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Protocol qw(:all);
use Argon::Shared;
use RunnerProcess;
use ShippedText qw(shipped);
use Test::More;

# Shared values as a runner sees them: kept while there is room, asked for again when they were dropped.
my $runner = RunnerProcess->start;
$runner->ready;
my $lengths = $runner->send_blob(shipped('sub { return join " ", map { length } @_ }'));
my $limit   = $runner->send_blob(shipped('sub { $Argon::Runner::SharedValues::BYTES_MAX = $_[0] }'));
my @value   = map { Argon::Shared->new($_ x 1_000) } 'a' .. 'c';
my @hash    = map { $_->blob->[0] } @value;

sub send_value {
    my ($value) = @_;
    return $runner->send_blob($value->blob->[1]);
}

sub lengths_of {
    my (@wanted) = @_;
    $runner->send_run(blob => $lengths, shared => [map { $hash[$_] } @wanted], arguments => [map { $value[$_] } @wanted]);
    return;
}

send_value($_) for @value[0, 1];
lengths_of(0, 1);
is $runner->outcome->{list}[0], '1000 1000', 'shared_values_come_before_the_task';
lengths_of(1);
is $runner->outcome->{list}[0], '1000', '... once_for_all_tasks';
lengths_of(2);
my ($kind, $body) = $runner->next_frame;
is $kind, NEED_BLOB, 'one_that_did_not_come_is_asked_for';
is $body, $hash[2], '... by_its_hash';
send_value($value[2]);
is $runner->outcome->{list}[0], '1000', '... and_the_task_runs';

$runner->run(blob => $limit, arguments => [2_500]);
lengths_of(1, 2);
is $runner->outcome->{list}[0], '1000 1000', 'those_of_the_task_stay_whatever_the_limit';
lengths_of(0);
($kind, $body) = $runner->next_frame;
is $body, $hash[0], 'the_one_not_used_for_longest_was_dropped';
send_value($value[0]);
is $runner->outcome->{list}[0], '1000', '... and_comes_again';
lengths_of(2);
is $runner->outcome->{list}[0], '1000', 'what_was_used_lately_is_still_there';

$runner->send_run(meta => '{"call":"Argon::Data::none","label":"x"}', shared => [$hash[2]], arguments => [$value[2]]);
like $runner->outcome->{list}[0], qr/there is no function Argon::Data::none/, 'a_named_function_has_no_code_blob_before_its_shared_values';
$runner->end;

$runner = RunnerProcess->start;
$runner->ready;
$lengths = $runner->send_blob(shipped('sub { return length $_[0] }'));
$runner->send_run(blob => $lengths, arguments => [$value[2]]);
like $runner->outcome->{list}[0], qr/a shared value is not among those that the task names/, 'a_value_that_the_task_does_not_name_is_refused';

# A task that overtakes its blob, as small frames pass by big ones.
{
    my $big  = Argon::Shared->new('x' x 300_000);
    my ($hash, $bytes) = @{ $big->blob };
    $runner->send_frame(BLOB, pack(BLOB_HEAD, $hash, 7, length $bytes) . substr $bytes, 0, 1_000);
    $runner->send_run(blob => $lengths, shared => [$hash], arguments => [$big]);
    $runner->send_frame(CHUNK, pack('N', 7) . substr $bytes, 1_000);
    is $runner->outcome->{list}[0], 300_000, 'a_blob_that_has_begun_to_come_is_waited_for';
}

is $runner->end, 0, 'the_runner_ends_well';

done_testing;
