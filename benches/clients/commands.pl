#!/usr/bin/env perl
# What a command costs as a task: prints one JSON object of figures, as perl.pl does.

use strict;
use warnings;

use FindBin;
use Getopt::Long qw(GetOptions);
use JSON::PP ();
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

my %option = (trips => 300, tasks => 2_000);
GetOptions(\%option, 'manager=s', 'key=s', 'trips=i', 'tasks=i') or die "see the head of this file\n";
my ($host, $port) = ($option{manager} // q{}) =~ /\A(.+):(\d+)\z/ or die "--manager takes HOST:PORT\n";
my $client = Argon::Client->new(host => $host, port => $port, key => $option{key});
my $nothing = Argon::Client->command('/bin/true');

my $begun = time;
$client->queue($nothing);
my %figure = (first_result_ms => 1e3 * (time - $begun));
my @micros;
for (1 .. $option{trips}) {
    my $start = time;
    $client->queue($nothing);
    push @micros, 1e6 * (time - $start);
}
@micros = sort { $a <=> $b } @micros;
$figure{round_trip_us} = { p50 => $micros[@micros / 2], p99 => $micros[@micros * 0.99] };
$begun = time;
$_->() for map { $client->defer($nothing) } 1 .. $option{tasks};
$figure{tasks_per_s} = $option{tasks} / (time - $begun);
print JSON::PP->new->canonical->encode(\%figure), "\n";
