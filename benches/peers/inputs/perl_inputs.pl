#!/usr/bin/env perl

# Inputs for the systems of Perl. usage: perl_inputs.pl SYSTEM INPUT, or: perl_inputs.pl list
# Each input calls `run(CODE, ITEMS)` of its system, which gives the results in order, and says what is right. Prints one
# line of JSON at the end.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use JSON::PP ();

$| = 1;

my $HERE = dirname(Cwd::abs_path(__FILE__));
my $json = JSON::PP->new->canonical->allow_nonref;
my ($system, $name) = @ARGV;

# An inside-out class: its fields are in a hash of the class, under the object's address.
{
    package Named;
    use Scalar::Util ();
    my %name_of;
    sub new { my ($class, $name) = @_; my $self = bless \(my $place), $class; $name_of{ Scalar::Util::refaddr($self) } = $name; return $self }
    sub name { return $name_of{ Scalar::Util::refaddr($_[0]) } }
}

our $COUNT = 0;
my @INPUTS = (
    topic => 'a block that reads `$_` for each item', [ 2, 4, 6 ], sub { [ mapped(sub { $_ * 2 }, 1, 2, 3) ] },
    list_of_results => 'a block that returns lists', [ 1, 1, 2, 2 ], sub { [ mapped(sub { ($_[0], $_[0]) }, 1, 2) ] },
    closure => 'a closure over a variable of the loop', [ 10, 20 ], sub { my @got; for my $n (1, 2) { push @got, run(sub { $n * 10 }, 0) } return \@got },
    object => 'an object of a class of the script as result', 'Local::Point 3', sub { my ($p) = run(sub { bless { x => 3 }, 'Local::Point' }, 0); return ref($p) . " $p->{x}" },
    inside_out => 'an inside-out object as result', 'ann', sub { my ($object) = run(sub { Named->new('ann') }, 0); return $object->name },
    pointer => 'an object that holds C memory (an encoding) as result', "\xe9", sub {
        require Encode;
        my ($encoding) = run(sub { require Encode; Encode::find_encoding('iso-8859-1') }, 0);
        return $encoding->encode("\x{e9}");
    },
    boolean => 'the result of `1 == 0` is a boolean (perl 5.36)', 1, sub { my ($no) = run(sub { $_[0] == 1 }, 0); no warnings; return builtin::is_bool($no) ? 1 : 0 },
    die_text => 'a task that dies with a text', 'no such user at', sub { eval { run(sub { die 'no such user' }, 0); 1 } and return 'no error'; return $@ =~ /\A(no such user at)/ ? $1 : "another error: $@" },
    die_object => 'a task that dies with an object', 'Local::Error 42', sub {
        eval { run(sub { die bless { code => 42 }, 'Local::Error' }, 0); 1 } and return 'no error';
        return ref $@ ? ref($@) . " $@->{code}" : "another error: $@";
    },
    carp => '`croak` in a function of the task names its caller in the script', 'perl_inputs.pl', sub {
        require Carp;
        eval { run(sub { require Carp; helper() }, 0); 1 } and return 'no error';
        return $@ =~ /at \S*?([\w.]+) line/ ? $1 : "another error: $@";
    },
    exits => 'a task that calls `exit 3`; the results of the other two', 'an error', sub {
        my @got = eval { run(sub { exit 3 if $_[0] == 2; $_[0] }, 1, 2, 3) };
        return $@ ? 'an error' : $json->encode(\@got);
    },
    killed => 'a task that is killed by a signal; the results of the other two', 'an error', sub {
        my @got = eval { run(sub { kill 9, $$ if $_[0] == 2; $_[0] }, 1, 2, 3) };
        return $@ ? 'an error' : $json->encode(\@got);
    },
    left_behind => 'a task that counts a global variable: each finds that of the caller', [ 1, 1, 1, 1 ], sub { [ run(sub { ++$COUNT }, 1 .. 4) ] },
    handle => 'a captured open file', "first\n", sub {
        open my $out, '>', 'lines.txt' or die $!; print {$out} "first\nsecond\n"; close $out;
        open my $in, '<', 'lines.txt' or die $!;
        return (run(sub { readline $in }, 0))[0];
    },
    code => 'a sub as result', 7, sub { my ($sub) = run(sub { my $n = 3; sub { $n + 4 } }, 0); return $sub->() },
    nested => 'four tasks on two slots that run two tasks each and wait', [ 2, 4, 6, 8 ], sub { [ run(nested(), 1 .. 4) ] },
    chance => 'unseeded `rand` in eight tasks: no two are equal', 1, sub { rand; my %seen = map { $_ => 1 } run(sub { select undef, undef, undef, 0.1; rand }, 1 .. 8); return 8 == keys %seen ? 1 : 0 },
    folder => 'the working folder of the caller', 1, sub { mkdir 'inner'; chdir 'inner' or die $!; my ($there) = run(sub { require Cwd; Cwd::getcwd() }, 0); return $there eq Cwd::getcwd() ? 1 : 0 },
    guard => 'a captured guard whose DESTROY removes a file: the file is there afterwards', 1, sub {
        open my $out, '>', 'lock' or die $!; close $out;
        my $guard = bless { path => 'lock', }, 'Local::Guard';
        run(sub { ref $guard }, 0);
        return -e 'lock' ? 1 : 0;
    },
    big => 'a result of 100 MB', 100_000_000, sub { length((run(sub { 'x' x 100_000_000 }, 0))[0]) },
);

