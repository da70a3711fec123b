# In every event loop, a program that Ctrl-C ends takes the tasks along that it has asked for.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use POSIX       ();
use Test::More;
use Time::HiRes ();

use Argon::Client;
use Cluster;

my $cluster = Cluster->up(slots => 1);
my $watcher = Argon::Client->new($cluster->client_arguments);
my $LIB     = "$FindBin::Bin/../../lib";
my $ADDRESS = join ', ', map {"'$_'"} $cluster->client_arguments;

my $client = "my \$client = Argon::Client->new($ADDRESS";
my $asks   = '$client->defer(sub { sleep 600 })';
my %way    = (
    'AnyEvent'  => ['AnyEvent', "use AnyEvent; $client, loop => 'AnyEvent'); $asks->condvar->recv"],
    'IO::Async' => ['IO::Async::Loop', "use IO::Async::Loop; my \$loop = IO::Async::Loop->new; $client, loop => \$loop); my \$asked = $asks->future; \$loop->run"],
    'Mojo'      => ['Mojo::Promise', "use Mojo::IOLoop; $client, loop => 'Mojo'); my \$asked = $asks->promise; Mojo::IOLoop->start"],
    'Coro'      => ['Coro', "use Coro; $client); async { \$client->queue(sub { sleep 600 }) }->join"],
    'Coro and AnyEvent' => ['Coro::AnyEvent', "use Coro; use AnyEvent; use Coro::AnyEvent; $client); async { \$client->queue(sub { sleep 600 }) }->join"],
    'Future'            => ['Future', "use Future; $client); $asks->future->get"],
);

# Until the manager has so many tasks that are not done.
sub wait_for_pending {
    my ($wanted) = @_;
    my $end = Time::HiRes::time() + 60;
    my $found;
    while (($found = $watcher->server_status->{pending}) != $wanted && Time::HiRes::time() < $end) { select undef, undef, undef, 0.02 }
    return $found;
}

sub program {
    my ($text) = @_;
    my $process = fork // die $!;
    return $process if $process;
    $SIG{INT} = 'DEFAULT';
    open STDERR, '>', "$cluster->{folder}/program.log";
    exec $^X, '-I', $LIB, '-e', "use strict; use warnings; use Argon::Client; $text" or POSIX::_exit(127);
}

my $found = 0;
for my $name (sort keys %way) {
    my ($module, $text) = @{ $way{$name} };
    next if !eval "require $module; 1";
    for my $ending ([q{}, POSIX::SIGINT(), 'by the signal'], ['$SIG{INT} = sub { exit 7 }; ', 7 << 8, 'by a handler that exits']) {
        my ($begin, $status, $how) = @{$ending};
        $found++;
        my $process = program($begin . $text);
        is(wait_for_pending(1), 1, "a program has asked for a task: $name");
        kill INT => $process;
        waitpid $process, 0;
        is($?, $status, "... and ends $how");
        # kind: leaving a wait | Ctrl-C in a Perl program with an event loop | right | its tasks are cancelled
        is(wait_for_pending(0), 0, '... its task too');
    }
}
plan skip_all => 'no event loop is installed' if !$found;
is($watcher->queue(sub { return 'free' }), 'free', 'the slot is free again');
done_testing;
