#!/usr/bin/env perl
# A million tasks through a cluster on this machine, and after each part of them what its processes take: descriptors,
# memory. `perldoc` this file, or run it with --help.

use strict;
use warnings;

use FindBin;
use Getopt::Long qw(GetOptions);
use IO::Handle;
use Pod::Usage qw(pod2usage);
use Time::HiRes qw(time);

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

# A process may end with so much more memory than it had after the first part.
use constant GROWTH_KIB => 8 << 10;
# What the kernel and others hold on to for a moment.
use constant SETTLE_SECONDS => 5;

my %option = (manager => $ENV{ARGON_MANAGER} // '127.0.0.1:8000', tasks => 1_000_000, every => 100_000, pid => []);
GetOptions(\%option, 'manager=s', 'key=s', 'tasks=i', 'every=i', 'pid=i@', 'help|h') or pod2usage(2);
pod2usage(-verbose => 1, -exitval => 0) if $option{help};
pod2usage('--tasks and --every are 1 or more') if $option{tasks} < 1 || $option{every} < 1;
STDOUT->autoflush(1);

exit(main() ? 0 : 1);

sub main {
    my ($done, $first, $last) = (0);
    printf "%10s %8s   %-22s %-22s %-26s %s\n", qw(tasks /second manager workers runners client);
    show(0, 0, look(), 0);
    while ($done < $option{tasks}) {
        my $count  = $option{tasks} - $done < $option{every} ? $option{tasks} - $done : $option{every};
        my $begun  = time;
        my $client = part($count);
        $done += $count;
        my $seconds = time - $begun;
        $last = settled($first);
        $first //= $last;
        show($done, $count / $seconds, $last, $client);
    }
    my @grown = grown($first, $last);
    print @grown ? map {"GREW: $_\n"} @grown : "every process is as small as it was after the first part\n";
    return !@grown || 0;
}

# A part of the work is a client of its own: what it took of the machine, KiB.
sub part {
    my ($count) = @_;
    pipe my $reader, my $writer or die "no pipe: $!\n";
    my $pid = fork // die "cannot fork: $!\n";
    if (!$pid) {
        close $reader;
        my $is_well = eval { work($count); 1 } or print STDERR $@;
        print {$writer} facts_of($$)->{kib};
        close $writer;
        exit($is_well ? 0 : 1);
    }
    close $writer;
    my $kib = <$reader>;
    waitpid $pid, 0;
    die "a part of the work failed\n" if $? != 0;
    return $kib;
}

# Mostly nothing; now and then an error, output, a big value, a detached task, a death.
sub work {
    my ($count) = @_;
    my $client = Argon::Client->new(hosts => [$option{manager}], ($option{key} ? (key => $option{key}) : ()));
    my $number = 0;
    my $wrong  = 0;
    my @waiting;
    my $take = sub {
        my ($expected, $deferred) = @{ shift @waiting };
        my $value = eval { $deferred->get } // (ref $@ ? $@->kind : $@);
        $wrong++ if $value ne $expected;
    };
    while (++$number <= $count) {
        push @waiting, one($client, $number);
        $take->() if @waiting > 1000;
    }
    $take->() while @waiting;
    die "$wrong outcomes were wrong\n" if $wrong;
    $client->shutdown;
    return;
}

# Sends a task; what must come of it, and who waits for it.
sub one {
    my ($client, $number) = @_;
    return ['died', $client->defer(sub { exit 7 })] if $number % 5000 == 0;
    if ($number % 1000 == 0) {
        my $ticket = $client->submit(sub { return "kept $_[0]" }, [$number]);
        return ["kept $number", $client->collect_later($ticket)];
    }
    return [length 'x' x 300_000, $client->defer(sub { return length $_[0] }, ['x' x 300_000])] if $number % 500 == 0;
    return ["no\n", $client->defer(sub { die "no\n" })] if $number % 100 == 0;
    return ['said', $client->defer(sub { print "word\n"; return 'said' }, [], { capture => 1 })] if $number % 50 == 0;
    return [$number + 1, $client->defer(sub { return $_[0] + 1 }, [$number])];
}

# What every process takes, once it has come to rest: as before if that happens soon, otherwise as it is after a while.
sub settled {
    my ($before) = @_;
    my $until = time + SETTLE_SECONDS;
    while (1) {
        my $now = look();
        return $now if time > $until || $before && !grown($before, $now);
        select undef, undef, undef, 0.1;
    }
    return;
}

# By role: how many processes, descriptors of all, memory of all.
sub look {
    my %sum = map { $_ => { count => 0, descriptors => 0, kib => 0 } } qw(manager worker runner);
    for my $pid (@{ $option{pid} }) {
        my $role = command_of($pid) =~ /\0(manager|worker)\0/ ? $1 : die "process $pid is no manager and no worker\n";
        add($sum{$role}, $pid);
        next if $role eq 'manager';
        add($sum{runner}, $_) for grep { command_of($_) =~ /\Aargon runner/ } children_of($pid);
    }
    return \%sum;
}

sub add {
    my ($sum, $pid) = @_;
    my $facts = facts_of($pid);
    $sum->{count}++;
    $sum->{$_} += $facts->{$_} for qw(descriptors kib);
    return;
}

sub facts_of {
    my ($pid) = @_;
    my @open = glob "/proc/$pid/fd/*";
    open my $status, '<', "/proc/$pid/status" or return { descriptors => 0, kib => 0 };
    my ($kib) = map { /\AVmRSS:\s+(\d+)/ ? $1 : () } <$status>;
    return { descriptors => scalar @open, kib => $kib // 0 };
}

sub children_of {
    my ($pid) = @_;
    my @children;
    for my $path (glob "/proc/$pid/task/*/children") {
        open my $file, '<', $path or next;
        push @children, split q{ }, <$file> // q{};
    }
    return @children;
}

sub command_of {
    my ($pid) = @_;
    open my $file, '<', "/proc/$pid/cmdline" or return q{};
    return <$file> // q{};
}

sub grown {
    my ($first, $last) = @_;
    my @grown;
    for my $role (sort keys %{$last}) {
        my ($was, $is) = ($first->{$role}, $last->{$role});
        push @grown, "$role: $was->{count} processes, now $is->{count}" if $is->{count} != $was->{count};
        push @grown, "$role: $was->{descriptors} descriptors, now $is->{descriptors}" if $is->{descriptors} > $was->{descriptors};
        push @grown, "$role: $was->{kib} KiB, now $is->{kib}" if $is->{kib} > $was->{kib} + GROWTH_KIB;
    }
    return @grown;
}

sub show {
    my ($done, $rate, $now, $client) = @_;
    my $text = sub {
        my ($sum) = @_;
        return sprintf '%s%d open, %.1f MiB', ($sum->{count} > 1 ? "$sum->{count}: " : q{}), $sum->{descriptors}, $sum->{kib} / 1024;
    };
    printf "%10d %8.0f   %-22s %-22s %-26s %.1f MiB\n", $done, $rate, (map { $text->($now->{$_}) } qw(manager worker runner)),
        $client / 1024;
    return;
}

__END__

=head1 NAME

endurance.pl - a million tasks, and what the processes of the cluster take meanwhile

=head1 SYNOPSIS

  endurance.pl --manager HOST:PORT [--key FILE] [--tasks N] [--every N] --pid N ...

=head1 DESCRIPTION

Sends tasks that do nearly nothing; now and then one that throws, prints, gets a big value, is detached, or ends its
process. Every outcome is checked. After each part (C<--every> tasks, each part from a client of its own) a line tells the open
descriptors and the memory of manager, workers and runners. The exit code is 0 if at the end none of them has more
than after the first part, up to 8 MiB of memory for each role.

C<scripts/soak-cluster> starts the cluster for it; by hand, name manager and workers with C<--pid>.

=cut
