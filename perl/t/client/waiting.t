# Who waits for more than two seconds learns for what, once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes ();

use Argon::Client;
use Cluster;
use TestManager;

my $cluster = Cluster->new;
my $manager = $cluster->start(manager => '--port' => 0, '--queue-size' => 2);
my ($port)  = $manager->{addr} =~ /:(\d+)\z/;
my @address = (host => '127.0.0.1', port => $port, key => $cluster->key_file);

# What the hook gets until it has so many words, or the time is over; and how long that took.
sub words_of {
    my ($count, $call, @options) = @_;
    my @words;
    my $begun = Time::HiRes::time();
    my $client = Argon::Client->new(@address, on_waiting => sub { push @words, [@_]; die "enough\n" if @words == $count }, @options);
    local $SIG{__WARN__} = sub { };
    eval {
        local $SIG{ALRM} = sub { die "over\n" if @words >= $count || Time::HiRes::time() - $begun > 20 };
        Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0.05, 0.05);
        $call->($client);
    };
    Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0);
    return (Time::HiRes::time() - $begun, @words);
}

# a_pool_without_workers
{
    my ($seconds, $word) = words_of(1, sub { $_[0]->queue(sub { return 1 }) });
    # kind: the reason of a wait | a Perl call on a pool without workers | loud | a line on standard error after two
    #    seconds, once
    is($word->[0], "1 task waits: no worker is connected; start one with: argon worker --manager 127.0.0.1:$port", 'a task without a worker says so, with the address to use');
    is($word->[1]{code}, 'no_worker', '... with a code for programs');
    cmp_ok($seconds, '>=', 2, '... after two seconds');
    # The other cases wait less.
    $Argon::Client::Session::WaitingReasons::FIRST_S = 0.2;
    for my $way (sub { $_[0]->map(sub { return 1 }, [1]) }, sub { $_[0]->defer(sub { return 1 })->get }, sub { $_[0]->defer(sub { return 1 })->error }) {
        (undef, $word) = words_of(1, $way);
        is($word->[1]{code}, 'no_worker', '... in every way of waiting');
    }
}

# once
{
    my @words;
    my $client = Argon::Client->new(@address, on_waiting => sub { push @words, $_[1]{code} });
    eval { local $SIG{ALRM} = sub { die "over\n" }; alarm 2; $client->queue(sub { return 1 }); };
    alarm 0;
    is_deeply(\@words, ['no_worker'], 'each state is told once, although the manager is asked again');
}

# the_program_itself_prints_it
{
    my $program = "use Argon::Client; \$Argon::Client::Session::WaitingReasons::FIRST_S = 0.2; my \$client = Argon::Client->new(" . join(', ', map {"'$_'"} @address) . ", %s); \$SIG{ALRM} = sub { exit }; alarm %d; \$client->queue(sub { 1 });";
    my $printed = sub {
        my ($option, $seconds) = @_;
        my $pid = open my $child, '-|', $^X, '-I', "$FindBin::Bin/../../lib", '-e', 'open STDERR, ">&", \*STDOUT; ' . sprintf $program, $option, $seconds or die $!;
        # Its first line, or its end.
        my $text = readline $child;
        kill KILL => $pid;
        close $child;
        return $text // q{};
    };
    is($printed->(q{}, 60), "argon: waiting: 1 task waits: no worker is connected; start one with: argon worker --manager 127.0.0.1:$port\n", 'without a hook it is a line on STDERR');
    is($printed->("on_waiting => $_", 2), q{}, "on_waiting => $_ silences it") for 'undef', 0;
    like(eval { Argon::Client->new(@address, on_waiting => 'loud'); 1 } ? 'taken' : "$@", qr/on_waiting must be a code reference/, 'something else is refused');
}

# the_queue_is_full
{
    my $first = Argon::Client->new(@address, on_waiting => undef);
    my @queued = map { $first->defer(sub { return 1 }) } 1 .. 2;
    $first->flush;
    my @words;
    my $client = Argon::Client->new(@address, on_waiting => sub { push @words, [@_] });
    # Until it is told, and then long enough for it to be looked at three times more; a busy machine may need a minute.
    my ($rounds, $told) = (0, 0);
    eval {
        local $SIG{ALRM} = sub { $told++ if @words; die "over\n" if $told > 2 || $rounds++ > 60; alarm 1; return };
        alarm 1;
        $client->queue(sub { return 1 });
    };
    alarm 0;
    # kind: the reason of a wait | a full queue | loud | told once
    is_deeply([ grep { $_ eq 'queue_full' } map { $_->[1]{code} } @words ], ['queue_full'], 'a full queue is told');
}

# work_that_goes_on_is_not_waiting
{
    my $worker = $cluster->start(worker => '--manager' => "127.0.0.1:$port", '--workers' => 1);
    my @words;
    my $client = Argon::Client->new(@address, on_waiting => sub { push @words, $_[1]{code} });
    # On a busy machine the slot may still be taken by a task from above.
    $client->queue(sub { return 1 });
    @words = ();
    is($client->queue(sub { select undef, undef, undef, 1; return 'done' }), 'done', 'a long task');
    is_deeply(\@words, [], '... that runs is nothing to tell');
    my @both = map { $client->defer(sub { select undef, undef, undef, 0.8; return 'done' }) } 1, 2;
    $_->get for @both;
    is_deeply([ grep { $_ ne 'busy' } @words ], [], '... nor is one that waits for a slot, but to a hook');
    # the_manager_is_frozen
    my @silent;
    my $patient = Argon::Client->new(@address, on_waiting => sub { push @silent, $_[1]{code}; kill CONT => $manager->{process} if $silent[-1] eq 'manager_away' });
    $patient->connect;
    kill STOP => $manager->{process};
    is($patient->queue(sub { return 'thawed' }), 'thawed', 'a manager that is frozen is waited for');
    is(scalar(grep { $_ eq 'manager_away' } @silent), 1, '... and told of, once');
    # the_manager_goes_away
    $cluster->kill_process($worker->{process});
    my @away;
    my $stays = Argon::Client->new(@address, on_waiting => sub { push @away, $_[0] if $_[1]{code} eq 'manager_away' });
    $stays->connect;
    my $pending = $stays->defer(sub { return 'again' });
    $cluster->kill_process($manager->{process});
    eval { local $SIG{ALRM} = sub { die "over\n" }; alarm 2; $pending->get };
    alarm 0;
    # kind: the reason of a wait | a manager that is away | loud | address and error are reported
    is(scalar @away, 1, 'a manager that is away is told once');
    like($away[0] // q{}, qr/\Ano manager answers at 127\.0\.0\.1:$port \(.*refused.*trying until it answers\z/, '... with its address and the reason');
}

# an_older_manager
{
    my $old = TestManager->start(slots => 1);
    my $client = Argon::Client->new(host => '127.0.0.1', port => $old->port, key => $old->key);
    is($client->queue(sub { select undef, undef, undef, 1.6; return 'done' }), 'done', 'a manager that does not know the question');
    is($client->server_status->{waiting_asked}, 1, '... is asked once');
}

done_testing;
