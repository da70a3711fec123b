#!/usr/bin/env perl
# Ten thousand tasks while manager, workers, runners and clients are killed and frozen at random; at the end everything
# is counted. `perldoc` this file, or run it with --help.

use strict;
use warnings;

use File::Path qw(make_path);
use File::Temp qw(tempdir);
use FindBin;
use Getopt::Long qw(GetOptions);
use IO::Handle;
use JSON::PP ();
use List::Util qw(sum0);
use Pod::Usage qw(pod2usage);
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib", "$FindBin::Bin/lib";
use Chaos::Client;
use Chaos::Cluster;
use Chaos::Display;
use Chaos::Faults;
use Chaos::Ledger;

# A run that takes so much longer than was asked for has got stuck somewhere.
use constant PATIENCE => 120;

my %option = (argon => 'argon', tasks => 10_000, seconds => 60, workers => 3, slots => 4, clients => 4);
GetOptions(\%option, 'argon=s', 'tasks=i', 'seconds=f', 'seed=i', 'workers=i', 'slots=i', 'clients=i', 'gentle', 'plain',
    'keep=s', 'report=s', 'help|h') or pod2usage(2);
pod2usage(-verbose => 1, -exitval => 0) if $option{help};
for my $name (qw(tasks seconds workers slots clients)) {
    pod2usage("--$name takes a number above 0") if $option{$name} <= 0;
}
$option{seed} //= int(time * 1000) % 1_000_000;

my ($cluster, $display);
$SIG{$_} = sub { die "stopped\n" } for qw(INT TERM HUP);
my $is_well = eval { main(); };
my $error = $@;
$display->close(0) if $display;
$cluster->end if $cluster;
print STDERR $error if !defined $is_well;
exit($is_well ? 0 : 1);

sub main {
    my $folder = $option{keep} // tempdir('argon-chaos.XXXXXXXX', TMPDIR => 1, CLEANUP => 1);
    make_path($folder);
    # Each task takes so long that all of them fill the time that was asked for, with some to spare for what breaks.
    my $work = 0.4 * $option{seconds} * $option{workers} * $option{slots} / $option{tasks};
    $cluster = Chaos::Cluster->new(
        %option{qw(argon workers slots clients tasks)},
        folder  => $folder,
        work    => $work,
        library => ["$FindBin::Bin/../../perl/lib", "$FindBin::Bin/lib"],
    );
    my $ledger = Chaos::Ledger->new(folder => $folder, tasks => $option{tasks}, clients => [map { $_->name } $cluster->clients]);
    # As many faults as the time has seconds, or a little more.
    my $faults = Chaos::Faults->new(seed => $option{seed}, cluster => $cluster, ledger => $ledger, gap => $option{gentle} ? 2 : 0.7,
        long => $option{seconds} >= 45 && !$option{gentle}, gentle => $option{gentle});

    printf "seed %d: %d tasks from %d clients, %d workers with %d slots each, a manager with its store on disk\n\n",
        @option{qw(seed tasks clients workers slots)};
    $cluster->start;
    my $before = manager_takes();
    $_->start for $cluster->clients;
    $display = Chaos::Display->new(plain => $option{plain}, tasks => $option{tasks}, cluster => $cluster, ledger => $ledger,
        faults => $faults);

    my $begun     = time;
    my @surprises = storm($begun, $faults, $ledger);
    my $took      = time - $begun;
    $display->close($took);

    push @surprises, calm($ledger);
    my $after = manager_takes();
    my @orphans = grep { is_orphan($_) } $ledger->runners;
    push @surprises, map {"$_ did not end when it was asked to"} $cluster->end;
    my @leftovers = grep { is_orphan($_) } $ledger->runners;
    return account({ ledger => $ledger, faults => $faults, took => $took, before => $before, after => $after, orphans => \@orphans,
        leftovers => \@leftovers, surprises => \@surprises });
}

