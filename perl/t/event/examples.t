use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", $FindBin::Bin;

use Cluster;
use Test::More;

# The example programs of the frameworks do what their comments say.
my $examples = "$FindBin::Bin/../../../examples/perl";
plan skip_all => 'the examples are not part of the distribution' if !-d $examples;

my $cluster = Cluster->up(slots => 2);
$ENV{ARGON_KEY} = $cluster->key_file;

my %prints = (
    'anyevent.pl' => ['AnyEvent',     qr/the squares up to 20 make 2870, and the timer ran meanwhile\nit said: not today\n/],
    'coro.pl'     => ['Coro',         qr/^squares: 1 4 9 16 25 36 49 64 81 100$/],
    'io_async.pl' => ['Future::AsyncAwait', qr/squares: 1 4 9 16 25\nthe area is 42\ntoo slow\n/],
    'map.pl'      => ['Argon::Client', qr/^\d+ lines in \d+ files$/m],
    'mojo.pl'     => ['Mojo::Promise', qr/Just Another Task\ncaught: no such page\ndoubled: 2 4 6 8 10\n/],
);
for my $name (sort keys %prints) {
    my ($module, $expected) = @{ $prints{$name} };
    SKIP: {
        skip "$module is not installed", 1 if !eval "require $module; 1";
        my $child = open my $from, '-|';
        defined $child or die "fork: $!";
        if (!$child) {
            open STDERR, '>&', \*STDOUT;
            alarm 60;
            exec $^X, "$examples/$name", '127.0.0.1:' . $cluster->port or die $!;
        }
        my $said = join q{}, readline $from;
        close $from;
        like $said, $expected, "the_example_does_what_it_says: $name";
    }
}

done_testing;
