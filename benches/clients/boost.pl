#!/usr/bin/env perl
# The boost: tasks that sleep, so that only the platform limits how many end in a second. Prints one JSON object: for each
# length of sleep the share of the slots' time that was spent in tasks, by the tasks' own clocks.
# scripts/bench starts it with one cluster after the other, of more and more workers.

use strict;
use warnings;

use FindBin;
use Getopt::Long qw(GetOptions);
use JSON::PP ();
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

my %option = (slots => 2, sleeps => '1,10,100', seconds => 2);
GetOptions(\%option, 'manager=s', 'key=s', 'slots=i', 'sleeps=s', 'seconds=f') or die "see the head of this file\n";
my ($host, $port) = ($option{manager} // q{}) =~ /\A(.+):(\d+)\z/ or die "--manager takes HOST:PORT\n";
my $client = Argon::Client->new(host => $host, port => $port, key => $option{key});
my $nap    = sub { my ($seconds) = @_; my $begun = time; select undef, undef, undef, $seconds; return time - $begun };

# All runners are up when each slot had something to do at the same time.
$_->() for map { $client->defer($nap, [0.3]) } 1 .. $option{slots};

my %share;
for my $ms (split /,/, $option{sleeps}) {
    my $rounds = int(1e3 * $option{seconds} / $ms) || 1;
    my $tasks  = $rounds * $option{slots};
    $_->() for map { $client->defer($nap, [$ms / 1e3]) } 1 .. 4 * $option{slots};
    my $begun = time;
    my $slept = 0;
    $slept += $_->() for map { $client->defer($nap, [$ms / 1e3]) } 1 .. $tasks;
    my $took = time - $begun;
    # A nap takes longer than it was asked for, in a runner as anywhere; that is not the platform's doing.
    $share{$ms} = { share => $slept / $option{slots} / $took, tasks_per_s => $tasks / $took };
}
print JSON::PP->new->canonical->encode(\%share), "\n";
