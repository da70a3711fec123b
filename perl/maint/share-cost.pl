#!/usr/bin/env perl

# Says what a shared value saves: calls that use one table, given as an argument, shared, and shared read-only.
# Run it from anywhere: perl perl/maint/share-cost.pl [KEYS [CALLS]]

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../t/lib";
use Time::HiRes ();
use Argon::Client;
use Cluster;

my ($keys, $calls) = (shift @ARGV || 100_000, shift @ARGV || 50);
my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);
my %table   = map { ("key $_" => $_) } 1 .. $keys;
my $use     = sub { my ($table) = @_; return $table->{'key 7'} };

for my $way (['as an argument', sub { \%table }], ['shared', sub { $client->share(\%table) }],
    ['shared read-only', sub { $client->share(\%table, { read_only => 1 }) }], ['shared as one string', sub { $client->share(join q{ }, %table) }])
{
    my ($name, $make) = @{$way};
    my $given = $make->();
    my $code  = ref $given eq 'Argon::Shared' && !ref $given->value ? sub { return length $_[0] } : $use;
    $client->queue($code, [$given]);
    my $begun = Time::HiRes::time();
    $client->queue($code, [$given]) for 1 .. $calls;
    printf "%-20s %8.2f ms a call\n", $name, 1e3 * (Time::HiRes::time() - $begun) / $calls;
}
