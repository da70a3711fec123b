#!/usr/bin/env perl
# Makes one table of what the measurements left in a folder, for the terminal and for docs/benchmarks.md. It measures
# nothing. A part that was not measured has no rows.

use strict;
use warnings;
use utf8;
use open qw(:std :encoding(UTF-8));

use Getopt::Long qw(GetOptions);
use JSON::PP ();
use List::Util qw(sum0);
use POSIX qw(strftime);

GetOptions(\my %option, 'results=s', 'page=s') or die "see the head of this file\n";
my $folder = $option{results} or die "--results FOLDER\n";

my $floor = result('floor');
my @page  = (
    '# What a task costs',
    '',
    'Written by `make bench`: ' . machine() . ', ' . strftime('%Y-%m-%d', gmtime) . load() . '.',
    'Figures of one machine serve to show distances; measure yours with the same command. "The floor" is four processes',
    'joined as client, manager, worker and runner are, that only pass bytes on (`benches/src/relay.rs`), in the same run.',
);

section('Empty tasks, one worker with two slots', systems());
section('The floor', floor_rows());
section('Processor time of one small task in bulk, Perl to Perl', processor_rows());
section('Arguments and results, four at a time, MiB a second, and the share of the floor', payload_rows());
push @page, payload_notes();
section('The boost: tasks that sleep, workers of two slots, share of the slots\' time that was spent in them', boost_rows());
section('The real manager under virtual workers of 16 slots (`argon-bench fleet`)', fleet_rows());
section('A client next to floods of others (`argon-bench floods`)', flood_rows());
text_section('The scheduler alone (`argon-steps time`)', 'steps.txt');
text_section('Commands with `argon map`, beside GNU parallel and the least there is', 'map.txt');
text_section('Detached tasks, each on the disk before it counts', 'store.txt');
section('A runner for each session, forked from a template', runner_rows());
section('Starts and memory', start_rows());
push @page, notes();

my $page = join("\n", @page) . "\n";
print $page;
if ($option{page}) {
    open my $file, '>:encoding(UTF-8)', $option{page} or die "$option{page}: $!\n";
    print {$file} $page;
    close $file or die "$option{page}: $!\n";
}

sub flood_rows {
    my $floods = result('floods') or return;
    my @rows   = (['four connections send', 'undisturbed, p50', 'with the flood, p50', 'p99', '× undisturbed', 'the manager is busy', "manager's memory, of $floods->{memory_mib} MiB"]);
    for my $row (@{ $floods->{rows} }) {
        push @rows, [
            $row->{flood}, micros($row->{undisturbed_us}), micros($row->{p50_us}), micros($row->{p99_us}),
            sprintf('%.1f', $row->{p50_us} / $row->{undisturbed_us}), sprintf('%.0f %%', 100 * $row->{manager_busy}), "$row->{memory_mib} MiB",
        ];
    }
    return @rows;
}

sub systems {
    my @rows = (['system', 'round trip p50', 'p99', '× the floor', 'tasks/s']);
    my $free   = $floor && $floor->{round_trip_us}{free}{p50};
    my $pinned = $floor && $floor->{round_trip_us}{pinned}{p50};
    my @systems = (
        ['rust', 'Argon, Rust to native', $free], ['rust-pinned', 'Argon, Rust to native, all on one core', $pinned],
        ['perl', 'Argon, Perl to Perl', $free], ['perl-pinned', 'Argon, Perl to Perl, all on one core', $pinned],
        ['python', 'Argon, Python to Python', $free], ['python-pinned', 'Argon, Python to Python, all on one core', $pinned],
        ['commands', 'Argon, `/bin/true`', undef],
    );
    for my $system (@systems) {
        my ($name, $title, $least) = @{$system};
        my $result = result($name) or next;
        push @rows, row($title, $result, $least, scalar $name =~ /-pinned\z/);
    }
    for my $line (split /\n/, slurp("$folder/peers.tsv") // q{}) {
        my ($title, $trip, $rate, $note) = split /\t/, $line;
        my $is_measured = $trip ne q{-} || $rate ne q{-};
        push @rows, [
            $is_measured ? "$title ($note)" : $title, $trip eq q{-} ? ($is_measured ? q{} : $note) : micros($trip), q{}, q{},
            $rate eq q{-} ? q{} : thousands($rate),
        ];
    }
    return @rows;
}

sub row {
    my ($title, $result, $least, $has_no_rate) = @_;
    my $trip = $result->{round_trip_us};
    return [
        $title, $trip ? micros($trip->{p50}) : q{}, $trip && $trip->{p99} ? micros($trip->{p99}) : q{},
        $trip && $least ? sprintf('%.1f', $trip->{p50} / $least) : q{},
        $has_no_rate || !$result->{tasks_per_s} ? q{} : thousands($result->{tasks_per_s}),
    ];
}

