#!/usr/bin/env perl
# Argon in a program of IO::Async: a deferred gives a Future, which combines with all others, and await works.
#
#   argon up                             # in another terminal
#   perl examples/perl/io_async.pl       # or: io_async.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Argon::Client;
use Future::AsyncAwait;
use IO::Async::Loop;

my $loop   = IO::Async::Loop->new;
my $client = Argon::Client->new(host => shift, loop => $loop);

# Futures of tasks and of anything else together.
my @squares = map { my $n = $_; $client->defer(sub { $_[0]**2 }, [$n])->future } 1 .. 5;
my @values  = Future->needs_all(@squares, $loop->delay_future(after => 0.05))->get;
print "squares: @values\n";

# One task after another, without a callback.
async sub area_of {
    my ($width, $height) = @_;
    my $area = await $client->defer(sub { $_[0] * $_[1] }, [$width, $height])->future;
    my $text = await $client->defer(sub { return "the area is $_[0]" }, [$area])->future;
    return $text;
}
print area_of(6, 7)->get, "\n";

# To cancel the future cancels the task.
my $slow  = $client->defer(sub { sleep 60 })->future;
my $first = Future->wait_any($slow, $loop->delay_future(after => 0.1)->then_done('too slow'));
print $first->get, "\n";
