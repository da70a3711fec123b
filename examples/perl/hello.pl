#!/usr/bin/env perl
# The smallest program that uses Argon: one sum, waited for, and one sent off in the background.
#
#   argon up                          # in another terminal
#   perl examples/perl/hello.pl       # or: hello.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Argon::Client;

my $client = Argon::Client->new(host => shift);

# Send a task and wait for its result.
my $result = $client->queue(
    sub {
        my ($x, $y) = @_;
        return $x + $y;
    },
    [4, 7],
);

print "4 + 7 = $result, says a worker\n";

# Send a task, do something else, and synchronise when the result is needed.
my $deferred = $client->defer(
    sub {
        my ($x, $y) = @_;
        return "$x * $y = " . $x * $y . ", says process $$";
    },
    [4, 7],
);

print "process $$ is free meanwhile\n";
print $deferred->(), "\n";
