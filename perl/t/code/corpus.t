# Ordinary Perl is not refused: of a sample of the subs in perl's own modules nearly all travel by value. The whole
# corpus is perl/maint/corpus.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib", "$FindBin::Bin/lib";
use Test::More;
use CodeCorpus;

use constant SUBS  => 300;
use constant FLOOR => 0.98;

# Modules of several authors and decades; every so many-th sub of theirs, the same ones each time.
my @subs = CodeCorpus::subs(qw(
    Archive::Tar CPAN::Meta Data::Dumper File::Find File::Path File::Temp Getopt::Long HTTP::Tiny JSON::PP Locale::Maketext
    Math::BigFloat Module::Metadata Pod::Man Pod::Simple Pod::Text Term::ANSIColor Test::More Text::Balanced Text::Wrap Time::Local
));
cmp_ok(scalar @subs, '>', SUBS, 'there are subs enough');
my $step   = @subs / SUBS;
my @sample = map { $subs[ int $_ * $step ] } 0 .. SUBS - 1;
my %refused;
for (@sample) {
    my ($name, $code) = @$_;
    my $sentence = CodeCorpus::refusal($code);
    $refused{$name} = $sentence if defined $sentence;
}
my $travel = SUBS - keys %refused;
cmp_ok($travel / SUBS, '>=', FLOOR, "$travel of " . SUBS . ' subs travel');
note "$_: $refused{$_}" for sort keys %refused;

done_testing;
