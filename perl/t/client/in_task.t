# A client inside a task: it reaches its worker over a Unix socket, without key and address, and lends the slot while it
# waits. The worker is played by a process of this test, which notes the frames that it gets.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../../lib";
use File::Temp ();
use IO::Socket::UNIX ();
use JSON::PP ();
use POSIX    ();
use Test::More;

use Argon::Client;
use Argon::Data;
use Argon::Protocol qw(:all);

my $folder = File::Temp->newdir;
my $path   = "$folder/worker";
my $TASK   = '00112233445566778899aabbccddeeff' . '0000000000000007';
my $TOKEN  = 'f0' x 16;
my %NAME   = reverse(CHILD => CHILD, OPEN => OPEN, OFFERED => OFFERED, SUBMIT => SUBMIT, WAITS => WAITS, GOODBYE => GOODBYE, ACK => ACK, CANCEL => CANCEL);

# Answers each task with its own arguments after so many seconds; refuses wrong tokens. One line for each frame goes to $log.
sub play_worker {
    my ($listener, $log) = @_;
    local $SIG{PIPE} = 'IGNORE';
    while (my $socket = $listener->accept) {
        my $buffer = q{};
        print {$log} "accepted\n";
        while (sysread $socket, $buffer, 65_536, length $buffer) {
            while (length $buffer >= 5 && length $buffer >= 4 + unpack 'N', $buffer) {
                my $frame = substr $buffer, 0, 4 + unpack('N', $buffer), q{};
                my ($kind, $body) = unpack 'x4 C a*', $frame;
                my $name = $NAME{$kind} // sprintf '%02x', $kind;
                print {$log} $kind == CHILD || $kind == OPEN ? "$name $body\n" : $kind == WAITS ? "$name " . ord($body) . "\n" : "$name\n";
                if ($kind == CHILD) {
                    my $is_known = JSON::PP::decode_json($body)->{token} eq $TOKEN;
                    syswrite $socket, $is_known ? Argon::Protocol::frame(CREDIT, pack 'Q> Q>', 100, 1_000_000)
                        : Argon::Protocol::frame(REFUSED, '{"code":"key","message":"the token is wrong"}');
                }
                if ($kind == SUBMIT) {
                    my %head;
                    @head{@Argon::Protocol::TASK_FIELDS} = unpack TASK_HEAD, $body;
                    my $payload = substr $body, TASK_HEAD_BYTES + 32 * $head{blob_count} + $head{meta_length};
                    my $arguments = Argon::Data::decode($payload)->[1];
                    select undef, undef, undef, $arguments->[0];
                    my $value = Argon::Data::encode([$arguments->[1]]);
                    syswrite $socket, Argon::Protocol::frame(OUTCOME,
                        pack(OUTCOME_HEAD, $head{id}, 1, STATUS_OK, CODEC_RUNTIME, 0, 1, 0, 0, length $value) . $value);
                }
            }
        }
        print {$log} "closed\n";
    }
    return;
}

my $listener = IO::Socket::UNIX->new(Listen => 8, Local => $path) or die "$path: $!";
my $process  = fork // die "fork: $!";
if (!$process) {
    open my $log, '>>', "$folder/log" or die $!;
    $log->autoflush(1);
    alarm 120;
    play_worker($listener, $log);
    POSIX::_exit(0);
}
close $listener;
END { if ($process) { local $?; kill KILL => $process; waitpid $process, 0 } }

# The lines that the worker has noted since the last call, once such a line is there. Acknowledgements may come at any time.
my $seen = 0;

