#!/usr/bin/env perl

# Says what a closure costs beside a call by name: many defers of one closure whose captures change each time, and as
# many of a sub that travels by its name, in turns, on a cluster of this machine's binary.
# Run it from anywhere: perl perl/maint/closure-cost.pl [CALLS]

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../t/lib";
use List::Util ();
use Time::HiRes ();
use Argon::Client;
use Cluster;

my $calls   = shift @ARGV || 5_000;
my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);

my $factor = 0;
my $closure = sub { return $factor + $_[0] + $_[1] };
my %way = (closure => $closure, name => \&List::Util::sum);

my %best;
for my $round (0 .. 5) {
    for my $name (sort keys %way) {
        my $begun = Time::HiRes::time();
        my @deferred = map { $factor = $_; $client->defer($way{$name}, [$_, 1]) } 1 .. $calls;
        $_->get for @deferred;
        my $each = 1e6 * (Time::HiRes::time() - $begun) / $calls;
        next if !$round;    # the first pays for what is done once
        $best{$name} = $each if !defined $best{$name} || $each < $best{$name};
    }
}
printf "closure with a changing capture %.1f us a call, by name %.1f us a call, ratio %.2f (best of 5 rounds of %d calls)\n",
    @best{qw(closure name)}, $best{closure} / $best{name}, $calls;
