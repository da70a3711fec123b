#!/usr/bin/env perl
# A census of all Perl modules on this machine, counted by an Argon cluster.
#
# Shows the three steps of most such programs: cut the work into chunks, `defer` one task for each,
# reduce the results as they come. `perldoc` this file, or run it with --help.

use strict;
use warnings;

use Cwd qw(realpath);
use File::Find;
use FindBin;
use Getopt::Long qw(GetOptions);
use List::Util qw(max sum0);
use Pod::Usage qw(pod2usage);
use Sys::Hostname qw(hostname);
use Time::HiRes ();

use lib "$FindBin::Bin/../../perl/lib";
use Argon::Client;

use constant TOP       => 10;
use constant BAR_WIDTH => 40;
use constant KINDS     => qw(code comment POD blank data);

my %option = (manager => $ENV{ARGON_MANAGER} // '127.0.0.1:8000', chunk => 192, hints => 1);
GetOptions(\%option, 'manager=s', 'key=s', 'dir=s@', 'chunk=i', 'compare', 'hints!', 'help|h')
    or pod2usage(2);
pod2usage(-verbose => 1, -exitval => 0) if $option{help};
pod2usage('--chunk is a number of KiB, 1 or more') if $option{chunk} < 1;
my ($host, $port) = $option{manager} =~ /^(.+):(\d+)$/
    or pod2usage("--manager takes HOST:PORT, not \"$option{manager}\"");

main();

sub main {
    my @files = find_modules($option{dir} ? @{$option{dir}} : @INC);
    die "there is no .pm file in these folders\n" if !@files;
    my @chunks = chunks_of(\@files, $option{chunk} * 1024);

    my $key    = $option{key} ? {key => $option{key}} : {};
    my $client = Argon::Client->new(host => $host, port => $port, %$key);
    my $status = $client->server_status;
    printf "Argon at %s: %s, %s\n", $option{manager}, count($status->{workers}, 'worker'),
        count($status->{total_capacity}, 'slot');
    print "no worker is there yet: the tasks wait until one comes\n" if !$status->{workers};
    printf "%s, %.1f MB, cut into %s\n\n", count(scalar @files, 'module file'),
        sum0(map { $_->{bytes} } @files) / 1e6, count(scalar @chunks, 'task');

    my $begun    = Time::HiRes::time();
    my @deferred = map { $client->defer(\&survey, $_) } @chunks;
    my $total    = {};
    my $done     = 0;
    for my $deferred (@deferred) {
        add_to($total, $deferred->());
        show_progress(++$done, scalar @deferred, Time::HiRes::time() - $begun);
    }
    my $seconds = Time::HiRes::time() - $begun;

    show_totals($total);
    show_spread($total, $seconds);
    compare_with_one_process(\@chunks, $total, $seconds) if $option{compare};
    show_hints() if $option{hints};
    return;
}

# Every .pm file under these folders, once, however many paths lead to it.
sub find_modules {
    my (@folders) = @_;
    my (%seen, @files);
    my $wanted = sub {
        return if !/\.pm$/ || !-f;
        my ($device, $inode, $bytes) = (stat _)[0, 1, 7];
        push @files, {path => $File::Find::name, bytes => $bytes} if !$seen{"$device:$inode"}++;
    };
    find({wanted => $wanted, no_chdir => 1}, $_) for grep { defined && -d } map { realpath($_) } @folders;
    my @sorted = sort { $a->{path} cmp $b->{path} } @files;
    return @sorted;
}

# Cuts the files into lists of paths of about so many bytes, so that every task is about as long.
sub chunks_of {
    my ($files, $bytes_wanted) = @_;
    my (@chunks, $bytes);
    for my $file (@$files) {
        if (!@chunks || $bytes >= $bytes_wanted) {
            push @chunks, [];
            $bytes = 0;
        }
        push @{$chunks[-1]}, $file->{path};
        $bytes += $file->{bytes};
    }
    return @chunks;
}

# The task: what these files hold. It travels to a worker with the subs that it calls, reads the files over
# there, and returns plain data, with a word on who did it.
sub survey {
    my (@paths) = @_;
    my $begun = Time::HiRes::time();
    my %found = (files => 0, unreadable => 0, lines => {}, subs => 0, longest => [], used => {});
    survey_file($_, \%found) for @paths;

    my @longest = sort { $b->{lines} <=> $a->{lines} || $a->{name} cmp $b->{name} } @{$found{longest}};
    $found{longest} = [splice @longest, 0, TOP];
    $found{by}      = {host => hostname(), worker => getppid, runner => $$};
    $found{seconds} = Time::HiRes::time() - $begun;
    return \%found;
}

sub survey_file {
    my ($path, $found) = @_;
    my $file;
    if (!open $file, '<:raw', $path) {
        $found->{unreadable}++;
        return;
    }
    $found->{files}++;
    my ($package, $in_pod, $at_end, $sub, %used) = ('main', 0, 0, undef);

    while (my $line = <$file>) {
        my $kind = 'code';
        if ($in_pod || $line =~ /^=[a-z]/i) {
            $kind   = 'POD';
            $in_pod = $line !~ /^=cut\b/;
        }
        elsif ($line =~ /^\s*$/) { $kind = 'blank' }
        elsif ($at_end ||= $line =~ /^__(?:END|DATA)__\s*$/) { $kind = 'data' }
        elsif ($line =~ /^\s*#/) { $kind = 'comment' }
        $found->{lines}{$kind}++;
        next if $kind ne 'code';

        $package = $1 if $line =~ /^\s*package\s+([\w:]+)/;
        $used{$1} = 1 if $line =~ /^\s*(?:use|require)\s+([A-Z]\w*(?:::\w+)*)/;

        # A sub ends at the first brace that stands as far left as its own first line does: true for code
        # that is laid out as nearly all code is, and cheap.
        my $length;
        if ($line =~ /^(\s*)sub\s+(\w+)(?!.*;\s*$)/ && !($sub && length $1 > length $sub->{indent})) {
            $sub    = {indent => $1, name => "${package}::$2", first => $.};
            $length = 1 if $line =~ /\}\s*$/;
            $found->{subs}++;
        }
        elsif ($sub && $line =~ /^$sub->{indent}\}/) {
            $length = $. - $sub->{first} + 1;
        }
        if ($length) {
            push @{$found->{longest}}, {name => $sub->{name}, lines => $length};
            undef $sub;
        }
    }
    $found->{used}{$_}++ for keys %used;
    return;
}

