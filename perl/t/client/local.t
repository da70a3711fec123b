# A program that names no manager has a pool all the same: that of this machine, or one of its own that ends with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Test::More;
use Time::HiRes ();

use Argon qw(pmap);
use Cluster;

# It ends hangs only.
my $DEADLINE_S = 120;

delete @ENV{qw(ARGON_MANAGER ARGON_KEY)};
my $home = File::Temp->newdir;
local $ENV{HOME}            = "$home";
local $ENV{XDG_CONFIG_HOME} = "$home/config";
local $ENV{XDG_STATE_HOME}  = "$home/state";
local $ENV{XDG_CACHE_HOME}  = "$home/cache";
local $ENV{ARGON_PROGRAM}   = Cluster::binary();
my $LIB = "$FindBin::Bin/../../lib";

# Runs a program of its own: what it writes to both streams.
sub output_of {
    my (@arguments) = @_;
    my $child = open my $from, '-|';
    defined $child or die "fork: $!";
    if (!$child) {
        open STDERR, '>&', \*STDOUT;
        alarm $DEADLINE_S;
        exec $^X, @arguments;
    }
    local $/;
    my $text = readline $from;
    close $from;
    return $text;
}

# The process that listens on a port of 127.0.0.1 accepts connections as long as it lives.
sub ends {
    my ($host, $port) = @_;
    my $end = Time::HiRes::time() + $DEADLINE_S;
    while (Argon::Local::_listens($host, $port)) {
        return 0 if Time::HiRes::time() > $end;
        Time::HiRes::sleep(0.02);
    }
    return 1;
}

is(output_of("-I$LIB", '-MArgon=pmap', '-E', 'say for pmap { $_ ** 2 } 1..10'), join(q{}, map { $_**2 . "\n" } 1 .. 10),
    'a_line_of_perl_maps_over_a_pool_that_it_starts_itself');
is_deeply([pmap { ($_) x $_ } 1 .. 3], [1, 2, 2, 3, 3, 3], 'values_of_a_block_are_a_list_as_in_map');
is(scalar(pmap { ($_) x $_ } 1 .. 3), 6, 'in_scalar_context_it_is_their_number');
is_deeply([pmap { $_ } ()], [], 'nothing_gives_nothing');
my $factor = 3;
is_deeply([pmap { $factor * $_[0] } 1, 2], [3, 6], 'a_block_uses_variables_and_the_argument');
ok(!eval { pmap { die "no $_\n" if $_ == 2 } 1 .. 3; 1 }, 'an_error_is_thrown');
is($@, "no 2\n", '... as it is');
is_deeply([pmap { $_ % 1_000 ? () : ($_, $factor * $_[0]) } 1 .. 2_500], [1_000, 3_000, 2_000, 6_000], 'a_long_list_travels_in_parts');
ok(!eval { pmap { die "no $_\n" if $_ == 2_345; $_ } 1 .. 2_500; 1 } && $@ eq "no 2345\n", '... and an error in one of them is thrown as it is');
is(Argon->client, Argon->client, 'the_client_is_one');
is_deeply([pmap { scalar pmap { $_ } 1 .. $_ } 1 .. 3], [1, 2, 3], 'in_a_task_it_uses_the_pool_of_the_task');

# a_pool_ends_with_its_client
{
    my $client = Argon->local(slots => 1);
    my @place  = @{ $client->session->{pool} }{qw(host port)};
    is($client->queue(sub { $_[0] + $_[1] }, [4, 7]), 11, 'local gives a client');
    is($client->server_status->{slots_total}, 1, '... with so many slots');
    is($client->queue(sub { $^X }), $^X, '... and this perl');
    undef $client;
    ok(ends(@place), '... and the pool ends with it');
}

# a_pool_ends_with_a_program_that_is_killed
{
    my ($host, $port) = split /[ \n]/, output_of("-I$LIB", '-MArgon', '-E',
        '$| = 1; my $c = Argon->local(slots => 1); $c->queue(sub { 1 }); say join q{ }, @{$c->session->{pool}}{qw(host port)}; kill KILL => $$');
    ok($port, 'a program starts a pool and kills itself');
    ok(ends($host, $port), '... and the pool ends');
}

# a_manager_that_is_named_is_used
{
    my $cluster = Cluster->up(slots => 1);
    local @ENV{qw(ARGON_MANAGER ARGON_KEY)} = ('127.0.0.1:' . $cluster->port, $cluster->key_file);
    is(output_of("-I$LIB", '-MArgon=pmap', '-E', 'say for pmap { $_ } 5; say Argon->client->session->{pool} // q{none}'), "5\nnone\n",
        'ARGON_MANAGER names the pool');
    local $ENV{ARGON_MANAGER} = '127.0.0.1:1';
    like(output_of("-I$LIB", '-MArgon=pmap', '-E', 'say for pmap { $_ } 5'), qr/No manager answers at 127\.0\.0\.1:1 /,
        '... and one that does not answer is an error');
}

# what_is_missing_is_a_sentence
{
    local $ENV{ARGON_PROGRAM} = '/nonexistent/argon';
    ok(!eval { Argon->local; 1 }, 'a program that is not there is an error');
    like($@, qr{\Ano pool was started with `/nonexistent/argon up`: }, '... that names it');
    local @ENV{qw(ARGON_PROGRAM PATH)} = (q{}, '/nonexistent');
    ok(!eval { Argon->local; 1 }, 'so is none at all');
    like($@, qr/needs the program argon, and neither ARGON_PROGRAM nor PATH leads to it/, '... that says what to do');
    ok(!eval { Argon->local(port => 1); 1 }, 'an address is refused');
    like($@, qr/\AArgon: local makes a pool of this program's own, and takes no port/, '... in words');
}

# the_program_carries_this_library
{
    my $program = Cluster::binary();
    chomp(my $folder = qx{$program perl-lib});
    is($folder =~ m{\A\Q$home\E/cache/argon/perl-lib/[0-9a-f]{32}\z} ? 1 : $folder, 1, 'perl-lib prints a folder of the cache');
    is((stat $folder)[2] & oct '777', oct '700', '... that is private');
    local $ENV{ARGON_PROGRAM};
    delete $ENV{ARGON_PROGRAM};
    local $ENV{PATH} = '/usr/bin:/bin';
    is(output_of("-I$folder", '-MArgon=pmap', '-E', 'say for pmap { $_ ** 2 } 1, 2; say $INC{"Argon.pm"}'), "1\n4\n$folder/Argon.pm\n",
        '... from which a program finds its way back, where nothing is installed');
}

done_testing;
