#!/usr/bin/env perl
# What a runner of its own costs a session, for Perl and for Python: prints one JSON object of figures. All of one language
# are measured in turns, so that other work of the machine falls on all alike.
#
# usage: runners.pl --manager HOST:PORT --key FILE [--times N] [--rounds N]

use strict;
use warnings;

use FindBin;
use Getopt::Long qw(GetOptions);
use JSON::PP ();
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

my $CLIENTS = 10;
my %option  = (times => 30, rounds => 200);
GetOptions(\%option, 'manager=s', 'key=s', 'times=i', 'rounds=i') or die "see the head of this file\n";
my ($host, $port) = ($option{manager} // q{}) =~ /\A(.+):(\d+)\z/ or die "--manager takes HOST:PORT\n";

sub connected { return Argon::Client->new(host => $host, port => $port, key => $option{key})->connect }

my %language = (
    perl => {
        start   => sub { system $^X, '-e', '1' },
        nothing => sub { return sub {1} },
        process => sub { return sub {$$} },
        death   => sub { return sub { kill 'KILL', $$; select undef, undef, undef, 60 } },
    },
    python => {
        start   => sub { system 'python3', '-c', '1' },
        nothing => sub { return Argon::Client->python('gc:isenabled') },
        process => sub { return Argon::Client->python('os:getpid') },
        death   => sub { return Argon::Client->python('os:_exit') },
    },
);

my %figure;
for my $name (sort keys %language) {
    my $of = $language{$name};
    my ($nothing, $death) = map { $of->{$_}->() } qw(nothing death);
    connected()->queue($nothing);    # the template is there
    my %micros;
    for (1 .. $option{times}) {
        push @{ $micros{start} }, micros($of->{start});
        my $client = connected();
        push @{ $micros{first} }, micros(sub { $client->queue($nothing) });
        push @{ $micros{second} }, micros(sub { $client->queue($nothing) });
        # Both slots would serve the next task: the runner that died is the only one of this session.
        eval { $client->queue($death, [9]) };
        push @{ $micros{after_death} }, micros(sub { $client->queue($nothing) });
    }
    $figure{$name} = { map { ("${_}_us" => median(@{ $micros{$_} })) } keys %micros };

    my @clients = map { connected() } 1 .. $CLIENTS;
    my $process = $of->{process}->();
    my @runners = map { scalar $_->queue($process) } @clients;
    $_->queue($nothing) for @clients;
    my ($one, $turns, $one_processor, $turns_processor) = (0) x 4;
    for (1 .. $option{rounds} / $CLIENTS) {
        my $before = processor_us(@runners);
        $one += micros(sub { $clients[0]->queue($nothing) for 1 .. $CLIENTS });
        my $between = processor_us(@runners);
        $turns += micros(sub { $_->queue($nothing) for @clients });
        $one_processor   += $between - $before;
        $turns_processor += processor_us(@runners) - $between;
    }
    my $tasks = $CLIENTS * int $option{rounds} / $CLIENTS;
    @{ $figure{$name} }{qw(one_client_per_s ten_clients_per_s)} = map { $tasks * 1e6 / $_ } $one, $turns;
    @{ $figure{$name} }{qw(one_client_runner_us ten_clients_runner_us)} = map { $_ / $tasks } $one_processor, $turns_processor;
    $figure{$name}{idle_kib} = idle_kib($clients[0]);
}
print JSON::PP->new->canonical->encode(\%figure), "\n";

sub micros {
    my ($what) = @_;
    my $begun = time;
    $what->();
    return 1e6 * (time - $begun);
}

# Processor time of these processes so far; a runner that ended, or another one that served, would make the figure too low.
sub processor_us {
    my @processes = @_;
    my $nanos = 0;
    for my $process (@processes) {
        open my $times, '<', "/proc/$process/schedstat" or die "the runner $process has ended: $!\n";
        $nanos += (split q{ }, readline $times)[0];
    }
    return $nanos / 1e3;
}

sub median {
    my @sorted = sort { $a <=> $b } @_;
    return $sorted[@sorted / 2];
}

# Memory of an idle runner of all languages so far, as the worker counts it, KiB; it looks once a second.
sub idle_kib {
    my ($client) = @_;
    for (1 .. 50) {
        my $status = $client->server_status;
        my ($bytes, $count) = (0, 0);
        for my $worker (@{ $status->{worker_list} || [] }) {
            $bytes += $worker->{runners}{idle_bytes} || 0;
            $count += $_ for values %{ $worker->{runners}{idle} || {} };
        }
        return $bytes / $count / 1024 if $bytes && $count;
        select undef, undef, undef, 0.1;
    }
    return;
}
