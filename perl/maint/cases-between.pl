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

# A case of newer syntax than that of this perl: there is nothing to send.
my $NOT_HERE = 'that do not compile here';

my %count;
# Cases of the newest syntax that this perl has are of interest: the other may not know it.
my @files = (['cases.txt', q{}], ['more_cases.txt', 'use strict; use warnings;'], ['module_cases.txt', 'use strict; use warnings;']);
push @files, ['more_cases.txt', 'use v5.36; no feature "signatures";'] if $] >= 5.036;
for my $part (@files) {
    my ($file, $prefix) = @{$part};
    my @cases = CodeCases::read_cases("$FindBin::Bin/../t/code/$file");
    for my $judged (CodeCasesRun::judge(\@cases, $prefix)) {
        my $verdict = verdict($judged);
        $count{$verdict}++;
        next if grep { $verdict eq $_ } 'right', 'loud', $NOT_HERE;
        print "$between, $file, $judged->{case}{name} is $verdict\nexpected: $judged->{expected}\ngot:      $judged->{got}\n";
    }
}
printf "%s: %s\n", $between, join ', ', map {"$count{$_} $_"} sort keys %count;
exit($count{WRONG} ? 1 : 0);

# The messages of perl itself are those of the perl that executes the code: since 5.34 a wrong number of arguments is
# reported with both numbers.
sub verdict {
    my ($judged) = @_;
    return $NOT_HERE if $] < 5.036 && $judged->{expected} =~ /\Adoes not compile/;
    return $judged->{verdict} if $judged->{verdict} ne 'WRONG';
    my ($expected, $got) = map {s/ [(]got \d+; expected [^)]*[)]//gr} @{$judged}{qw(expected got)};
    return $got eq $expected ? 'right' : 'WRONG';
}