# Reduces: adds what one task found to the total.
sub add_to {
    my ($total, $found) = @_;
    $total->{$_} += $found->{$_} for qw(files unreadable subs seconds);
    $total->{lines}{$_} += $found->{lines}{$_} for keys %{$found->{lines}};
    $total->{used}{$_}  += $found->{used}{$_}  for keys %{$found->{used}};

    my @longest = sort { $b->{lines} <=> $a->{lines} || $a->{name} cmp $b->{name} }
        @{$total->{longest} || []}, @{$found->{longest}};
    $total->{longest} = [splice @longest, 0, TOP];

    my $by = $total->{by}{join ' ', @{$found->{by}}{qw(host worker runner)}} ||= {%{$found->{by}}};
    $by->{tasks}++;
    $by->{$_} += $found->{$_} for qw(files seconds);
    return;
}

# One line that moves on a terminal; elsewhere a plain line at each quarter.
sub show_progress {
    my ($done, $all, $seconds) = @_;
    my $text = sprintf '%3d %%  %d of %s, %.1f s', 100 * $done / $all, $done, count($all, 'task'), $seconds;
    if (-t STDOUT) {
        local $| = 1;
        my $filled = int(BAR_WIDTH * $done / $all);
        print "\r[", '#' x $filled, ' ' x (BAR_WIDTH - $filled), "] $text", $done == $all ? "\n" : '';
    }
    elsif (int(4 * $done / $all) > int(4 * ($done - 1) / $all)) {
        print "$text\n";
    }
    return;
}

sub show_totals {
    my ($total) = @_;
    my $lines = sum0(values %{$total->{lines}});
    printf "\n%s, %s\n", count($total->{files}, 'file'), count($lines, 'line');
    for my $kind (KINDS) {
        my $share = ($total->{lines}{$kind} || 0) / ($lines || 1);
        printf "  %-8s %12s  %3.0f %%  %s\n", $kind, grouped($total->{lines}{$kind} || 0), 100 * $share,
            '#' x (BAR_WIDTH * $share);
    }
    print count($total->{unreadable}, 'file'), " could not be read where the task ran\n"
        if $total->{unreadable};

    printf "\nThe longest of %s\n", count($total->{subs}, 'named sub');
    printf "  %7s lines  %s\n", grouped($_->{lines}), $_->{name} for @{$total->{longest}};

    print "\nThe most used modules\n";
    my $used = $total->{used};
    my @most = sort { $used->{$b} <=> $used->{$a} || $a cmp $b } keys %$used;
    printf "  %7s files  %s\n", grouped($used->{$_}), $_ for grep { defined } @most[0 .. TOP - 1];
    return;
}

