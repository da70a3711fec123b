# Nothing of other people's modules runs while their subs are made ready to travel. All of them: perl/maint/corpus.pl --runs.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib", "$FindBin::Bin/lib";
use Test::More;
use Sub::Util ();    # which the sender loads when it needs it
use Argon::Code;
use CodeRuns;
use CodeCorpus;

use constant SUBS => 300;

CodeRuns::watch_what_comes();
my @subs = CodeCorpus::subs(qw(HTTP::Tiny JSON::PP Text::Balanced Text::Wrap));
my $seen = CodeRuns::during(sub { Text::Wrap::wrap(q{}, q{}, 'a line') });
cmp_ok(scalar keys %{$seen}, '>', 10, 'statements that run are counted');

# kind: code of the caller runs | each sub of modules that come with perl, in a process that counts their statements | right | none of
#    them runs while the subs are made ready to travel
my $step = @subs / SUBS;
my %ran;
for my $chosen (map { $subs[ int $_ * $step ] } 0 .. SUBS - 1) {
    my ($name, $code) = @{$chosen};
    my $places = CodeRuns::during(sub { CodeCorpus::refusal($code) });
    $ran{"$_, when $name was sent"} = 1 for keys %{$places};
}
is_deeply [sort keys %ran], [], 'no statement of ' . SUBS . ' subs and their modules ran';

done_testing;