# Lets it happen until every outcome is there; returns what should not have happened.
sub storm {
    my ($begun, $faults, $ledger) = @_;
    my (@surprises, %is_done);
    until ($ledger->is_whole && keys %is_done == $cluster->clients) {
        my $elapsed = time - $begun;
        if ($elapsed > $option{seconds} * 3 + PATIENCE) {
            return (@surprises, sprintf 'not done after %.0f s', $elapsed);
        }
        for my $process ($cluster->all) {
            next if $is_done{ $process->name };
            my $status = $process->look // next;
            if ($status == 0 && $process->name =~ /\Aclient/) {
                $is_done{ $process->name } = $process->rest;
                next;
            }
            push @surprises, sprintf '%s ended by itself (%s): %s', $process->name,
                $status & 127 ? 'signal ' . ($status & 127) : 'exit ' . ($status >> 8), $process->last_words;
            return @surprises if @surprises > 5;
        }
        my $fault = $ledger->is_whole ? undef : $faults->look($elapsed);
        $display->fault($fault) if defined $fault;
        $ledger->look;
        $display->look($elapsed);
        select undef, undef, undef, 0.02;
    }
    return @surprises;
}

# After the storm: everybody thaws and comes back, the manager has forgotten the clients.
sub calm {
    my ($ledger) = @_;
    $_->thaw for grep { $_->state eq 'frozen' } $cluster->all;
    return if eval {
        $cluster->wait_until('everybody is back', 60, sub { return $cluster->manager->state eq 'up' && $cluster->workers_are_up });
        1;
    };
    return $@;
}

# What the manager takes of the machine: open descriptors and KiB of memory.
sub manager_takes {
    my $pid = $cluster->manager->pid;
    my @open = glob "/proc/$pid/fd/*";
    open my $status, '<', "/proc/$pid/status" or return { descriptors => 0, kib => 0 };
    my ($kib) = map { /\AVmRSS:\s+(\d+)/ ? $1 : () } <$status>;
    return { descriptors => scalar @open, kib => $kib };
}

# Whether this process still is a runner, and one that no worker is the parent of. (Its number may be another's by now.)
sub is_orphan {
    my ($pid) = @_;
    return 0 if command_of($pid) !~ /\Aargon runner/;
    my $parent = Chaos::Faults::parent_of($pid) // return 0;
    return command_of($parent) !~ /\0worker\0/;
}

sub command_of {
    my ($pid) = @_;
    open my $file, '<', "/proc/$pid/cmdline" or return q{};
    return <$file> // q{};
}

