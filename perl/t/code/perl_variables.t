# Variables that perl sets by itself, used in code that does not set them: as the guide lists them.

use strict;
use warnings;
no warnings 'once';

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;
use Argon::Client;
use TestManager;

my $manager = TestManager->start;
my $client  = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);

our ($a, $b) = (3, 4);
local @ARGV = qw(x y);
local $, = '-';
my %use = (
    program => sub {$0},
    argv    => sub {"@ARGV"},
    sorted  => sub { $a * $b },
    comma   => sub {$,},
    # Copied first, what the last match or the last error left travels like any captured variable.
    copied  => do { 'xab' =~ /(?<name>a)(b)/ or die; my ($first, %named) = ($1, %+); sub {"$first$named{name}"} },
    matched => sub { 'xyz' =~ /(?<last>.)\z/; return "$1$+{last}$&$-[0]$+[0]" },
    caught  => sub { eval { die "caught\n" }; return $@ },
    failed  => sub { open my $in, '<', '/no/such/file' or return $! + 0; return 0 },
    counted => sub { open my $in, '<', \"a\nb\n" or die; readline $in; readline $in; return $. },
);
for my $name (sort keys %use) {
    my $here = $use{$name}->();
    # kind: variables of perl itself | `$0`, `@ARGV`, `$,`, `$a` of the program; `$1`, `%+`, `$@`, `$!` that the code sets | right | the
    #    first travel, the others are set there as here
    is scalar $client->queue($use{$name}), $here, "$name: $here";
}

done_testing;
