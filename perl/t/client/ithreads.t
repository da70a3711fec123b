# A client in threads of perl and in forked children: each has a session of its own, and nobody gets another's outcome.

use strict;
use warnings;

use Config;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes ();

use Argon::Client;
use Cluster;

my $cluster = Cluster->up(slots => 4);
my $ADDRESS = join ', ', map {"'$_'"} $cluster->client_arguments;
my $watcher = Argon::Client->new($cluster->client_arguments);

# Lines that a program prints; in a process of its own, for a thread has copies of all there is.
sub lines_of {
    my ($text) = @_;
    my $head = "use strict; use warnings; use Time::HiRes; use Argon::Client; \$| = 1; my \$client = Argon::Client->new($ADDRESS);";
    open my $child, '-|', 'timeout', 60, $^X, '-I', "$FindBin::Bin/../../lib", '-e', "$head $text" or die $!;
    chomp(my @lines = readline $child);
    close $child;
    return (@lines, "status $?");
}

sub nothing_is_left {
    my $end = Time::HiRes::time() + 10;
    while (Time::HiRes::time() < $end) {
        my $status = $watcher->server_status;
        return 1 if !$status->{pending} && $status->{current_capacity} == 4;
        select undef, undef, undef, 0.05;
    }
    return 0;
}

SKIP: {
    skip 'this perl has no threads', 7 if !$Config{useithreads};
    # kind: copies of the process | ithreads that call at once | right | each thread has a session of its own
    is_deeply([ lines_of(<<'END') ], [ 'first', 'a1 b1 c5-1 a2 b2 c5-2', 'a11 b11 c5-11 a12 b12 c5-12', 'a21 b21 c5-21 a22 b22 c5-22', 'last', 'status 0' ], 'threads of a client that was used before get their own values');
use threads;
print $client->queue(sub { 'first' }), "\n";
my $captured = 5;
my $shared_code = sub { "c$captured-$_[0]" };
my @threads = map { my $n = $_; threads->create(sub {
    my @values;
    for my $i (1, 2) { push @values, $client->queue(sub { "a$_[0]" }, [10 * $n + $i]), $client->queue(sub { "b$_[0]" }, [10 * $n + $i]), $client->queue($shared_code, [10 * $n + $i]) }
    return "@values";
}) } 0 .. 2;
print $_->join, "\n" for @threads;
print $client->queue(sub { 'last' }), "\n";
END
    is_deeply([ lines_of(<<'END') ], [ 'in order 1', 'in order 2', 'in order 3', 'status 0' ], 'threads of a client that was not used before work too');
use threads;
my @threads = map { my $n = $_; threads->create(sub { return join ' ', 'in', 'order', $client->map(sub { $_[0] }, [$n]) }) } 1 .. 3;
print $_->join, "\n" for @threads;
END
    is_deeply([ lines_of(<<'END') ], [ 'lost: the task belongs to the thread that made it before this one was started', 'own', 'done before', 'of the parent', 'status 0' ], 'a handle made before the thread is the maker\'s, in words');
use threads;
my $deferred = $client->defer(sub { select undef, undef, undef, 1; 'of the parent' });
my $done = $client->defer(sub { 'done before' });
$done->get;
threads->create(sub {
    print eval { $deferred->get } // $@->kind . ': ' . $@->message, "\n";
    print $client->queue(sub { 'own' }), "\n";
    print $done->get, "\n";
    return;
})->join;
print $deferred->get, "\n";
END
    is_deeply([ lines_of(<<'END') ], [ 'of the parent', 'status 0' ], 'the end of a thread does not end the tasks of its maker');
use threads;
my $deferred = $client->defer(sub { select undef, undef, undef, 1; 'of the parent' });
threads->create(sub { $client->queue(sub { 1 }); return })->join;
threads->create(sub { return })->join;
print $deferred->get, "\n";
END
    is_deeply([ lines_of(<<'END') ], [ 'gone', 'status 0' ], 'a thread that ends');
use threads;
threads->create(sub { my $own = $client->defer(sub { sleep 60 }); $own->is_ready; select undef, undef, undef, 0.3; return })->join;
print "gone\n";
select undef, undef, undef, 1;
END
    ok(nothing_is_left(), '... takes its tasks with it');
    is_deeply([ lines_of(<<'END') ], [ 'eval 1 2', 'status 0' ], 'code that a thread compiles later is not mistaken for what was sent before');
use threads;
$client->queue(sub { 'main' }) for 1 .. 3;
print threads->create(sub { return join ' ', 'eval', map { my $n = $_; map { $client->queue(eval "sub { $_ }") } $n } 1, 2 })->join, "\n";
END
}

# kind: copies of the process | a Perl program that forks after its first call | right | the child dials anew
is_deeply([ lines_of(<<'END') ], [ 'parent used it', 'lost: ', 'child', 'of the parent', 'status 0' ], 'a forked child has a session of its own');
print $client->queue(sub { 'parent used it' }), "\n";
my $deferred = $client->defer(sub { select undef, undef, undef, 1; 'of the parent' });
$client->flush;
my $child = fork // die;
if (!$child) { print eval { $deferred->get } // $@->kind . ': ', "\n"; print $client->queue(sub { 'child' }), "\n"; exit }
waitpid $child, 0;
print $deferred->get, "\n";
END
is_deeply([ lines_of(<<'END') ], [ 'of the parent', 'status 0' ], 'the end of a child that did not use the client is nothing to its parent');
my $deferred = $client->defer(sub { select undef, undef, undef, 1; 'of the parent' });
$client->flush;
for (1 .. 2) { my $child = fork // die; exit if !$child; waitpid $child, 0 }
print $deferred->get, "\n";
END
is_deeply([ lines_of(<<'END') ], [ (map {"child $_"} 1 .. 4), 'status 0' ], 'children that call at once get their own values');
my $first = $client->queue(sub { 0 });
my @pipes = map { my $n = $_; pipe my $in, my $out; if (!fork) { print {$out} $client->queue(sub { "child $_[0]" }, [$n]), "\n"; close $out; exit } close $out; $in } 1 .. 4;
for my $in (@pipes) { print readline $in }
1 while wait != -1;
END
ok(nothing_is_left(), 'nothing is left of them');

done_testing;
