#!/usr/bin/env perl
# What a task costs on your cluster: the time of one round trip, and how many tasks a second go through
# when many are sent off at once. The tasks do nothing, so all of it is the platform's own.

use strict;
use warnings;

use FindBin;
use Getopt::Long qw(GetOptions);
use Pod::Usage qw(pod2usage);
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

my %option = (manager => $ENV{ARGON_MANAGER} // '127.0.0.1:8000', tasks => 20_000, trips => 3_000);
GetOptions(\%option, 'manager=s', 'key=s', 'tasks=i', 'trips=i', 'help|h') or pod2usage(2);
pod2usage(-verbose => 1, -exitval => 0) if $option{help};
pod2usage('--tasks and --trips are 1 or more') if $option{tasks} < 1 || $option{trips} < 1;
my ($host, $port) = $option{manager} =~ /^(.+):(\d+)$/
    or pod2usage("--manager takes HOST:PORT, not \"$option{manager}\"");

my $key    = $option{key} ? {key => $option{key}} : {};
my $client = Argon::Client->new(host => $host, port => $port, %$key);
my $status = $client->server_status;
die "no worker is connected to $option{manager}: start one and try again\n" if !$status->{workers};
print "Argon at $option{manager}, workers: $status->{workers}, slots: $status->{total_capacity}\n";

my $nothing = sub { return };

# The first tasks pay for what is done once: starting runners, sending and compiling the code.
my $warm = $option{tasks} < 1_000 ? $option{tasks} : 1_000;
$_->() for map { $client->defer($nothing, []) } 1 .. $warm;

show_round_trips();
show_rate();

sub show_round_trips {
    my @seconds;
    for (1 .. $option{trips}) {
        my $begun = time;
        $client->queue($nothing, []);
        push @seconds, time - $begun;
    }
    @seconds = sort { $a <=> $b } @seconds;
    my %at = map { $_ => 1e3 * $seconds[$_ / 100 * $#seconds] } 50, 95, 99;
    printf "round trip   %d one after the other: median %.3f ms, 95 %% under %.3f ms, 99 %% under %.3f ms\n",
        $option{trips}, @at{50, 95, 99};
    return;
}

sub show_rate {
    my $begun = time;
    $_->() for map { $client->defer($nothing, []) } 1 .. $option{tasks};
    my $seconds = time - $begun;
    printf "throughput   %d deferred at once: %.2f s, %.0f tasks a second\n", $option{tasks}, $seconds,
        $option{tasks} / $seconds;
    return;
}

__END__

=head1 NAME

task-cost.pl - measures what an empty task costs on an Argon cluster

=head1 SYNOPSIS

    task-cost.pl [--manager HOST:PORT] [--key FILE] [--tasks N] [--trips N]

=head1 OPTIONS

=over

=item B<--manager> HOST:PORT

The manager, or a worker that stands alone. Default: what C<ARGON_MANAGER> names, else C<127.0.0.1:8000>.

=item B<--key> FILE

The file with the cluster key, if it is not where the client looks by itself.

=item B<--tasks> N

How many tasks are sent off at once to measure throughput. Default: 20000.

=item B<--trips> N

How many tasks are waited for one by one to measure a round trip. Default: 3000.

=back

=cut
