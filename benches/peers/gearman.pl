#!/usr/bin/env perl
# gearmand with two Perl workers and a Perl client. Argument and result are one byte: empty ones its Perl client waits for in vain.
use strict;
use warnings;

use Gearman::Client;
use Gearman::Worker;
use IO::Socket::INET;
use Time::HiRes qw(sleep time);

my ($trips, $tasks) = (1_000, 5_000);

my $probe = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) or die "no free port: $!\n";
my $port  = $probe->sockport;
close $probe;

my @children = started('gearmand', '--listen=127.0.0.1', "--port=$port", '--log-file=none');
END { local $?; kill TERM => $_ and waitpid $_, 0 for reverse @children }
wait_for_port();
push @children, map { worker() } 1 .. 2;

my $client = Gearman::Client->new(job_servers => ["127.0.0.1:$port"]);
$client->do_task(empty => '1') for 1 .. 100;
my @times = sort { $a <=> $b } map { my $begun = time; $client->do_task(empty => '1'); time - $begun } 1 .. $trips;
my $begun = time;
my $set   = $client->new_task_set;
my $done  = 0;
$set->add_task(empty => '1', { on_complete => sub { $done++ } }) for 1 .. $tasks;
$set->wait(timeout => 60);
die "only $done of $tasks tasks came back\n" if $done != $tasks;
my ($version) = `gearmand --version` =~ m/([\d.]+)/x;
printf "gearmand, Perl\t%.0f\t%.0f\t%s\n", 1e6 * $times[ $trips / 2 ], $tasks / (time - $begun), $version;

sub started {
    my @command = @_;
    my $pid     = fork // die "fork: $!\n";
    return $pid if $pid;
    exec @command or die "$command[0]: $!\n";
}

sub worker {
    my $pid = fork // die "fork: $!\n";
    return $pid if $pid;
    @children = ();
    my $worker = Gearman::Worker->new(job_servers => ["127.0.0.1:$port"]);
    $worker->register_function(empty => sub { return '1' });
    $worker->work while 1;
    exit;
}

sub wait_for_port {
    for (1 .. 200) {
        return if IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port");
        sleep 0.05;
    }
    die "gearmand did not come up within 10 s\n";
}