sub floor_rows {
    return if !$floor;
    my ($trip, $rate) = @{$floor}{qw(round_trip_us messages_per_s)};
    return (
        ['four processes that only pass 64-byte messages on', 'figure'],
        ['round trip, free to move between cores: p50, p99', micros($trip->{free}{p50}) . ', ' . micros($trip->{free}{p99})],
        ['round trip, all on one core: p50, p99', micros($trip->{pinned}{p50}) . ', ' . micros($trip->{pinned}{p99})],
        ['one message a read and a write', thousands($rate->{one_a_read}) . '/s'],
        ['bulk reads, each frame parsed and copied', thousands($rate->{framed}) . '/s'],
        ['bulk reads and writes', thousands($rate->{bulk}) . '/s'],
    );
}

sub processor_rows {
    my $perl  = result('perl') or return;
    my @names = grep { defined $perl->{bulk}[0]{processor_us}{$_} } qw(client manager worker runners);
    my @rows  = (['the sub', @names, 'all', 'tasks/s']);
    for my $bulk (@{ $perl->{bulk} }) {
        my @micros = @{ $bulk->{processor_us} }{@names};
        push @rows, ["`$bulk->{sub}`", map({ sprintf '%.1f µs', $_ } @micros, sum0(@micros)), thousands($bulk->{tasks_per_s})];
    }
    return @rows;
}

sub payload_rows {
    my %least = $floor ? %{ $floor->{payload_bytes_per_s} } : ();
    my @sizes = sort { $a <=> $b } keys %least or return;
    my @rows  = (
        ['', map { $_ >= 2**20 ? ($_ / 2**20) . ' MiB' : ($_ / 2**10) . ' KiB' } @sizes],
        ['the floor', map { sprintf '%.0f', $least{$_} / 2**20 } @sizes],
    );
    my @systems = (
        ['rust', 'Rust to native'], ['rust-tls', '... over TLS'],
        ['rust-far', '... between network namespaces'], ['rust-far-tls', '... between them, over TLS'],
        ['perl', 'Perl to Perl'], ['perl-tls', '... over TLS'], ['perl-tunnel', '... over TLS by `argon tunnel`'],
        ['python', 'Python to Python'], ['python-tls', '... over TLS'],
    );
    for my $system (@systems) {
        my ($name, $title) = @{$system};
        my $result = result($name) or next;
        my $rate   = $result->{payload_mib_per_s};
        push @rows, [$title, map { defined $rate->{$_} ? sprintf '%.0f (%.0f %%)', $rate->{$_}, 100 * $rate->{$_} * 2**20 / $least{$_} : q{} } @sizes];
    }
    return @rows;
}

sub payload_notes {
    return if !payload_rows();
    return (
        q{}, 'A byte that went to the task and came back counts once. The floor has four messages of the same length under way; it passes',
        'each on while it comes, and holds a quarter of a MiB at most. Argon\'s manager and worker have a task whole before they pass it',
        'on, since they may have to give it to another.',
    );
}

sub boost_rows {
    my @rows;
    for my $language (['rust', 'native'], ['perl', 'Perl']) {
        my ($name, $title) = @{$language};
        for my $workers (1 .. 16) {
            my $result = result("boost-$name-$workers") or next;
            my @sleeps = sort { $a <=> $b } keys %{$result};
            push @rows, ['runners', 'workers', map {"tasks of $_ ms"} @sleeps] if !@rows;
            push @rows, [$title, $workers, map { boost_cell($result->{$_}) } @sleeps];
        }
    }
    return @rows;
}

sub boost_cell {
    my ($figure) = @_;
    return sprintf '%.1f %% (%s/s)', 100 * $figure->{share}, thousands($figure->{tasks_per_s});
}

