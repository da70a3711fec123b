#!/usr/bin/env perl
# Argon with Coro: every thread waits as if it were alone, and all of them wait at the same time.
#
#   argon up                         # in another terminal
#   perl examples/perl/coro.pl       # or: coro.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Coro;
use Argon::Client;

my $client = Argon::Client->new(host => shift);

my @threads = map {
    my $number = $_;
    async { return $client->queue(sub { select undef, undef, undef, 0.02; return $_[0]**2 }, [$number]) }
} 1 .. 10;
print 'squares: ', join(' ', map { $_->join } @threads), "\n";
