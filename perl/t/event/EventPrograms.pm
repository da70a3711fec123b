package EventPrograms;

# Owns running programs of an event loop in processes of their own, since what is loaded decides how the client waits. A
# program prints lines; it is ended when its time is over.

use strict;
use warnings;

use Exporter 'import';
use FindBin;

our @EXPORT_OK = qw(needs lines_of);

my $DEADLINE_S = 60;

# Skips the test file where a framework is not installed.
sub needs {
    my (@modules) = @_;
    for my $module (@modules) {
        next if eval "require $module; 1";
        Test::More::plan(skip_all => "$module is not installed");
    }
    return;
}

# Runs the text after a head that makes $client; @lines that it printed. A failing program shows its words there. On a busy
# machine a wait may be long enough to be explained: that is not printed.
sub lines_of {
    my ($cluster, $loads, $program, %option) = @_;
    my $arguments = join ', ', map {"'$_'"} $cluster->client_arguments, on_waiting => 0, %option;
    my $text = <<"END";
use strict; use warnings;
$loads
use Argon::Client; use Time::HiRes;
\$| = 1; open STDERR, '>&', \\*STDOUT; alarm $DEADLINE_S;
my \@address = ($arguments);
my \$client = Argon::Client->new(\@address);
sub nap { select undef, undef, undef, \$_[0]; return \$_[1] }
$program
END
    open my $child, '-|', $^X, '-I', "$FindBin::Bin/../../lib", '-e', $text or die "fork: $!";
    chomp(my @lines = readline $child);
    close $child or push @lines, "exit status $?";
    return @lines;
}

1;
