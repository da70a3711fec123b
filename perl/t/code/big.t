# Big constants that perl folds while it compiles, and big captured values: each travels in seconds or is refused in words.
# ARGON_BIG_MIB gives another size than 64 MiB.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use List::Util ();
use Time::HiRes ();
use Test::More;
use Argon::Client;
use TestManager;

use constant MIB        => 1024 * 1024;
use constant SECONDS    => 30;
use constant BIG        => 'x' x (16 * 1024 * 1024);
use constant BIG_LIST   => (1) x 50_000;
use constant RANGE_LIST => 3 .. 60_002;

my $mib     = $ENV{ARGON_BIG_MIB} || 64;
my $manager = TestManager->start;
my $client  = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);

# The size stands in the text, so that perl folds it.
sub compiled { my ($text) = @_; $text =~ s/SIZE/$mib * 1024 * 1024/ge; my $code = eval "no warnings; $text"; die $@ if !$code; return $code }

my $wide = "\x{263a}" x (10 * MIB);
my %right = (
    'a folded constant'            => [compiled(q(sub { my $x = 'x' x (SIZE); return length $x })), $mib * MIB],
    'one that is an argument'      => [compiled(q(sub { return ref \ substr('x' x (SIZE), 0, 1) })), 'LVALUE'],
    'one that is searched'         => [compiled(q(sub { return index 'x' x (SIZE), 'y' })), -1],
    'one that is matched'          => [compiled(q(sub { return ('x' x (SIZE)) =~ /y/ ? 1 : 0 })), 0],
    'a key'                        => [compiled(q(sub { my %h = ('k' x (SIZE) => 1); return length((keys %h)[0]) })), $mib * MIB],
    'one that is added to'         => [sub { my $x = 'a' . 'b' x 30_000_000; return length $x }, 30_000_001],
    'one of wide characters'       => [sub { my $x = "\x{263a}" x 10_000_000; return length($x) . substr $x, -1 }, "10000000\x{263a}"],
    'a named constant'             => [sub { my $x = BIG; return length $x }, 16 * MIB],
    'a named constant that is added to' => [sub { return length('y' . BIG) }, 16 * MIB + 1],
    'a repeated list'              => [sub { my @list = (1) x 1_000_000; return scalar @list }, 1_000_000],
    'a range'                      => [sub { my @list = (1 .. 1_000_000); return "@list[0, 1, -1]" }, '1 2 1000000'],
    'a range below zero'           => [sub { my @list = (-30_000 .. 5); return "@list[0, 1, -1]" . @list }, '-30000 -29999 530006'],
    'a range that is an argument'  => [sub { return List::Util::sum(1 .. 1_000_000) }, 500_000_500_000],
    'a range in map'               => [sub { return scalar(map { $_ } 1 .. 300_000) }, 300_000],
    'a range in foreach'           => [sub { my $n = 0; $n += $_ for 1 .. 300_000; return $n }, 45_000_150_000],
    'a constant that is a range'   => [sub { my @list = (RANGE_LIST); return "@list[0, -1]" }, '3 60002'],
    'a captured string'            => [sub { return length($wide) . substr $wide, -1 }, 10 * MIB . "\x{263a}"],
    'the same in an object'        => [do { my $object = bless { text => $wide }, 'Holder'; sub { return length $object->{text} } }, 10 * MIB],
);
for my $name (sort keys %right) {
    my ($code, $right) = @{ $right{$name} };
    my $begin = Time::HiRes::time();
    # kind: constants and big values | constants of 64 MiB, ranges of a million numbers, captured strings | right | a constant
    #    travels as a value, and a range by its ends
    is scalar $client->queue($code), $right, "$name";
    cmp_ok Time::HiRes::time() - $begin, '<', SECONDS, "$name: takes seconds";
}

my %loud = (
    'a constant inside a string'  => [compiled(q(sub { my $y = $_[0]; return length "a$y" . 'x' x (SIZE) . "b$y" })), qr/a constant of \d+ bytes inside a string \(put the constant into a variable of its own\)/],
    'a list constant'             => [sub { my @list = (BIG_LIST); return scalar @list }, qr/a constant list of 50000 values \(put them into an array outside of the sub\)/],
);
for my $name (sort keys %loud) {
    my ($code, $words) = @{ $loud{$name} };
    my $begin = Time::HiRes::time();
    my $got = eval { $client->queue($code, ['y']); 'sent' } // $@;
    # kind: constants and big values | 64 MiB inside an interpolated string, 50,000 constants in a list | loud | refused in
    #    seconds, with what to do
    like $got, qr/$words.* at \Q$0\E line \d+\.\n\z/, "$name is refused in words";
    cmp_ok Time::HiRes::time() - $begin, '<', SECONDS, "$name: takes seconds";
}

# A word is not a number and a string at once.
{
    require Argon::Data;
    cmp_ok length(Argon::Data::encode([bless { text => 'x' x MIB }, 'Holder'])), '<', 1.1 * MIB, 'a string in an object is sent once';
    my $back = Argon::Data::decode(Argon::Data::encode([bless { text => 'word', both => Scalar::Util::dualvar(5, 'five') }, 'Holder']))->[0];
    ok !Scalar::Util::isdual($back->{text}), 'and stays a string';
    is $back->{both} + 0, 5, 'what is both stays both';
}

done_testing;
