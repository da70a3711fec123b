#!/usr/bin/env perl
# A task that outlives the program that submitted it. Its ticket is all that another program needs.
#
#   argon up                             # in another terminal
#   perl examples/perl/detached.pl       # or: detached.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Argon::Client;

my $manager = shift;

# When submit returns, the manager has the task on its disk.
my $ticket = do {
    my $client = Argon::Client->new(host => $manager);
    $client->submit(sub { my @numbers = @_; my $sum = 0; $sum += $_ for @numbers; return $sum }, [1 .. 100]);
};
print "submitted: $ticket\n";

# That client is gone. Another one, today or tomorrow, collects the result.
my $client = Argon::Client->new(host => $manager);
print 'collected: ', $client->collect($ticket), "\n";
