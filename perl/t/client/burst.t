use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;
use Time::HiRes ();

# Tasks that are made in a burst all start, though the program then does something else for a long time.
my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);
my $folder  = File::Temp->newdir;
my $code    = sub { open my $file, '>', "$_[0]/$_[1]" or die $!; return $_[1] };

for my $count (1, 40, 700, 3_000) {
    my $begin    = $count * 10_000;
    my @deferred = map { $client->defer($code, ["$folder", $begin + $_]) } 1 .. $count;
    my $end      = Time::HiRes::time() + 30;
    my $started  = 0;
    while ($started < $count && Time::HiRes::time() < $end) {
        $started = grep { -e "$folder/" . ($begin + $_) } 1 .. $count;
        select undef, undef, undef, 0.01;
    }
    is $started, $count, "all_tasks_of_a_burst_start_without_another_call ($count)";
    is_deeply [map { $_->get } @deferred], [map { $begin + $_ } 1 .. $count], '... and give their values';
}

done_testing;
