#!/usr/bin/env perl
# What a task costs from Perl to Perl: prints one JSON object of figures. scripts/bench starts it with a cluster of its own.
# --process NAME=PID (repeated) names processes of the cluster whose processor time and memory are read; the runners are
# found as children of the one called worker.

use strict;
use warnings;

use FindBin;
use Getopt::Long qw(GetOptions);
use JSON::PP ();
use List::Util qw(sum0);
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

my %option = (trips => 3_000, tasks => 40_000, sizes => '1024,65536,1048576,16777216,67108864');
GetOptions(\%option, 'manager=s', 'key=s', 'trips=i', 'tasks=i', 'sizes=s', 'process=s%') or die "see the head of this file\n";
my ($host, $port) = ($option{manager} // q{}) =~ /\A(.+):(\d+)\z/ or die "--manager takes HOST:PORT\n";

my %figure;
my $begun  = time;
my $client = Argon::Client->new(host => $host, port => $port, key => $option{key});
$client->queue(sub { return 1 });
$figure{first_result_ms} = 1e3 * (time - $begun);

my $nothing   = sub { return };

# After a sub that can touch what others see, the runner looks at all of that. The others it can prove to leave nothing.
my @SUBS = (
    ['sub { return }', $nothing],
    ['sub { my ($x) = @_; return 2 * $x }', sub { my ($x) = @_; return 2 * $x }, [21]],
    ['sub { return $ENV{LANG} }', sub { return $ENV{LANG} }],
);
my $echo      = sub { return $_[0] };
my $AT_A_TIME = 4;
$_->() for map { $client->defer($nothing) } 1 .. 2_000;

$figure{round_trip_us} = round_trips();
$figure{bulk} = [map { bulk(@{$_}) } @SUBS];
$figure{tasks_per_s} = $figure{bulk}[0]{tasks_per_s};
$figure{resident_mib} = { map { $_ => resident($_) } processes() };
$figure{payload_mib_per_s} = { map { $_ => payload($_) } split /,/, $option{sizes} };
print JSON::PP->new->canonical->encode(\%figure), "\n";

sub round_trips {
    my @micros;
    for (1 .. $option{trips}) {
        my $start = time;
        $client->queue($nothing);
        push @micros, 1e6 * (time - $start);
    }
    @micros = sort { $a <=> $b } @micros;
    return { p50 => $micros[@micros / 2], p99 => $micros[@micros * 0.99] };
}

# Tasks a second, and the processor time of each process for one of them.
sub bulk {
    my ($text, $sub, $arguments) = @_;
    $_->() for map { $client->defer($sub, $arguments) } 1 .. 2_000;
    my %before = map { $_ => processor_seconds($_) } processes();
    my $start  = time;
    $_->() for map { $client->defer($sub, $arguments) } 1 .. $option{tasks};
    my $seconds = time - $start;
    my %after   = map { $_ => processor_seconds($_) } processes();
    my %micros  = map { $_ => 1e6 * ($after{$_} - $before{$_}) / $option{tasks} } keys %before;
    return { sub => $text, tasks_per_s => $option{tasks} / $seconds, processor_us => \%micros };
}

# Argument and result of so many bytes: what went there and back, MiB a second, four at a time.
sub payload {
    my ($bytes) = @_;
    my $times = int(2**29 / $bytes);
    $times = 8_000 if $times > 8_000;
    $times = 12    if $times < 12;
    # The first ones find no memory at hand.
    echo($bytes, $AT_A_TIME);
    my $start = time;
    echo($bytes, $times);
    return $times * $bytes / 2**20 / (time - $start);
}

sub echo {
    my ($bytes, $times) = @_;
    my $text = 'x' x $bytes;
    my @waiting;
    for (1 .. $times) {
        push @waiting, $client->defer($echo, [$text]);
        shift(@waiting)->() if @waiting >= $AT_A_TIME;
    }
    $_->() for @waiting;
    return;
}

sub processes { return ('client', sort(keys %{ $option{process} || {} }), $option{process}{worker} ? 'runners' : ()) }

sub pids {
    my ($name) = @_;
    return $$ if $name eq 'client';
    return $option{process}{$name} if $name ne 'runners';
    my $worker = $option{process}{worker};
    return grep { (slurp("/proc/$_/cmdline") // q{}) !~ /\0guardian/ } split q{ }, slurp("/proc/$worker/task/$worker/children");
}

sub processor_seconds {
    my ($name) = @_;
    return 1e-9 * sum0(map { (split q{ }, slurp("/proc/$_/schedstat"))[0] } pids($name));
}

# Of one of them, if there are several.
sub resident {
    my ($name) = @_;
    my ($pid) = pids($name);
    my ($kib) = slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m;
    return $kib / 1024;
}

sub slurp {
    my ($path) = @_;
    open my $file, '<', $path or return undef;
    local $/ = undef;
    return scalar <$file>;
}
