use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use File::Temp ();
use IO::Socket::INET ();
use Test::More;
use TestManager;
use Time::HiRes ();

sub client_of {
    my ($manager, %options) = @_;
    return Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key, %options);
}

sub failure_of {
    my (%options) = @_;
    eval { Argon::Client->new(host => '127.0.0.1', %options)->queue(sub { 1 }) };
    return "$@";
}

# Reaching a manager.
my $manager = TestManager->start;
my $free = do { my $socket = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!; $socket->sockport };
like failure_of(port => $free, key => $manager->key),
    qr/\ANo manager answers at 127\.0\.0\.1:$free \(Connection refused\): start one .* at \Q$0\E line \d+\.\n\z/,
    'a_refused_connection_is_a_sentence';
like failure_of(host => 'no-such-host.invalid', key => $manager->key), qr/\AThe host no-such-host\.invalid is not known/,
    'an_unknown_host_is_a_sentence';
like failure_of(port => $manager->port, key => 'argon1-cluster-' . '77' x 32),
    qr/\AThe key from the option key does not open the manager at 127\.0\.0\.1:\d+/, 'a_wrong_key_is_a_sentence';
like failure_of(port => $manager->port, key => '/no/such/key'), qr/\AThere is no key file \/no\/such\/key/, 'a_missing_key_file_is_a_sentence';
like failure_of(port => $manager->port, key => 'argon1-worker-' . '77' x 32), qr/is for the role worker/, 'a_key_of_another_role_is_a_sentence';
{
    my $home = File::Temp->newdir;
    local @ENV{qw(HOME XDG_CONFIG_HOME ARGON_KEY)} = ("$home", undef, undef);
    delete @ENV{qw(XDG_CONFIG_HOME ARGON_KEY)};
    like failure_of(port => $manager->port), qr/\AThere is no cluster key: .*`argon pair 127\.0\.0\.1:\d+`.*argon key.*ARGON_KEY/,
        'no_key_says_what_to_do';
    mkdir "$home/.config"; mkdir "$home/.config/argon";
    open my $file, '>', "$home/.config/argon/key" or die $!;
    print {$file} $manager->key, "\n";
    close $file;
    chmod oct '600', "$home/.config/argon/key";
    is failure_of(port => $manager->port), q{}, 'the_default_key_file_is_found';
    $ENV{ARGON_KEY} = 'argon1-cluster-short';
    like failure_of(port => $manager->port), qr/ARGON_KEY does not hold an Argon key/, 'a_broken_key_in_the_environment_is_a_sentence';
}
{
    my $other = TestManager->start(no_listener_proof => 1);
    like failure_of(port => $other->port, key => $other->key), qr/does not hold the cluster key/, 'a_manager_that_cannot_prove_the_key_is_left';
}
{
    my $old = TestManager->start(version => 1);
    like failure_of(port => $old->port, key => $old->key),
        qr/speaks another version of the protocol than this client, version 2 \(this manager speaks version 1\): install the same release/,
        'a_manager_of_an_older_protocol_is_refused_in_words';
    my $stubborn = TestManager->start(version => 1, insists => 1);
    like failure_of(port => $stubborn->port, key => $stubborn->key),
        qr/speaks version 1 of the protocol, this client version 2: install the same release/, '... and one that does not refuse by itself';
}
{
    local $ENV{ARGON_MANAGER} = 'named:99999';
    eval { Argon::Client->new->queue(sub { 1 }) };
    like $@, qr{'99999' is not a port}, 'without_an_address_the_environment_names_the_manager';
}
like failure_of(host => 'a:99999'), qr{'99999' is not a port}, 'a_broken_address_is_refused';
{
    my $client = Argon::Client->new(hosts => ["127.0.0.1:$free", '127.0.0.1:' . $manager->port], key => $manager->key);
    is $client->queue(sub { 'second' }), 'second', 'the_next_address_is_tried_when_the_first_does_not_answer';
}

