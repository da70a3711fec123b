# Variables that perl sets by itself, used in code that does not set them: as the guide lists them.

use strict;
use warnings;
no warnings 'once';

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;
use List::Util ();
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

sub why_not {
    my ($call) = @_;
    my $error = $@;
    my $is_done = eval { $@ = $error; $call->(); 1 };
    return $is_done ? 'it was sent' : $@;
}

# kind: variables of perl itself | `$1`, `%+`, `$@` that a match or an eval around the code has set | loud | they
#    would be empty on the worker
sub helper_of_match { return "<$1>" }
{
    'a7' =~ /(?<digit>\d)/ or die;
    my $refused = qr/reads \$1 of a match around it.*copy it first/;
    like why_not(sub { $client->queue(sub {$1}) }), $refused, 'queue refuses the match of its caller';
    like why_not(sub { $client->defer(sub {"at $1"}) }), $refused, '... and defer';
    like why_not(sub { $client->map(sub { $_ + $1 }, [1, 2]) }), $refused, '... and map';
    like why_not(sub { $client->queue(sub { helper_of_match() }) }), $refused, '... in a helper';
    like why_not(sub { $client->queue(sub { $+{digit} }) }), qr/of a match around it/, '... by its name';
    is scalar $client->queue(sub { $_[0] =~ /(\w)\z/ && helper_of_match() }, ['xyz']), '<z>', 'a match of the code itself is enough';
    my $digit = $1;
    is scalar $client->queue(sub {$digit}), 7, 'a copy travels';
}
is scalar $client->queue(sub { defined $1 ? $1 : 'none' }), 'none', 'no match around it: as here';
eval { die "broken\n" };
like why_not(sub { $client->queue(sub {"got $@"}) }), qr/reads \$@ of an eval around it/, 'the error of an eval around it is refused';
eval { die "broken\n" };
is scalar $client->queue(sub { eval { die "own\n" }; return $@ }), "own\n", '... the own one is not';
eval { die "broken\n" };
is scalar $client->queue(sub { List::Util::first(sub { $_ > 1 }, 1, 2) or die "nothing: $@" }), 2, '... nor is what a call may have left';
$@ = q{};
is scalar $client->queue(sub {"<$@>"}), '<>', '... and none is none';

done_testing;
