# Every way to wait, over TLS: by IO::Socket::SSL and by the program as a helper.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib", "$FindBin::Bin/../lib", $FindBin::Bin;

use Cluster;
use EventPrograms qw(lines_of);
use Test::More;

use Argon::Client::Net::TLS ();

my %loads = (
    'a blocking script' => q{sub value { $_[0]->get } sub ticking { $_[0]->() for 1 .. 3 }},
    'AnyEvent' => 'use AnyEvent; my $t; sub value { $_[0]->condvar->recv }'
        . ' sub ticking { my ($code) = @_; $t = AnyEvent->timer(after => 0, interval => 0.01, cb => $code) }',
    'IO::Async' => 'use IO::Async::Loop; use Future; my $loop = IO::Async::Loop->new; sub value { $_[0]->future->get }'
        . ' sub ticking { my ($code) = @_; my $again; $again = sub { $code->(); $loop->watch_time(after => 0.01, code => $again) }; $again->() }',
    'Mojolicious' => 'use Mojo::IOLoop; use Mojo::Promise;'
        . ' sub value { my ($v, $e); $_[0]->promise->then(sub { $v = $_[0] }, sub { $e = $_[0] })->wait; die $e if $e; $v }'
        . ' sub ticking { my ($code) = @_; Mojo::IOLoop->recurring(0.01 => $code) }',
    'Coro' => 'use Coro; sub value { my ($d) = @_; my ($v, $e); Coro::async { eval { $v = $d->get; 1 } or $e = $@ }->join; die $e if $e; $v }'
        . ' sub ticking { my ($code) = @_; Coro::async { while (1) { $code->(); Coro::cede() } } }',
    'Coro with AnyEvent' => 'use Coro; use AnyEvent; use Coro::AnyEvent; sub value { my ($d) = @_; my ($v, $e); Coro::async { eval { $v = $d->get; 1 } or $e = $@ }->join; die $e if $e; $v }'
        . ' sub ticking { my ($code) = @_; Coro::async { while (1) { $code->(); Coro::AnyEvent::sleep(0.01) } } }',
);
$loads{'AnyEvent with EV'} = "use EV; $loads{AnyEvent}" if eval { require EV };
my %module = (AnyEvent => 'AnyEvent', 'IO::Async' => 'IO::Async::Loop', Mojolicious => 'Mojo::Promise', Coro => 'Coro');

$ENV{ARGON_TLS} = 'always';
my $cluster = Cluster->up(slots => 2);
my @ways    = 'by the program';
push @ways, 'by IO::Socket::SSL' if !defined Argon::Client::Net::TLS::lack();

for my $way (@ways) {
    for my $name (sort keys %loads) {
        next if grep { $name =~ /\b$_\b/ && !eval "require $module{$_}; 1" } keys %module;
        local @ENV{qw(ARGON_TLS_TUNNEL ARGON_PROGRAM)} = $way =~ /SSL/ ? (0, q{}) : (1, Cluster::binary());
        is_deeply [lines_of($cluster, $loads{$name}, <<'END')], ["2 big ones, 199 small ones while others go on", 'no at all', 'left 0'], "$name $way";
my $big = join q{}, map { pack 'N', $_ } 1 .. 524_288;
my $ticks = 0;
ticking(sub { $ticks++ });
my @big   = map { $client->defer(sub { scalar reverse $_[0] }, [$big]) } 1 .. 2;
my @small = map { $client->defer(sub { $_[0] }, [$_]) } 1 .. 199;
my $rest  = grep { value($small[$_ - 1]) == $_ } 1 .. 199;
my $done  = grep { value($_) eq reverse $big } @big;
# Others have their turns while a task is waited for, however fast those above were.
for (1 .. 200) { last if $ticks > 2; value($client->defer(\&nap, [0.05])) }
print "$done big ones, $rest small ones", $ticks > 2 ? ' while others go on' : '', "\n";
eval { value($client->defer(sub { die "no at all\n" })) };
print $@ =~ /(no at all)/ ? $1 : $@, "\n";
print 'left ', $client->unfinished, "\n";
END
    }
}

done_testing;
