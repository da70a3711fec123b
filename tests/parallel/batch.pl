# Runs GNU parallel for each of the numbered files of arguments of a folder, but compiles it only once.
# For N.args (words that end in zero bytes) and N.in there will be N.out and N.err.
## no critic (ProhibitNoStrict, ProhibitStringyEval): the program is compiled as perl itself would
use strict;
use warnings;
my ($program, $folder) = @ARGV;
open my $file, '<', $program or die "$program: $!";
my $source = do { local $/; <$file> };
$source =~ s/^__(?:END|DATA)__.*//ms;
$source =~ s/^=\w+.*?^=cut\n//msg;
{
    no strict;
    no warnings;
    eval "package main; no strict; no warnings; sub run_all { $source }; 1" or die $@;
}
my ($next, %running) = (1);
while (1) {
    while (keys %running < 4 && -e "$folder/$next.args") {
        my $number = $next++;
        my $pid = fork // die $!;
        if ($pid) { $running{$pid} = 1; next }
        open my $args, '<', "$folder/$number.args" or die;
        local $/;
        @ARGV = split /\0/, <$args> // '', -1;
        pop @ARGV;
        close $args;
        open STDIN, '<', "$folder/$number.in" or die;
        open STDOUT, '>', "$folder/$number.out" or die;
        open STDERR, '>', "$folder/$number.err" or die;
        $/ = "\n";
        $0 = $program;
        run_all();
        exit;
    }
    last unless %running;
    delete $running{ wait() };
}
