#!/usr/bin/env perl
# Sends every case of code that travels from this perl to another one, and judges what comes of it there: right, refused in
# words by either side, or wrong. Wrong ends it with status 1. scripts/test-versions runs it.
#
# usage: ARGON_PERL_THERE=PERL perl -Ilib maint/cases-between.pl

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../t/lib";

use CodeCases    ();
use CodeCasesRun ();

die "ARGON_PERL_THERE must name the other perl\n" if !$ENV{ARGON_PERL_THERE};
my $there = qx($ENV{ARGON_PERL_THERE} -e 'print \$^V');
die "ARGON_PERL_THERE=$ENV{ARGON_PERL_THERE} is no perl that runs\n" if $there !~ /\Av5[.]/;
my $between = sprintf 'from perl %vd to %s', $^V, substr $there, 1;

my %count;
# Cases of the newest syntax that this perl has are of interest: the other may not know it.
my @files = (['cases.txt', q{}], ['more_cases.txt', 'use strict; use warnings;'], ['module_cases.txt', 'use strict; use warnings;']);
push @files, ['more_cases.txt', 'use v5.36; no feature "signatures";'] if $] >= 5.036;
for my $part (@files) {
    my ($file, $prefix) = @{$part};
    my @cases = CodeCases::read_cases("$FindBin::Bin/../t/code/$file");
    for my $judged (CodeCasesRun::judge(\@cases, $prefix)) {
        my $verdict = $judged->{verdict};
        $count{$verdict}++;
        next if $verdict eq 'right' || $verdict eq 'loud';
        print "$between, $file, $judged->{case}{name} is $verdict\nexpected: $judged->{expected}\ngot:      $judged->{got}\n";
    }
}
printf "%s: %s\n", $between, join ', ', map {"$count{$_} $_"} sort keys %count;
exit($count{WRONG} ? 1 : 0);
