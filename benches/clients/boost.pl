#!/usr/bin/env perl
# The boost: tasks that sleep, so that only the platform limits how many end in a second. Prints one JSON object: for each
# length of sleep the share of what the slots could do at best, which a bare loop of such sleeps in this process tells.
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
my $nap    = sub { my ($seconds) = @_; select undef, undef, undef, $seconds; return };

# All runners are up when each slot had something to do at the same time.
$_->() for map { $client->defer($nap, [0.3]) } 1 .. $option{slots};

my %share;
for my $ms (split /,/, $option{sleeps}) {
    my $rounds = int(1e3 * $option{seconds} / $ms) || 1;
    my $tasks  = $rounds * $option{slots};
    $_->() for map { $client->defer($nap, [$ms / 1e3]) } 1 .. 4 * $option{slots};
    my $begun = time;
    $_->() for map { $client->defer($nap, [$ms / 1e3]) } 1 .. $tasks;
    my $took = time - $begun;
    $begun = time;
    $nap->($ms / 1e3) for 1 .. 50;
    my $nap_takes = (time - $begun) / 50;
    $share{$ms} = { share => $rounds * $nap_takes / $took, tasks_per_s => $tasks / $took };
}
print JSON::PP->new->canonical->encode(\%share), "\n";
