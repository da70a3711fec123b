#!/usr/bin/env perl
# What happens to a program whose tasks throw, die, or take too long.
#
#   argon up                           # in another terminal
#   perl examples/perl/errors.pl       # or: errors.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Argon::Client;

my $client = Argon::Client->new(host => shift);

# What a task throws is thrown here, as it was.
eval { $client->queue(sub { die { month => 'Brumaire' } }) };
print "threw: no month is called $@->{month}\n";

# A task that ends its process is an Argon::Error, and costs nothing but that process.
eval { $client->queue(sub { print "last words\n"; exit 3 }, [], { capture => 1 }) };
print $@->kind, ': exit code ', $@->exit_code, ', it printed: ', $@->output;

# So is one that takes too long.
eval { $client->queue(sub { sleep 60 }, [], { timeout => 0.2 }) };
print $@->kind, ": it was ended\n";

# Failures that pass can be tried again, each time after a longer pause.
my $file   = "/tmp/argon-errors-$$";
my $number = $client->queue(
    sub {
        my ($file) = @_;
        return 'the second attempt' if !mkdir $file;
        die "not now\n";
    },
    [$file],
    { retries => 2, backoff => 0.05 },
);
rmdir $file;
print "ok: $number succeeded\n";
