# What a runner spends on a task that is not proven to leave nothing behind, beside one that is: processor time of the runner
# for each task. Usage: perl perl/maint/look-cost.pl [TASKS]

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../t/lib";

use Argon::Code;
use Argon::Protocol qw(:all);
use TemplateProcess;

my $tasks = shift // 20_000;
my $ticks = POSIX::sysconf(POSIX::_SC_CLK_TCK());
my %code  = (
    'proven'             => sub { $_[0] + 1 },
    'looked after'       => sub { exists $ENV{NONE} ? 0 : $_[0] + 1 },
    'with compiled code' => sub { require POSIX; POSIX::floor($_[0]) + 1 },
);

sub cpu_seconds {
    my ($process) = @_;
    open my $stat, '<', "/proc/$process/stat" or die $!;
    my @fields = split q{ }, (readline $stat) =~ s/\A.*\) //sr;
    return ($fields[11] + $fields[12]) / $ticks;
}

my $template = TemplateProcess->start;
$template->ready;
for my $name (sort keys %code) {
    my $runner = $template->fork_runner;
    $runner->ready;
    my $blob = $runner->send_blob(Argon::Code::ship($code{$name})->{text});
    $runner->run(blob => $blob, arguments => [1]) for 1 .. 100;
    my $begun = cpu_seconds($runner->process);
    $runner->run(blob => $blob, arguments => [1]) for 1 .. $tasks;
    printf "%-20s %5.1f us\n", $name, 1e6 * (cpu_seconds($runner->process) - $begun) / $tasks;
}
