use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;

# Runs what docs/guide/coming-from.md shows: each Perl block under a comment that says what it prints.
my $guide = "$FindBin::Bin/../../../docs/guide/coming-from.md";
my $text = do {
    open my $file, '<:encoding(UTF-8)', $guide or plan skip_all => 'the guide is not part of the distribution';
    local $/;
    readline $file;
};

my $cluster = Cluster->up(slots => 3);
my $port    = $cluster->port;
$ENV{ARGON_KEY} = $cluster->key_file;

my $count = 0;
while ($text =~ /^<!-- prints: (.*?) -->\n```perl\n(.*?)^```$/gms) {
    my ($expected, $program) = ($1, $2);
    my $line = 2 + (() = substr($text, 0, $-[0]) =~ /\n/g);
    $count++;
    SKIP: {
        my ($missing) = grep { !eval "require $_; 1" } $program =~ /^use (Mojo\S*);/mg;
        skip "$missing is not installed", 1 if $missing;
        s/'mgrhost:8000'/'127.0.0.1:$port'/g, s/'mgrhost', port => 8000/'127.0.0.1', port => $port/g for $program;
        utf8::encode($program);
        open my $child, '-|', $^X, '-I', "$FindBin::Bin/../../lib", '-e', "use strict; use warnings; alarm 60;\n$program" or die $!;
        my $said = join ' ', split ' ', join q{}, readline $child;
        close $child;
        is $said, $expected, "the_example_at_line_${line}_prints_what_the_guide_says";
    }
}
cmp_ok $count, '>=', 8, 'the_guide_has_examples';

# The interface of 0.12 to 0.16 in more detail.
{
    my $client = Argon::Client->new('127.0.0.1', $port, interface => '0.12');
    my @ids = map { $client->queue(sub { $_[0]**2 }, [$_]) } 1 .. 50;
    like $ids[0], qr/\A[0-9a-f]{48}\z/, 'queue_returns_an_id';
    is_deeply [map { $client->collect($_) } reverse @ids], [map { $_**2 } reverse 1 .. 50], 'collect_waits_for_the_value_of_an_id';
    eval { $client->collect($ids[0]) };
    like $@, qr/no task '$ids[0]' that was not collected yet at \Q$0\E/, 'an_id_is_collected_once';
    is $client->process(sub { wantarray ? 'list' : 'scalar' }), 'scalar', 'process_runs_and_waits_in_scalar_context';
    is $client->defer(sub { $_[0] }, [3])->(), 3, 'defer_returns_something_to_call';
    eval { $client->process(sub { die "as it was\n" }) };
    is $@, "as it was\n", 'process_throws_what_the_task_threw';
    my $failing = $client->queue(sub { die "later\n" }, [], $Argon::PRI_LOW, 3);
    eval { $client->collect($failing) };
    is $@, "later\n", 'collect_throws_what_the_task_threw';
    my $detached = Argon::Client->new('127.0.0.1', $port)->submit(sub { 'kept' });
    is $client->collect($detached), 'kept', 'collect_takes_the_id_of_a_detached_task_too';
    ok $client->server_status->{total_capacity}, 'server_status_answers';
    eval { Argon::Client->new('127.0.0.1', $port, interface => '2.0') };
    like $@, qr/interface must be a version from 0\.12 to 0\.16/, 'another_version_is_refused';
}

done_testing;
