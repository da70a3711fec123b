use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib", "$FindBin::Bin/../lib";

use Argon::Client::Session::Inbox ();
use Argon::Client::Net::Link ();
use Argon::Client::Result ();
use Argon::Client::Session ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Data ();
use Argon::Protocol qw(:all);
use JSON::PP ();
use POSIX ();
use Socket qw(AF_UNIX SOCK_STREAM PF_UNSPEC);
use Test::More;

# What reads the bytes of others gives a value or an error in words, whatever the bytes: values, and frames of a manager.
# Valid encodings are changed under seeds, which a failure prints. Other languages: fuzz/, python/tests/test_mutated_bytes.py.
my $TELLING = [pack('N', 0), pack('N', 1), pack('N', 6), pack('N', 48), pack('N', 1 << 20), "\xff" x 4, "\xff" x 8, '[', '"'];

sub mutated {
    my ($bytes) = @_;
    for (1 .. 1 + rand 4) {
        my ($at, $change) = (int rand(1 + length $bytes), int rand 5);
        if    ($change == 0) { substr $bytes, $at, 1, chr int rand 256 }
        elsif ($change == 1) { substr $bytes, $at, 1, chr(ord(substr $bytes, $at, 1) ^ 1 << int rand 8) }
        elsif ($change == 2) { substr $bytes, $at, int(rand 8), q{} }
        elsif ($change == 3) { substr $bytes, $at, 0, join q{}, map { chr int rand 256 } 0 .. rand 5 }
        else                 { my $telling = $TELLING->[rand @{$TELLING}]; substr $bytes, $at, length $telling, $telling }
    }
    return $bytes;
}

my $loop = [];
push @{$loop}, $loop;
my @values = map { Argon::Data::encode($_) }
    [1, 'two', 3.5, undef, -7, "\x{263a}"], [{ a => [1 .. 5], b => { c => undef } }, \'x'], [bless({ a => 1 }, 'Some::Class'), qr/x+/i],
    [[[[[]]]], { 1 .. 40 }], [$loop], [!!1, !!0], ['x' x 300];

# A child for each seed: Storable takes the lengths in its bytes at their word, and a perl that gets no memory ends. Under the
# limit that end is quick, so a length that gets through to Storable shows.
sub ends_of {
    my ($seed) = @_;
    srand $seed;
    my $bytes = mutated($values[rand @values]);
    my $child = fork // die "fork: $!";
    if (!$child) {
        open STDERR, '>', '/dev/null';
        alarm 30;
        my $list = eval { Argon::Data::decode_foreign($bytes) };
        my $is_told = $@ =~ /\AThese bytes are not Argon data: .+ at \S+ line \d+\.\n\z/;
        POSIX::_exit($list ? 10 : $is_told || $@ =~ /\A[^\n]+\n\z/ ? 11 : 12);
    }
    waitpid $child, 0;
    return $? & 127 ? 'a signal' : { 10 => 'a value', 11 => 'an error', 1 => 'no memory' }->{ $? >> 8 } // 'another exit';
}

SKIP: {
    # The shell sets the limit, and runs this file again.
    if (!$ENV{ARGON_TEST_LIMITED}) {
        local $ENV{ARGON_TEST_LIMITED} = 1;
        my $said = qx(ulimit -v 600000 && exec "$^X" "$0");
        my %ends = $said =~ /^(a value|an error|no memory|a signal|another exit): (\d+)$/mg;
        is_deeply [grep { $ends{$_} } 'a signal', 'another exit', 'no memory'], [], 'changed_values_are_values_or_errors' or diag $said;
        cmp_ok $ends{'an error'} // 0, '>', 200, 'most_changes_are_noticed';
        cmp_ok $ends{'a value'} // 0,  '>', 20,  'some_changes_give_another_value';
    }
    else {
        my %ends;
        for my $seed (1 .. 500) {
            my $end = ends_of($seed);
            $ends{$end}++;
            print "seed $seed ends by $end\n" if $end ne 'a value' && $end ne 'an error';
        }
        print map {"$_: $ends{$_}\n"} sort keys %ends;
        exit;
    }
}