# Says what is and what is not; true if all is well.
sub account {
    my ($seen) = @_;
    my ($ledger, $faults) = @{$seen}{qw(ledger faults)};
    my %fault   = $faults->counts;
    my %runs    = $ledger->distribution;
    my @missing = $ledger->missing;
    my $again   = $ledger->count('runs') - keys %{ $ledger->{runs} };
    my %lost    = $faults->lost;
    my %kills   = $faults->client_kills;
    my @puzzles = $ledger->unexplained(\%lost, \%kills);

    my $number = $ledger->count('outcomes');
    printf "outcomes        %d of %d, %d of them twice, %d wrong, %d of tasks that never ran\n", $number, $option{tasks},
        scalar $ledger->twice, scalar $ledger->wrong, scalar $ledger->unrun;
    printf "runs            %s\n", join ', ', map { "$runs{$_} tasks " . times_in_words($_) } sort { $a <=> $b } keys %runs;
    printf "run again       %d times, of which the faults do not explain %d; %d tasks ended as lost and were sent again\n", $again,
        scalar @puzzles, $ledger->count('again');
    printf "faults          %d: %s\n", $faults->injected, join ', ', map {"$_ $fault{$_}"} sort keys %fault;
    printf "left behind     %d runners of dead workers, %d processes at the end\n", map { scalar @{$_} } @{$seen}{qw(orphans leftovers)};
    printf "manager         descriptors %d before, %d after; memory %.1f MiB before, %.1f after\n",
        map({ $_->{descriptors} } @{$seen}{qw(before after)}), map { $_->{kib} / 1024 } @{$seen}{qw(before after)};
    printf "time            %.1f s\n", $seen->{took};

    my @bad = @{ $seen->{surprises} };
    push @bad, 'missing: ' . few(@missing) if @missing;
    push @bad, "twice: " . few($ledger->twice)          if $ledger->twice;
    push @bad, 'wrong: ' . few($ledger->wrong)          if $ledger->wrong;
    push @bad, 'ended well and never ran: ' . few($ledger->unrun) if $ledger->unrun;
    push @bad, 'run again for no reason: ' . few(@puzzles) if @puzzles;
    push @bad, 'runners outlived their workers: ' . few(@{ $seen->{orphans} }) if @{ $seen->{orphans} };
    push @bad, 'processes outlived everything: ' . few(@{ $seen->{leftovers} }) if @{ $seen->{leftovers} };
    print "\n", (@bad ? map {"NOT WELL: $_\n"} @bad : "every outcome is here, each once, and right\n");
    print "again with: --seed $option{seed}\n" if @bad;
    report({ seed => $option{seed}, outcomes => $number, again => $again, faults => \%fault, runs => \%runs, lost => [keys %lost], client_kills => \%kills,
        bad => \@bad, before => $seen->{before}, after => $seen->{after}, took => $seen->{took} });
    return !@bad || 0;
}

sub report {
    my ($facts) = @_;
    return if !defined $option{report};
    open my $file, '>', $option{report} or die "$option{report}: $!\n";
    print {$file} JSON::PP->new->canonical->encode($facts), "\n";
    close $file or die "$option{report}: $!\n";
    return;
}

sub times_in_words { return $_[0] == 1 ? 'once' : $_[0] == 2 ? 'twice' : "$_[0] times" }
sub few { return join ', ', @_ > 10 ? (@_[0 .. 9], '... ' . @_ . ' in all') : @_ }

__END__

=head1 NAME

chaos.pl - kill everything at random, and count

=head1 SYNOPSIS

  chaos.pl [--tasks N] [--seconds N] [--seed N] [--workers N] [--slots N] [--clients N]
           [--gentle] [--argon FILE] [--plain] [--keep FOLDER] [--report FILE]

=head1 DESCRIPTION

Starts a manager with its store on disk, workers and clients. Every task appends its number to a file, which no part of
Argon knows of, works for a while, and returns a number that is checked. Meanwhile the manager, the workers, their runners and the clients are
killed with SIGKILL, frozen with SIGSTOP, or asked to leave, as the seed says.

Half of the clients have attached tasks: killed and started again, a client sends what it has no outcome of once more, which
may run those tasks again. The other half hand detached tasks over and write down the tickets: started again, such a client collects them.

At the end everything is counted, and the exit code is 0 only if every task has one outcome and the right one, no task
ran more often than the faults explain, and nobody left a process behind.

=head1 OPTIONS

=over

=item B<--tasks> N, B<--seconds> N

So many tasks, in about so much time; 10,000 in 60 s. The faults come at an even pace, so more time is more of them.

=item B<--seed> N

The faults of this seed. Without it a new one is drawn; it is printed.

=item B<--workers> N, B<--slots> N, B<--clients> N

Who takes part: 3 workers with 4 slots each, 4 clients.

=item B<--gentle>

Only faults that take from nobody what he has begun: the manager is killed, everybody is frozen for a moment. Then nothing may run
twice.

=item B<--argon> FILE

The program; default the C<argon> in PATH.

=item B<--plain>

Lines instead of the picture, as without a terminal.

=item B<--keep> FOLDER

Work in this folder, and leave everything in it: logs, store, what the tasks and clients wrote.

=item B<--report> FILE

Also write the counts there, as JSON.

=back

=cut