sub noted {
    my ($last) = @_;
    for (1 .. 200) {
        open my $in, '<', "$folder/log" or next;
        my @lines = grep { !/\AACK/ && /\n\z/ } readline $in;
        my @new = @lines[$seen .. $#lines];
        next if join(q{}, @new) !~ $last;
        $seen = @lines;
        chomp @new;
        return @new;
    }
    continue { select undef, undef, undef, 0.05 }
    fail "the worker has seen $last";
    return;
}

eval { Argon::Client->current };
like $@, qr/current is the client of a task, and this program is not in one: make a client with the address/, 'outside_of_a_task_there_is_no_current_client';

local @ENV{qw(ARGON_WORKER_SOCKET ARGON_TASK_TOKEN ARGON_TASK_ID ARGON_ATTEMPT)} = ($path, $TOKEN, $TASK, 3);
local $ENV{HOME} = "$folder";
my $client = Argon::Client->current;
is(Argon::Client->current, $client, 'a_task_has_one_current_client');
is $client->queue(sub { 1 }, [0, 'value']), 'value', 'a_task_reaches_the_pool_without_key_and_address';
my @lines = noted(qr/WAITS 0/);
is shift @lines, 'accepted', 'it connects';
my ($child, $open) = map { my $line = $_; $line =~ s/\A\w+ //; JSON::PP::decode_json($line) } splice @lines, 0, 2;
is_deeply $child, { token => $TOKEN, task => $TASK, attempt => 3 }, 'it_proves_the_task';
like $open->{session}, qr/\A0011223344556677[0-9a-f]{16}\z/, 'its_session_is_of_the_family_of_the_task';
isnt $open->{session}, substr($TASK, 0, 32), 'and_not_that_of_the_task';
is_deeply \@lines, ['OFFERED', '20', 'SUBMIT', 'WAITS 1', 'WAITS 0'], 'it_lends_its_slot_while_it_waits' or diag "@lines";

{
    my @deferred = map { $client->defer(sub { 1 }, [0, $_]) } 1 .. 3;
    is_deeply [map { $_->get } @deferred], [1, 2, 3], 'deferred_tasks_arrive';
    # How many waits the three take depends on when their outcomes come: a fourth task marks the end.
    $client->queue(sub { 1 }, [0, 'mark']);
    my @waits = grep {/WAITS/} noted(qr/(?:^SUBMIT\n.*?){4}^WAITS 1\nWAITS 0\n/ms);
    is scalar(grep { $_ eq 'WAITS 1' } @waits), scalar(grep { $_ eq 'WAITS 0' } @waits), 'each_wait_that_begins_ends';
}

# kind: leaving a wait | an exception out of a wait in a task | right | the slot is taken back at once
{
    eval { local $SIG{ALRM} = sub { die "late\n" }; alarm 1; $client->queue(sub { 1 }, [3, 'never']); alarm 0; };
    is $@, "late\n", 'an exception ends the wait';
    my @waits = grep {/WAITS|CANCEL/} noted(qr/CANCEL/);
    is_deeply [sort @waits], ['CANCEL', 'WAITS 0', 'WAITS 1'], 'a_wait_that_is_left_takes_the_slot_back_and_cancels';
}

# The end of a task.
{
    my $unfinished = $client->defer(sub { 1 }, [0, 'unfinished']);
    my $called = 0;
    $unfinished->on_done(sub { $called++ }) if $unfinished->can('on_done');
    Argon::Client::InTask::end_task();
    ok((grep { $_ eq 'GOODBYE' } noted(qr/closed/)), 'the_end_of_a_task_says_goodbye');
    eval { $unfinished->get };
    like $@, qr/cancelled|the task that made it is over/, 'what_was_not_waited_for_is_cancelled';
    is $called, 0, 'and_nobody_is_called_back';
    local @ENV{qw(ARGON_TASK_ID ARGON_ATTEMPT)} = ('00112233445566778899aabbccddeeff' . '0000000000000008', 1);
    is $client->queue(sub { 1 }, [0, 'again']), 'again', 'the_next_task_can_use_the_same_object';
    my ($proof, $opened) = map { my $line = $_; $line =~ s/\A\w+ //; JSON::PP::decode_json($line) } grep {/\A(?:CHILD|OPEN)/} noted(qr/WAITS 0/);
    is_deeply [@{$proof}{qw(task attempt)}], [@ENV{qw(ARGON_TASK_ID ARGON_ATTEMPT)}], 'as_itself';
    isnt $opened->{session}, $open->{session}, 'with_a_session_of_its_own';
}

# Each event loop lends the slot when it turns, and takes it back for what it calls.
for my $loop (
    ['Mojo', 'Mojo/IOLoop.pm', sub { my ($deferred) = @_; my $got; $deferred->promise->then(sub { $got = shift; Mojo::IOLoop->stop }); Mojo::IOLoop->start; $got }],
    ['AnyEvent', 'AnyEvent.pm', sub { my ($deferred) = @_; $deferred->condvar->recv }],
    ['IO::Async', 'IO/Async/Loop.pm', sub { my ($deferred) = @_; $deferred->future->get }],
    )
{
    my ($name, $module, $wait) = @{$loop};
    SKIP: {
        skip "$name is not installed", 2 if !eval { require $module; 1 };
        Argon::Client::InTask::end_task();
        my $driven = Argon::Client->new(loop => $name eq 'IO::Async' ? IO::Async::Loop->new : $name);
        is $wait->($driven->defer(sub { 1 }, [0.2, $name])), $name, "a task that waits in $name gets its value";
        my @waits = grep {/WAITS/} noted(qr/WAITS 0/);
        is_deeply \@waits, ['WAITS 1', 'WAITS 0'], "the_slot_is_lent_while_$name\_turns";
    }
}

{
    Argon::Client::InTask::end_task();
    local $ENV{ARGON_TASK_TOKEN} = '00' x 16;
    eval { Argon::Client->new->queue(sub { 1 }, [0, 1]) };
    like $@, qr/The worker of this task refused its client \(key\): the token is wrong/, 'a_wrong_token_is_refused_in_words';
}
{
    local $ENV{ARGON_WORKER_SOCKET} = "$folder/nobody";
    eval { Argon::Client->new(give_up_after => 0.3)->queue(sub { 1 }) };
    like $@, qr/The worker of this task does not answer at .*nobody: .* Gave up after 0\./, 'a_worker_that_is_gone_is_named';
}
{
    eval { Argon::Client->new(host => '127.0.0.1', port => 1, key => 'argon1-cluster-' . '5a' x 32)->connect };
    like $@, qr/No manager answers at 127.0.0.1:1/, 'an_explicit_address_wins';
}

done_testing;
