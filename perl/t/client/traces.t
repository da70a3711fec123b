# The session of this client does what the traces say that Rust's and Python's do too; spec/traces.md has their grammar.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use File::Basename qw(basename);
use SessionTrace       ();
use SessionTraceClient ();
use Test::More;

my $FOLDER = "$FindBin::Bin/../../../spec/traces/session";

sub wrong {
    my ($path)  = @_;
    my $client  = SessionTraceClient->new;
    my $compare = SessionTrace->new;
    for my $step (SessionTrace::read_file($path)) {
        my ($line, $input, $effects) = @{$step};
        my @wrong = $input =~ /\Anetwork / ? $compare->unnamed : ();
        push @wrong, $compare->compare($effects, $client->play($input));
        return map {"line $line, $input: $_"} @wrong if @wrong;
    }
    return $compare->unnamed;
}

my @paths = sort glob "$FOLDER/*.txt";
cmp_ok scalar @paths, '>=', 50, 'the_traces_are_there';
for my $path (@paths) {
    is join("\n", wrong($path)), q{}, basename($path, '.txt');
}

done_testing;
