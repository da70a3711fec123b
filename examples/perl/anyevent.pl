#!/usr/bin/env perl
# Argon in a program of AnyEvent: condition variables and callbacks, while the program's own timers go on.
#
#   argon up                             # in another terminal
#   perl examples/perl/anyevent.pl       # or: anyevent.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use AnyEvent;
use Argon::Client;

my $client = Argon::Client->new(host => shift, loop => 'AnyEvent');

# A condition variable for one task.
my $sum = $client->defer(sub { $_[0] + $_[1] }, [4, 7])->condvar;
print '4 + 7 = ', $sum->recv, "\n";

# Callbacks for many; nobody calls get, the loop does it all.
my $ticks = 0;
my $timer = AnyEvent->timer(after => 0, interval => 0.01, cb => sub { $ticks++ });
my $all   = AnyEvent->condvar;
my $total = 0;
$all->begin;
for my $number (1 .. 20) {
    $all->begin;
    my $deferred = $client->defer(sub { select undef, undef, undef, 0.02; return $_[0]**2 }, [$number]);
    $deferred->on_ready(sub { $total += $_[0]->get; $all->end });
}
$all->end;
$all->recv;
print "the squares up to 20 make $total", $ticks ? ', and the timer ran meanwhile' : q{}, "\n";

# What a task throws is thrown by recv.
eval { $client->defer(sub { die "not today\n" })->condvar->recv };
print "it said: $@";
