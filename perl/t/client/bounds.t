# What a manager sends makes a client keep no more than its own tasks need, and nothing of it controls a terminal.

use strict;
use warnings;

use Argon::Client::Net::Link ();
use Argon::Client::Result ();
use Argon::Client::Session ();
use Argon::Client::Session::Inbox ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Error ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Text ();
use JSON::PP ();
use Socket qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Test::More;

my $OWN     = 'o' x 24;
my $session = Argon::Client::Session->new(addresses => [['127.0.0.1', 9]], key => 'none', on_waiting => undef);

# A link, and the task of ours; nothing was read yet.
sub fresh {
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    my $link = Argon::Client::Net::Link->new($ours);
    my @task;
    @task[TASK_ID, TASK_FRAME, TASK_BYTES] = ($OWN, Argon::Protocol::frame(SUBMIT, "\0" x TASK_HEAD_BYTES), 0);
    @{$session}{qw(link journal ack half_characters)} = ($link, { $OWN => \@task }, q{}, undef);
    return ($link, \@task);
}

sub take {
    my ($link, @frames) = @_;
    $link->{in} = join q{}, map { Argon::Protocol::frame(@{$_}) } @frames;
    $link->{at} = 0;
    Argon::Client::Session::Inbox::take($session, $link);
    return;
}

sub begin { my ($id, $stream, $length, $part) = @_; return [OUTCOME, pack(OUTCOME_HEAD, $id, 1, 0, 0, 0, 0, 0, $stream, $length) . $part] }
sub chunk { my ($stream, $part) = @_; return [CHUNK, pack('N', $stream) . $part] }

{
    my ($link, $task) = fresh();
    take($link, begin('x' x 24, 1, 100_000, 'a' x 50_000));
    ok !ref $link->{partial}{1}[0], 'the_payload_of_a_task_that_is_not_ours_is_not_kept';
    take($link, chunk(1, 'a' x 50_000));
    is_deeply [$link->{broken}, $link->{partial}, $session->{ack}], [undef, {}, 'x' x 24], '... and acknowledged at its end';

    take($link, begin($OWN, 2, 300_000, 'b'), begin($OWN, 3, 300_000, 'c'));
    is_deeply [map { ref $link->{partial}{$_}[0] } 2, 3], ['SCALAR', q{}], 'one_payload_of_a_task_is_kept_at_a_time';
    take($link, chunk(3, 'c' x 299_999));
    ok !$task->[TASK_DONE], '... and the other ends nothing';
    take($link, chunk(2, 'b' x 299_999));
    is ${ $task->[TASK_PAYLOAD] }, 'b' x 300_000, '... and is whole';
    is $link->{broken}, undef, '... and the connection goes on';
}
{
    my ($link) = fresh();
    take($link, begin($OWN, 4, 300_000, 'b'), begin('y' x 24, 4, 300_000, 'c'));
    like $link->{broken}, qr/under the number of another/, 'a_number_of_a_stream_is_used_once';
}
{
    my ($link, $task) = fresh();
    take($link, begin($OWN, 5, 8, q{}), map { chunk(5, q{}) } 1 .. 50_000);
    is_deeply [$link->{broken}, length ${ $link->{partial}{5}[0] }], [undef, 0], 'empty_chunks_take_nothing';
    take($link, chunk(5, 'x' x 9));
    like $link->{broken}, qr/sent more of a payload than it had announced/, 'more_than_was_announced_is_an_error';
}
{
    my ($link) = fresh();
    my $before = memory_kib();
    take($link, begin($OWN, 6, 1 << 30, q{}));
    cmp_ok memory_kib() - $before, '<', 100_000, 'an_announcement_alone_reserves_little';
}
{
    my ($link) = fresh();
    for my $round (1 .. 80) {
        take($link, ([PING, 'p' x 1_000_000]) x 1);
        last if $link->{broken};
    }
    like $link->{broken}, qr/does not read the answers/, 'a_manager_that_asks_and_does_not_read_is_left';
}
{
    my ($link, $task) = fresh();
    local $session->{on_log} = 0;
    take($link, map { [OUTPUT, pack('a24 N C', $OWN, $_, 3) . '{}'] } 1 .. 1_000);
    cmp_ok scalar keys %{ $task->[TASK_OUTPUT_BYTES] }, '<=', 70, 'output_of_many_attempts_is_not_counted_for_ever';
}

sub memory_kib {
    open my $status, '<', '/proc/self/status' or return 0;
    my ($kib) = map { /\AVmSize:\s+([0-9]+)/ ? $1 : () } <$status>;
    return $kib;
}

# Text of peers.
is Argon::Protocol::Text::line("a\nb\r\nc\td\e[2J\x{7}\x{9b}31m\x{202e}exe\x{feff}"), 'a b  c d?[2J??31m?exe?', 'a_line_stays_a_line';
is Argon::Protocol::Text::line("\x{dc}bung \x{6771}"), "\x{dc}bung \x{6771}", '... of any script';
is length Argon::Protocol::Text::line('x' x 1_000), 200, '... and is not long';
is Argon::Protocol::Text::lines("a\r\n\tb\rc\e]0;t\a\n"), "a\n\tb\nc?]0;t?\n", 'lines_stay_lines';

my $report = {
    message => "no\e[31m", worker => "w\nargon: all is well", host => "h\e[2J", pid => 7, attempts => [], attempt => 'two', signal => { 9 => 1 },
    story => ["first\e[0m", {}, undef], output => "\e[1mbold\n", peak_kib => 'much',
};
for my $json (JSON::PP->new->utf8->encode($report), '[]', 'null', '"x"', '{', '[' x 10_000, '{"message":{}}', '{"story":1}') {
    my @warned;
    local $SIG{__WARN__} = sub { push @warned, @_ };
    my @record;
    @record[TASK_ID, TASK_STATUS, TASK_REPORT] = ($OWN, STATUS_DIED, $json);
    my $error = Argon::Client::Result::error(\@record);
    unlike "$error", qr/[\x00-\x08\x0b-\x1f\x7f]/, 'an_error_controls_no_terminal';
    is "@warned", q{}, '... and reading it warns of nothing';
    next if $json !~ /bold/;
    is_deeply [map { $error->$_ } qw(worker host pid attempt attempts signal peak_kib)], ['w argon: all is well', 'h?[2J', 7, undef, undef, undef, undef],
        'fields_are_of_their_kind';
    is_deeply [$error->story], ['first?[0m'], '... the story too';
    is $error->output, "\e[1mbold\n", 'the_output_of_the_task_is_as_it_was';
}
for my $body ('{"code":"busy\e","message":"x\ny"}', '[]', '{"code":{},"message":[]}', '[' x 5_000) {
    my ($link) = fresh();
    take($link, [REFUSED, $body]);
    unlike $link->{broken}, qr/[\x00-\x1f]|HASH|ARRAY/, 'a_refusal_is_one_line';
}

done_testing;