sub helper { return Carp::croak('not this way') }
sub Local::Guard::DESTROY { unlink $_[0]{path} }

if ($system eq 'list') {
    print "$INPUTS[$_]\t$INPUTS[$_ + 1]\n" for grep { $_ % 4 == 0 } 0 .. $#INPUTS;
    exit;
}
my ($at) = grep { $_ % 4 == 0 && $INPUTS[$_] eq $name } 0 .. $#INPUTS;
my ($client, $cluster);
if ($system eq 'argon') {
    unshift @INC, "$HERE/../../../perl/lib", "$HERE/../../../perl/t/lib";
    require Argon::Client;
    require Cluster;
    $cluster = Cluster->up(slots => 2);
    $client  = Argon::Client->new($cluster->client_arguments);
}
my $value = eval { $INPUTS[ $at + 3 ]->() };
my $error = $@;
my $verdict = $error ? 'loud' : $json->encode([$value]) eq $json->encode([ $INPUTS[ $at + 2 ] ]) || "$value" eq "$INPUTS[$at + 2]" ? 'right' : 'silent';
$verdict = 'loud' if !$error && !ref $value && $value =~ /\Aanother error/;
$verdict = 'absent' if $error =~ /has no such/;
my $told = $error ? "$error" : $json->encode($value);
print "\noutcome ", $json->encode({ verdict => $verdict, value => substr $told, 0, 160 }), "\n";

# One call for each item, with the item as argument: the results in order.
sub run {
    my ($code, @items) = @_;
    return map { scalar $client->queue($code, [$_]) } @items if $client && @items == 1;
    return @{ [ map { scalar $_->get } map { $client->defer($code, [$_]) } @items ] } if $client;
    return mce($code, @items) if $system eq 'mce';
    return forked($code, @items);
}

# The same by the system's own map, if it has one.
sub mapped {
    my ($code, @items) = @_;
    return $client->map($code, \@items) if $client;
    return mce($code, @items) if $system eq 'mce';
    return forked(sub { local $_ = $_[0]; $code->($_) }, @items);
}

sub mce {
    my ($code, @items) = @_;
    require MCE::Map;
    MCE::Map->import(max_workers => 2, chunk_size => 1);
    my @got = MCE::Map->run(sub { $code->($_) }, @items);
    MCE::Map->finish;
    return @got;
}

# Parallel::ForkManager, with data handed back as its documentation does it.
sub forked {
    my ($code, @items) = @_;
    require Parallel::ForkManager;
    my $manager = Parallel::ForkManager->new(2);
    my @got;
    $manager->run_on_finish(sub { my ($status, $data) = @_[ 1, 5 ]; $got[ $_[2] ] = $data });
    for my $at (0 .. $#items) {
        $manager->start($at) and next;
        $manager->finish(0, [ $code->($items[$at]) ]);
    }
    $manager->wait_all_children;
    return map { $_ ? @$_ : () } @got;
}

sub nested {
    my @place = $cluster ? $cluster->client_arguments : ();
    return sub { require Argon::Client; my $inner = Argon::Client->new(@place); return $inner->queue(sub { $_[0] * 2 }, [ $_[0] ]) } if $client;
    return sub { my ($n) = @_; return $system eq 'mce' ? (mce(sub { $_[0] * 2 }, $n))[0] : (forked(sub { $_[0] * 2 }, $n))[0] };
}
