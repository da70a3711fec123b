use strict;
use warnings;

# Small segments for a manager to which large packets get lost: when they begin, and that the socket gets them. A network
# that loses them is in tests/tests/cluster/partitions.rs.

use IO::Socket::INET ();
use Socket           qw(IPPROTO_TCP TCP_MAXSEG);
use Test::More;
use Time::HiRes ();

use Argon::Client::Net::Dial     ();
use Argon::Client::Net::Segments ();

my $SMALL_S = 3600;

subtest 'A connection is stuck when its data stand and the peer still answers' => sub {
    my @cases = ([0, 0, 0, 'moved'], [2, 6, 6, 'moved'], [0, 15, 3, 'stuck'], [6, 3, 3, 'stuck'], [0, 15, 15, 'unclear'], [6, 15, 15, 'unclear']);
    for my $case (@cases) {
        my ($retransmits, $data_age, $answer_age, $expected) = @{$case};
        is Argon::Client::Net::Segments::movement($retransmits, $data_age, $answer_age), $expected, "@{$case}";
    }
};

subtest 'Small segments begin with a stuck connection or the second unclear end, and last for their time' => sub {
    my ($note, $is_small) = (\&Argon::Client::Net::Segments::note, \&Argon::Client::Net::Segments::is_small);
    $note->('a:1', 'stuck', 10);
    ok $is_small->('a:1', 11), 'it was stuck';
    ok !$is_small->('b:1', 11), 'another manager';
    $note->('a:1', 'moved', 12);
    ok $is_small->('a:1', 13), 'it moves because they are small';
    ok !$is_small->('a:1', 10 + $SMALL_S), 'an hour later';
    for my $movement (qw(unclear moved unclear)) {
        $note->('c:1', $movement, 10);
        ok !$is_small->('c:1', 11), "$movement, not in a row";
    }
    $note->('c:1', 'unclear', 10);
    ok $is_small->('c:1', 11), 'the second in a row';
};

subtest 'What the kernel reports of a connection is read, and the next one gets small segments' => sub {
    plan skip_all => 'the kernel of Linux reports it' if $^O ne 'linux';
    my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 2) or die "no port: $!";
    my $where    = '127.0.0.1:' . $listener->sockport;
    my $connect  = sub {
        my $dial = Argon::Client::Net::Dial->begin(['127.0.0.1', $listener->sockport], 'argon1-cluster-' . '5a' x 32);
        my $far  = $listener->accept or die "not accepted: $!";
        return ($dial->handle, $far, unpack 'i', getsockopt $far, IPPROTO_TCP, TCP_MAXSEG);
    };
    my ($near, $far, $usual) = $connect->();
    Argon::Client::Net::Segments::note_end($where, $near);
    ok !Argon::Client::Net::Segments::is_small($where, Time::HiRes::time()), 'it moved';
    close $near or die $!;
    Argon::Client::Net::Segments::note_end($where, $near);
    ok !Argon::Client::Net::Segments::is_small($where, Time::HiRes::time()), 'of a closed one nothing is known';
    Argon::Client::Net::Segments::note($where, 'stuck', Time::HiRes::time());
    my (undef, undef, $small) = $connect->();
    cmp_ok $small, '<=', 536,   'the size of the second';
    cmp_ok $usual, '>',  $small, 'the size of the first';
};

done_testing;
