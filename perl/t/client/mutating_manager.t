# A manager that lies: a proxy changes what a real one sends, under seeds that a failure prints. A client never hangs, grows
# beyond a bound or ends its program; from a manager that lies about no outcome it gets every value, and every one right.
# ARGON_FUZZ_SECONDS (default 10) and ARGON_FUZZ_SEED (default 1) try more.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Digest::SHA ();
use IPC::Open2  ();
use Test::More;
use Time::HiRes ();

my $PROXY = "$FindBin::Bin/../../../python/tests/mutating_manager.py";
plan skip_all => 'the lying manager is not part of the distribution' if !-f $PROXY;

my $SECONDS  = $ENV{ARGON_FUZZ_SECONDS} || 10;
my $SEED     = $ENV{ARGON_FUZZ_SEED}    || 1;
my $HANG_S   = 90;
my $KIB_MAX  = 400_000;
my $SEEDS_MIN = 6;

my $cluster = Cluster->up(slots => 2);
my $proxy   = IPC::Open2::open2(my $port_of, my $stop, 'python3', $PROXY, '--manager', '127.0.0.1:' . $cluster->port, '--seed', $SEED);
my ($port)  = readline($port_of) =~ /([0-9]+)/ or die 'the lying manager did not start';

# What tasks return can be verified by itself.
sub told { my ($n, $size) = @_; my $text = "$n " . 'x' x $size; return [$n, $text, Digest::SHA::sha1_hex($text)] }

sub is_told {
    my ($value, $n) = @_;
    return ref $value eq 'ARRAY' && @{$value} == 3 && $value->[0] eq $n && $value->[2] eq Digest::SHA::sha1_hex($value->[1]);
}

# The errors that may come of it: those of Argon, in words.
sub is_in_words { my ($error) = @_; return length "$error" && "$error" =~ /\S \S/ }

# One session with the manager of this seed; what is wrong.
sub wrong_with {
    my ($seed) = @_;
    my $is_honest = $seed % 3 == 0;
    my $client = Argon::Client->new(host => '127.0.0.1', port => $port, key => $cluster->key_file, give_up_after => 30, on_waiting => sub { });
    my @wrong;
    my @tasks = map { my ($n, $size) = @{$_}; [$n, $client->defer(\&told, [$n, $size])] } map { [$_, $_ % 5 ? $_ * 7 : 400_000] } 1 .. 20;
    $client->defer(sub { print STDERR "printed\n"; die { a => [1 .. 5] } }, [], { capture => 1 });
    my $ticket = eval { $client->submit(\&told, [77, 10]) };
    push @tasks, [77, $client->collect_later($ticket)] if defined $ticket && (eval { $client->collect_later($ticket); 1 });
    eval { $client->server_status };
    for my $task (@tasks) {
        my ($n, $deferred) = @{$task};
        my $value = eval { $deferred->get };
        my $error = $@;
        if ($is_honest) { push @wrong, "task $n: " . (defined $value ? 'another value' : $error) if !is_told($value, $n) }
        else            { push @wrong, "task $n: an error without words" if !defined $value && !is_in_words($error) }
    }
    eval { $client->shutdown };
    return @wrong;
}

my ($tried, @wrong, $seed) = (0);
my $end = Time::HiRes::time() + $SECONDS;
# What tasks print, or a lie says that they do, is not for the reader; Test::More has handles of its own.
open my $kept, '>&', \*STDERR or die $!;
open STDOUT, '>', '/dev/null' or die $!;
for ($seed = $SEED; $tried < $SEEDS_MIN || Time::HiRes::time() < $end; $seed++) {
    my @warned;
    local $SIG{__WARN__} = sub { push @warned, grep { !/\AA callback|printed/ } @_ };
    local $SIG{ALRM} = sub { die "it hangs\n" };
    open STDERR, '>', '/dev/null' or die $!;
    alarm $HANG_S;
    my @found = eval { wrong_with($seed) };
    push @found, "it died: $@" if $@;
    alarm 0;
    open STDERR, '>&', $kept or die $!;
    push @wrong, map {"seed $seed: $_"} @found, map {"a warning: $_"} @warned;
    $tried++;
    last if @wrong;
}
is "@wrong[0 .. ($#wrong < 4 ? $#wrong : 4)]", q{}, "a_client_survives_a_manager_that_lies (seeds $SEED to @{[$seed - 1]})";
cmp_ok peak_kib(), '<', $KIB_MAX, '... in bounded memory';
note "$tried sessions";

sub peak_kib {
    open my $status, '<', '/proc/self/status' or return 0;
    my ($kib) = map { /\AVmHWM:\s+([0-9]+)/ ? $1 : () } <$status>;
    return $kib;
}

close $stop;
waitpid $proxy, 0;
done_testing;