sub show_spread {
    my ($total, $seconds) = @_;
    print "\nHow the work was spread\n";
    printf "  %-16s %8s %8s %7s %7s %8s\n", qw(host worker runner tasks files busy);
    my @all     = map { $total->{by}{$_} } sort keys %{$total->{by}};
    my $busiest = max(map { $_->{seconds} } @all) || 1;
    for my $by (@all) {
        printf "  %-16s %8d %8d %7d %7d %6.2f s  %s\n", @$by{qw(host worker runner tasks files seconds)},
            '#' x (20 * $by->{seconds} / $busiest);
    }
    printf "\n%.2f s, in which %.2f s of work were done: %.1f times one process that never waits\n", $seconds,
        $total->{seconds}, $total->{seconds} / $seconds;
    return;
}

# The same tasks, one after the other, in this process.
sub compare_with_one_process {
    my ($chunks, $pooled, $seconds_pooled) = @_;
    my $begun = Time::HiRes::time();
    my $alone = {};
    add_to($alone, survey(@$_)) for @$chunks;
    my $seconds = Time::HiRes::time() - $begun;
    printf "The same in this one process: %.2f s; the cluster is %.1f times as fast", $seconds,
        $seconds / $seconds_pooled;
    print digest($alone) eq digest($pooled)
        ? ", and both counted the same\n"
        : ".\nThey did not count the same: do all workers see the files that this machine has?\n";
    return;
}

# All that was counted, as one string, without who counted it.
sub digest {
    my ($total) = @_;
    return join "\n", (map { "$_ $total->{$_}" } qw(files unreadable subs)),
        (map { "$_ " . ($total->{lines}{$_} || 0) } KINDS),
        (map { "$_ $total->{used}{$_}" } sort keys %{$total->{used}}),
        map { "$_->{name} $_->{lines}" } @{$total->{longest}};
}

sub show_hints {
    print <<"END";

Try next
  --compare            does the same in one process, and compares
  --dir FOLDER         counts other modules: your own, say
  --chunk 16           cuts smaller tasks: see what a task costs
  argon worker --port 0 --manager $option{manager}
                       in another terminal, adds slots while this runs
END
    return;
}

sub count {
    my ($number, $thing) = @_;
    return grouped($number) . " $thing" . ($number == 1 ? '' : 's');
}

sub grouped {
    my ($number) = @_;
    1 while $number =~ s/^(\d+)(\d{3})/$1,$2/;
    return $number;
}

__END__

=head1 NAME

module-census.pl - counts all Perl modules of a machine, on an Argon cluster

=head1 SYNOPSIS

    module-census.pl [--manager HOST:PORT] [--key FILE] [--dir FOLDER ...]
                     [--chunk KIB] [--compare] [--no-hints]

=head1 DESCRIPTION

Finds every F<.pm> file in C<@INC>, cuts the list into chunks, and hands each chunk to the cluster as a
task. The tasks read the files on the workers and return what they counted: lines by kind, named
subroutines, which are the longest, and which modules are used by how many files. The program adds that
up, and shows who did how much of it.

A file is looked for under the same path on every worker; one that is not there is counted as unreadable.

=head1 OPTIONS

=over

=item B<--manager> HOST:PORT

The manager, or a worker that stands alone. Default: what C<ARGON_MANAGER> names, else C<127.0.0.1:8000>.

=item B<--key> FILE

The file with the cluster key, if it is not where the client looks by itself.

=item B<--dir> FOLDER

Looks in this folder instead of C<@INC>. May be given more than once.

=item B<--chunk> KIB

How many KiB of source a task gets, about. Default: 192, some ten milliseconds of work.

=item B<--compare>

Does the same work once more in this process alone, and compares the times and the counts.

=item B<--no-hints>

Does not end with what to try next.

=back

=head1 WHAT IS COUNTED

A line is POD from a directive to its C<=cut>, data behind C<__END__>, blank, a comment if nothing stands
before the C<#>, and code otherwise. A subroutine ends at the first closing brace in the column in which
it began. Pragmas are not counted as modules: every file uses them.

=cut
