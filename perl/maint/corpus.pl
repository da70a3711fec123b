#!/usr/bin/env perl

# Says how much of ordinary Perl travels by value: makes every named sub of perl's own modules ready to travel and
# prints how many are refused, by reason. Run it from anywhere: perl perl/maint/corpus.pl [-v] [--runs] [MODULE ...]
# With -v each refusal is printed. With --runs the statements of these modules that run meanwhile are counted, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../t/code/lib";
use Argon::Code;
use CodeCorpus;

my $is_verbose = @ARGV && $ARGV[0] eq '-v'     ? shift @ARGV : 0;
my $counts     = @ARGV && $ARGV[0] eq '--runs' ? shift @ARGV : 0;
if ($counts) {
    require CodeRuns;
    require Sub::Util;    # which the sender loads when it needs it
    CodeRuns::watch_what_comes();
}
my @subs = CodeCorpus::subs(@ARGV ? @ARGV : @CodeCorpus::MODULES);
my (%count, %example, %ran, $refused);
for (@subs) {
    my ($name, $code) = @$_;
    my $sentence;
    my $make = sub { $sentence = CodeCorpus::refusal($code) };
    if   ($counts) { my $places = CodeRuns::during($make); $ran{$_} += $places->{$_} for keys %$places }
    else           { $make->() }
    next unless defined $sentence;
    $refused++;
    my $kind = CodeCorpus::kind($sentence);
    $count{$kind}++;
    $example{$kind} = $name unless defined $example{$kind};
    print "$name: $sentence" if $is_verbose;
}

my $travel = @subs - ($refused || 0);
printf "%d subs, %d travel (%.2f %%), %d are refused\n", scalar @subs, $travel, 100 * $travel / (@subs || 1), $refused || 0;
printf "%5d  %s (%s)\n", $count{$_}, $_, $example{$_} for sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
if ($counts) {
    printf "%d statements of these modules ran meanwhile\n", scalar keys %ran;
    print "$_\n" for sort keys %ran;
}
