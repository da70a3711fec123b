use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Cluster;
use Test::More;
use Time::HiRes ();

# Each way of waiting in a process of its own: what is loaded decides it.
my $cluster = Cluster->up(slots => 10);
my $address = join ', ', map {"'$_'"} $cluster->client_arguments;

my %loads = (
    'coro alone'         => 'use Coro;',
    'coro with anyevent' => 'use Coro; use AnyEvent; use Coro::AnyEvent;',
);

for my $way (sort keys %loads) {
    my $program = <<"END";
$loads{$way}
use strict; use warnings; use Argon::Client; use Time::HiRes;
my \$client = Argon::Client->new($address);
my \$begun = Time::HiRes::time();
my \@values;
my \@threads = map { my \$n = \$_; async { push \@values, \$client->queue(sub { select undef, undef, undef, 1; return \$_[0] }, [\$n]) } } 1 .. 20;
\$_->join for \@threads;
printf "%d %.3f\\n", eval { my \$sum = 0; \$sum += \$_ for \@values; \$sum }, Time::HiRes::time() - \$begun;
my \@failed = map { async { eval { \$client->queue(sub { die "no\\n" }) }; return \$@ } } 1 .. 3;
print join('', map { \$_->join } \@failed);
END
    open my $child, '-|', $^X, '-I', "$FindBin::Bin/../../lib", '-e', $program or die $!;
    my @lines = readline $child;
    close $child;
    my ($sum, $seconds) = split ' ', $lines[0] // q{};
    # kind: copies of the process | twenty threads of Coro that call at once | right | each waits for its own task
    is $sum, 210, "twenty_threads_get_their_own_values ($way)";
    # One after another they take twenty seconds.
    cmp_ok $seconds // 99, '<', 15, "twenty_threads_overlap ($way)";
    is join(q{}, @lines[1 .. $#lines]), "no\n" x 3, "errors_reach_their_own_threads ($way)";
}

{
    my $program = <<"END";
use Coro; use strict; use warnings; use Argon::Client;
my \$client = Argon::Client->new($address);
my \@threads = map { my \$n = \$_; async { return eval { \$client->queue(sub { sleep 60 if !\$_[0]; select undef, undef, undef, 0.3; return \$_[0] }, [\$n]) } // \$@ } } 0 .. 2;
cede for 1 .. 5;
\$threads[0]->throw("thrown\\n");
print join(' ', map { my (\$value) = \$_->join; \$value =~ s/\\n//r } \@threads), "\\n";
my \$end = time + 10;
select undef, undef, undef, 0.05 while \$client->server_status->{pending} && time < \$end;
print \$client->server_status->{pending}, "\\n";
END
    open my $child, '-|', 'timeout', 40, $^X, '-I', "$FindBin::Bin/../../lib", '-e', $program or die $!;
    my @lines = readline $child;
    close $child;
    is $lines[0], "thrown 1 2\n", 'an_exception_thrown_into_a_thread_ends_its_wait_and_no_other';
    is $lines[1], "0\n", '... and its_task';
}

done_testing;