# A full queue.
{
    my $full = TestManager->start(reject => 3);
    is client_of($full)->queue(sub { 'at last' }), 'at last', 'a_rejected_task_is_offered_again_by_itself';
    my $always = TestManager->start(reject => 1_000);
    eval { client_of($always)->queue(sub { 1 }, [], undef, 3) };
    like $@, qr/the system is at capacity.* at \Q$0\E line/, 'max_tries_ends_the_waiting';
    is $@->kind, 'rejected', '... as rejected';
    eval { client_of($always)->queue(sub { 1 }, [], { no_wait => 1 }) };
    is $@->kind, 'rejected', 'no_wait_does_not_wait';
}

# Credit.
{
    my $poor = TestManager->start(credit_tasks => 5);
    my $client = client_of($poor);
    is_deeply [map { $_->() } map { $client->defer(sub { $_[0] }, [$_]) } 1 .. 60], [1 .. 60], 'no_more_tasks_are_sent_than_granted';
    my $narrow = TestManager->start(credit_bytes => 1_000);
    my $careful = client_of($narrow);
    is_deeply [map { $_->() } map { $careful->defer(sub { length $_[0] }, ['x' x 600]) } 1 .. 10], [(600) x 10], 'no_more_bytes_are_sent_than_granted';
    is $careful->queue(sub { length $_[0] }, ['x' x 50_000]), 50_000, 'one_task_may_exceed_the_bytes';
}

# Connections that end.
{
    my $cuts = TestManager->start(cut_after => 40);
    my $client = client_of($cuts);
    my @values = map { $_->() } map { $client->defer(sub { $_[0] }, [$_]) } 1 .. 200;
    is_deeply \@values, [1 .. 200], 'every_outcome_comes_once_although_the_connection_was_cut';
    is $client->server_status->{connections}, 2, '... on a second connection';
    is_deeply $client->server_status->{previous}, [undef, '0a' x 16], 'a_session_says_which_manager_it_was_connected_to';
    my $port = $cuts->port;
    my $pending = $client->defer(sub { $_[0] + 1 }, [1]);
    $cuts->stop;
    $cuts = TestManager->start(port => $port, incarnation => '0b' x 16);
    is $pending->get, 2, 'an_unfinished_task_is_offered_to_the_next_manager';
    is_deeply $client->server_status->{previous}, ['0a' x 16], '... which learns of the one before it';
    $cuts->stop;
    my $impatient = Argon::Client->new(host => '127.0.0.1', port => $port, key => $cuts->key, give_up_after => 0.3);
    eval { $impatient->queue(sub { 1 }) };
    like $@, qr/Gave up after 0\.[3-9]/, 'give_up_after_bounds_the_waiting';
}

# What interrupts the caller.
{
    my $calm = TestManager->start;
    my $client = client_of($calm);
    my $slow = $client->defer(sub { select undef, undef, undef, 1.5; 'in the end' });
    eval { local $SIG{ALRM} = sub { die "enough\n" }; alarm 1; $slow->get; alarm 0 };
    is $@, "enough\n", 'a_signal_handler_may_die_out_of_waiting';
    is $slow->get, 'in the end', '... and the task can be waited for again';
    my $port = $calm->port;
    my $polled = $client->defer(sub { $_[0] }, [5]);
    $calm->stop;
    $calm = TestManager->start(port => $port);
    my $end = Time::HiRes::time() + 20;
    1 while !$polled->is_ready && Time::HiRes::time() < $end;
    is $polled->get, 5, 'a_program_that_only_looks_is_connected_again_too';
    my @many = map { $client->defer(sub { sleep 60 }) } 1 .. 300;
    $_->cancel for @many;
    is scalar(grep { eval { $_->get; 1 } || $@->kind ne 'cancelled' } @many), 0, 'hundreds_of_tasks_can_be_cancelled';
}

# What a dropped client leaves.
{
    my $fresh  = TestManager->start;
    my $value = client_of($fresh)->defer(sub { 'kept' })->get;
    is $value, 'kept', 'a_deferred_keeps_its_client_alive';
    my $client = client_of($fresh);
    $client->defer(sub { sleep 60 }) for 1 .. 5;
    undef $client;
    is client_of($fresh)->server_status->{queue_length}, 0, 'a_dropped_client_says_goodbye';
}

done_testing;