sub fleet_rows {
    my $fleet = result('fleet') or return;
    my %least = map { $_->{peers} => $_->{message_us} } @{ (result('spread') || {})->{rows} || [] };
    my @rows  = (['workers', 'queued', 'clients', 'µs to submit', 'bytes a queued task', 'µs a task', 'the least', 'tasks/s', 'all back after']);
    my @encrypted = map { +{ %{$_}, tls => 1 } } @{ (result('fleet-tls') || {})->{rows} || [] };
    for my $row (@{ $fleet->{rows} }, @encrypted) {
        push @rows, [
            thousands($row->{workers}) . ($row->{tls} ? ' over TLS' : q{}), thousands($row->{queued}), thousands($row->{clients} // 0), sprintf('%.2f', $row->{submit_us}),
            $row->{queued} ? sprintf('%.0f', $row->{bytes_per_queued}) : q{}, sprintf('%.2f', $row->{task_us}),
            !$row->{queued} && $least{ $row->{workers} } ? sprintf('%.2f', $least{ $row->{workers} }) : q{},
            thousands($row->{tasks_per_s}), sprintf '%.2f s', $row->{storm_ms} / 1e3,
        ];
    }
    return @rows;
}

sub runner_rows {
    my $runners = result('runners') or return;
    my @rows = (['what', map {ucfirst} sort keys %{$runners}]);
    my $of = sub { my ($title, $text) = @_; push @rows, [$title, map { $text->($runners->{$_}) } sort keys %{$runners}] };
    $of->('start of an interpreter that does nothing', sub { micros($_[0]{start_us}) });
    $of->('first task of a session; of that start', sub { sprintf '%s; %.0f %%', micros($_[0]{first_us}), 100 * $_[0]{first_us} / $_[0]{start_us} });
    $of->('second task', sub { micros($_[0]{second_us}) });
    $of->('next task after the runner was killed', sub { micros($_[0]{after_death_us}) });
    $of->('one client, task after task', sub { thousands($_[0]{one_client_per_s}) . '/s' });
    $of->('ten clients in turns; of one client', sub { sprintf '%s/s; %.0f %%', thousands($_[0]{ten_clients_per_s}), 100 * $_[0]{ten_clients_per_s} / $_[0]{one_client_per_s} });
    $of->('processor time of the runner for a task: one client, ten in turns', sub { sprintf '%s, %s', map { micros($_) } @{ $_[0] }{qw(one_client_runner_us ten_clients_runner_us)} })
        if !grep { !defined $runners->{$_}{one_client_runner_us} } keys %{$runners};
    $of->('memory of an idle runner', sub { $_[0]{idle_kib} ? sprintf '%.1f MiB', $_[0]{idle_kib} / 1024 : q{} });
    return @rows;
}

sub start_rows {
    my @rows;
    if (my $starts = result('starts')) {
        push @rows, ['`argon manager`, from its start to ready', "$starts->{manager_ms} ms"],
            ['`argon worker`, from its start to ready', "$starts->{worker_ms} ms"];
    }
    if (my $perl = result('perl')) {
        push @rows, ['a Perl program, from its first call to the first result', sprintf '%.0f ms', $perl->{first_result_ms}];
        push @rows, ["resident memory, $_", sprintf '%.0f MiB', $perl->{resident_mib}{$_}] for qw(manager worker runners);
    }
    return @rows ? (['what', 'figure'], @rows) : ();
}

# What the page says for good; docs/design/hot-path.md says more.
sub notes {
    return (
        q{}, 'The fleet\'s rows: the manager\'s own processor time and memory, beside the payload; "all back after": all workers',
        'lost their connection at once while the load went on. "The least": a process that passes each message on to the next',
        'connection and the answer back (`benches/src/spread.rs`), which a manager must do too that has no queue to fill its',
        'writes from. What gave which of these figures stands in',
        '[design/hot-path.md](design/hot-path.md). `scripts/instructions` counts what a task costs the core and the codec, and',
        '`cargo test -p argon-sim --test efficiency -- --nocapture` tells how near batches of all lengths come to the shortest possible time.',
    );
}

sub section {
    my ($title, $head, @rows) = @_;
    return if !$head || !@rows;
    push @page, q{}, "## $title", q{}, map { '| ' . join(' | ', @{$_}) . ' |' } $head, [('---') x @{$head}], @rows;
    return;
}

sub text_section {
    my ($title, $file) = @_;
    my $text = slurp("$folder/$file") // return;
    utf8::decode($text);
    chomp $text;
    push @page, q{}, "## $title", q{}, '```', split(/\n/, $text), '```';
    return;
}

sub micros {
    my ($micros) = @_;
    return $micros < 10_000 ? sprintf('%s µs', thousands($micros)) : sprintf '%s ms', thousands($micros / 1e3);
}

sub thousands {
    my ($number) = @_;
    my $text = $number < 10 ? sprintf('%.1f', $number) : sprintf '%.0f', $number;
    $text =~ s/[.]0\z//;
    1 while $text =~ s/\A(\d+)(\d{3})/$1,$2/;
    return $text;
}

sub machine {
    my $cores = () = (slurp('/proc/cpuinfo') // q{}) =~ /^processor\s/mg;
    my ($model) = (slurp('/proc/cpuinfo') // q{}) =~ /^model name\s*:\s*(.+)$/m;
    my (undef, undef, $release) = POSIX::uname();
    $release =~ s/-.*//;
    return "$cores cores (" . ($model // 'unknown') . "), Linux $release, perl $^V";
}

# Other work on the machine shows in every figure: the page tells of it.
sub load {
    my ($load) = (slurp("$folder/load") // q{}) =~ /^(\d+[.]\d+)/;
    return defined $load && $load > 0.5 ? ", beside other work (load average $load when it began)" : q{};
}

sub result {
    my ($name) = @_;
    my $text = slurp("$folder/$name.json") // return;
    return eval { JSON::PP->new->utf8->decode($text) };
}

sub slurp {
    my ($path) = @_;
    open my $file, '<:raw', $path or return;
    local $/ = undef;
    return scalar <$file>;
}