# Cut short, nothing asks for more memory than there was.
{
    my @bad;
    for my $bytes (@values) {
        for my $length (0 .. length($bytes) - 1) {
            my $list = eval { Argon::Data::decode_foreign(substr $bytes, 0, $length) };
            push @bad, $length if !$list && $@ !~ /\AThese bytes are not Argon data: /;
        }
    }
    is "@bad", q{}, 'values_that_are_cut_short_are_refused_in_words';
}

SKIP: {
    open my $file, '<', "$FindBin::Bin/../../../spec/vectors/frames.json" or skip 'the vectors are not part of the distribution', 3;
    my $vectors = do { local $/; JSON::PP::decode_json(readline $file)->{frames} };
    my %is_sent = map { $_ => 1 } OUTCOME, CHUNK, CREDIT, ACCEPTED, NEED_BLOB, OUTPUT, ASK, PING, PONG;
    my @frames  = map { pack 'H*', $_->{frame} } grep { $is_sent{ $_->{kind} } } @{$vectors};
    push @frames, map { Argon::Protocol::frame($_->[0], $_->[1]) }
        [REPLY, '{"request":1,"ok":true}'], [REFUSED, '{"code":"busy","message":"too many"}'], [GOODBYE, '{"reason":"it stops"}'];
    my @ids = map { pack 'H*', $_->{fields}{id} } grep { $_->{kind} == OUTCOME } @{$vectors};
    my $session = Argon::Client::Session->new(addresses => [['127.0.0.1', 9]], key => 'none', on_waiting => undef);

    # Takes the bytes as a session would; what was wrong, if anything threw.
    my $take = sub {
        my ($bytes) = @_;
        socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
        my $link = Argon::Client::Net::Link->new($ours);
        my @tasks = map { my @task; @task[TASK_ID, TASK_FRAME, TASK_BYTES] = ($_, Argon::Protocol::frame(SUBMIT, "\0" x TASK_HEAD_BYTES), 0); \@task } @ids;
        @{$session}{qw(link journal in_flight ack)} = ($link, { map { $_->[TASK_ID] => $_ } @tasks }, scalar @tasks, q{});
        $link->{in} = $bytes;
        local $SIG{ALRM} = sub { die "it hangs\n" };
        alarm 30;
        # What the changed frames print is not for the reader of this test.
        my @kept = map { open my $copy, '>&', $_ or die $!; $copy } \*STDOUT, \*STDERR;
        open $_, '>', '/dev/null' or die $! for \*STDOUT, \*STDERR;
        my @warned;
        local $SIG{__WARN__} = sub { push @warned, @_ };
        my $is_well = eval { Argon::Client::Session::Inbox::take($session, $link); 1 };
        my $why = $@;
        open STDOUT, '>&', $kept[0] or die $!;
        open STDERR, '>&', $kept[1] or die $!;
        alarm 0;
        return ($is_well && !@warned ? undef : "$why@warned", $link->{broken});
    };

    my (%broken, @bad);
    for my $seed (1 .. 1500) {
        srand $seed;
        my ($why, $broken) = $take->(mutated(join q{}, map { $frames[rand @frames] } 0 .. rand 3));
        push @bad, "seed $seed: $why" if defined $why;
        $broken{ substr $broken, 0, 30 }++ if defined $broken;
    }
    is "@bad[0 .. ($#bad < 3 ? $#bad : 3)]", q{}, 'changed_frames_are_taken_or_break_the_connection_in_words';
    cmp_ok scalar keys %broken, '>', 4, 'changed_frames_are_noticed';

    my @thrown;
    for my $kind (sort { $a <=> $b } keys %is_sent) {
        for my $length (0, 1, 3, 5, 15, 28, 31, 55) {
            my ($why) = $take->(Argon::Protocol::frame($kind, "\0" x $length));
            push @thrown, sprintf '0x%02x with %d bytes: %s', $kind, $length, $why if defined $why;
        }
    }
    is "@thrown", q{}, 'frames_that_are_cut_short_throw_nothing';
}

done_testing;
