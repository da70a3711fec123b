#!/usr/bin/env perl
# Two forked Perl processes on pipes, fed as they answer: what a pool costs that Perl keeps by itself. Calls and results are
# frozen with Storable, one message each.
use strict;
use warnings;

use IO::Select;
use Storable qw(freeze thaw);
use Time::HiRes 'time';

my ($trips, $tasks, $ahead) = (5_000, 100_000, 16);
my %subs = (empty => sub { return });

my @pool = map { process() } 1 .. 2;
round_trip() for 1 .. 500;
my @times = sort { $a <=> $b } map { my $begun = time; round_trip(); time - $begun } 1 .. $trips;
my $begun = time;
bulk($tasks);
printf "fork pool, Perl\t%.0f\t%.0f\t%s\n", 1e6 * $times[ $trips / 2 ], $tasks / (time - $begun),
    "no network, $ahead ahead";
close $_->{in} for @pool;
waitpid $_->{pid}, 0 for @pool;

sub process {
    pipe my $its_in, my $in    or die "pipe: $!\n";
    pipe my $out, my $its_out  or die "pipe: $!\n";
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        close $in;
        serve($its_in, $its_out);
        exit 0;
    }
    return { pid => $pid, in => $in, out => $out, due => 0, read => '' };
}

sub serve {
    my ($in, $out) = @_;
    my $read = '';
    while (sysread $in, $read, 65_536, length $read) {
        my $answers = '';
        for my $call (messages(\$read)) {
            my ($name, @args) = @{ thaw($call) };
            $answers .= pack 'N/a*', freeze([ $subs{$name}->(@args) ]);
        }
        syswrite $out, $answers;
    }
    return;
}

# Takes the whole messages from a buffer.
sub messages {
    my ($buffer) = @_;
    my @messages;
    while (length $$buffer >= 4 and (my $length = unpack 'N', $$buffer) + 4 <= length $$buffer) {
        push @messages, substr $$buffer, 4, $length;
        substr $$buffer, 0, 4 + $length, '';
    }
    return @messages;
}

sub round_trip {
    my ($process) = @pool;
    feed($process, 1);
    take($process) until !$process->{due};
    return;
}

sub bulk {
    my ($left) = @_;
    my ($given, $done) = (0, 0);
    my $select = IO::Select->new(map { $_->{out} } @pool);
    my %of     = map { fileno $_->{out} => $_ } @pool;
    $given += feed($_, $left - $given) for @pool;
    while ($done < $left) {
        for my $out ($select->can_read(10)) {
            my $process = $of{ fileno $out };
            $done  += take($process);
            $given += feed($process, $left - $given);
        }
    }
    return;
}

# Gives a process up to so many calls, as many as it may have ahead; tells how many.
sub feed {
    my ($process, $left) = @_;
    my $count = $ahead - $process->{due};
    $count = $left if $count > $left;
    return 0 if $count <= 0;
    syswrite $process->{in}, join '', map { pack 'N/a*', freeze(['empty']) } 1 .. $count;
    $process->{due} += $count;
    return $count;
}

# Reads results; tells how many.
sub take {
    my ($process) = @_;
    sysread $process->{out}, $process->{read}, 65_536, length $process->{read} or die "a process has died\n";
    my @results = map { thaw($_) } messages(\$process->{read});
    $process->{due} -= @results;
    return scalar @results;
}
