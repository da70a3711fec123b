use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", $FindBin::Bin;

use Argon::Client;
use EventPrograms qw(needs);
use Test::More;
use TestManager;

BEGIN { needs('AnyEvent') }

use AnyEvent;

sub client_of {
    my ($manager, %options) = @_;
    return Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key, loop => 'AnyEvent', %options);
}

# Waits in the loop for a condition variable, but not for ever.
sub outcome {
    my ($condvar) = @_;
    my $late = AnyEvent->timer(after => 30, cb => sub { $condvar->croak('too late') });
    my $value = eval { $condvar->recv };
    return defined $value ? $value : ref $@ ? $@->kind : "$@";
}

{
    my $cuts   = TestManager->start(cut_after => 40);
    my $client = client_of($cuts);
    my @waiting = map { $client->defer(sub { $_[0] }, [$_])->condvar } 1 .. 200;
    is_deeply [map { outcome($_) } @waiting], [1 .. 200], 'a_cut_connection_comes_back_in_the_loop';
    my $port = $cuts->port;
    my $pending = $client->defer(sub { $_[0] + 1 }, [1])->condvar;
    $cuts->stop;
    my $again;
    my $later = AnyEvent->timer(after => 0.3, cb => sub { $again = TestManager->start(port => $port) });
    is outcome($pending), 2, 'the_loop_tries_again_until_a_manager_is_there';
}

{
    my $full = TestManager->start(reject => 3);
    is outcome(client_of($full)->defer(sub { 'at last' })->condvar), 'at last', 'a_rejected_task_is_offered_again_by_the_loop';
    my $always = TestManager->start(reject => 1_000);
    is outcome(client_of($always)->defer(sub { 1 }, [], undef, 2)->condvar), 'rejected', 'max_tries_ends_the_waiting';
}

{
    my $poor   = TestManager->start(credit_tasks => 5);
    my $client = client_of($poor);
    is_deeply [map { outcome($_) } map { $client->defer(sub { $_[0] }, [$_])->condvar } 1 .. 60], [1 .. 60],
        'the_backlog_is_sent_as_credit_comes';
    is outcome($client->defer(sub { length $_[0] }, ['x' x 3_000_000])->condvar), 3_000_000, 'a_big_argument_is_written_by_the_loop';
}

{
    my $calm   = TestManager->start;
    my $client = client_of($calm);
    my $slow   = $client->defer(sub { sleep 30 });
    my $seen   = $slow->condvar;
    is outcome($client->defer(sub { 1 })->condvar), 1, 'a_quick_task_passes';
    $slow->cancel;
    is outcome($seen), 'cancelled', 'a_cancelled_task_ends_in_the_loop';
    is $client->queue(sub { 'blocking' }), 'blocking', 'waiting_calls_work_beside_the_loop';
    my $left = $client->defer(sub { sleep 30 })->condvar;
    $client->shutdown;
    is outcome($left), 'cancelled', 'shutdown_ends_what_the_loop_waits_for';
    eval { Argon::Client->new(loop => 'Nonsense') };
    like "$@", qr/there is no event loop 'Nonsense'/, 'an_unknown_loop_is_refused';
}

done_testing;
