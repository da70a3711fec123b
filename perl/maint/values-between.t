# Values between this perl and that of the worker, which ARGON_BIN starts. scripts/test-versions runs it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../t/lib";

use Argon::Client;
use Cluster;
use Test::More;

my $cluster = Cluster->up;
my $client  = Argon::Client->new($cluster->client_arguments);
my $there   = $client->queue(sub {$]});
isnt $there, $], "the worker has another perl, $there";

my @values = (7, -1.5, 'text', "\x{2603}", "\xff", undef, [1, [2]], { a => { b => 3 } }, \'reference');
is_deeply [$client->queue(sub {@_}, [@values])], \@values, 'values_go_there_and_back';
isa_ok $client->queue(sub { return bless { n => 1 }, 'Local::Object' }), 'Local::Object', 'an_object';
like eval { $client->queue(sub { die "no luck\n" }) } // $@, qr/\Ano luck\n\z/, 'an_error';

# A true or false of its own is new in 5.36, and Storable of an older perl cannot read it.
my ($newer, $older) = sort { $b <=> $a } $], $there;
SKIP: {
    skip 'both perls know booleans, or neither does', 1 if $older >= 5.036 || $newer < 5.036;
    my $error = $] == $newer ? eval { $client->queue(sub { return 1 }, [{ flag => !!1 }]); 1 } ? q{} : $@
        : eval { $client->queue(sub { return { flag => 1 == 1 } }); 1 } ? q{} : $@;
    like $error, qr/come from perl 5[.]36 or newer, whose true and false this perl \([\d.]+\) cannot read/, 'a_boolean_is_refused_in_words';
}

done_testing;
