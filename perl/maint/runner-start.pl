# How long a runner takes from the request to the outcome of its first task: forked from a template, and started as a new
# interpreter; beside `perl -e 1`. Usage: perl perl/maint/runner-start.pl [TIMES]

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../t/lib";

use Time::HiRes ();

use Argon::Code;
use TemplateProcess;

my $times = shift // 50;
my $text  = Argon::Code::ship(sub { $_[0] + 1 })->{text};
my $template = TemplateProcess->start;
$template->ready;

sub first_task {
    my ($runner) = @_;
    $runner->ready;
    my $outcome = $runner->run(blob => $runner->send_blob($text), arguments => [41]);
    die "the task gave $outcome->{list}[0]" if $outcome->{list}[0] != 42;
    return $runner;
}

my %way = (
    'forked runner'  => sub { first_task($template->fork_runner) },
    'started runner' => sub { first_task(RunnerProcess->start) },
    'perl -e 1'      => sub { system $^X, '-e', '1'; undef },
);
my %taken;
for (1 .. $times) {
    # In turns, so that other work of the machine falls on all alike.
    for my $name (sort keys %way) {
        my $begun  = Time::HiRes::time();
        my $runner = $way{$name}->();
        push @{ $taken{$name} }, Time::HiRes::time() - $begun;
        $runner->end if $runner;
    }
}
for my $name (sort keys %taken) {
    my @sorted = sort { $a <=> $b } @{ $taken{$name} };
    printf "%-15s median %6.2f ms, fastest %6.2f ms\n", $name, map { 1_000 * $_ } $sorted[ $#sorted / 2 ], $sorted[0];
}
