#!/usr/bin/env perl
# Argon::Simple, for programs that talk to one Argon: connect once, then write a block where you would
# have written a call, or name a task class.
#
#   argon up                                # in another terminal; its workers get WordCount from here
#   perl examples/perl/simple.pl            # or: simple.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib", "$FindBin::Bin/lib";

use Argon::Simple;

connect shift // $ENV{ARGON_MANAGER} // '127.0.0.1:8000';

# Ten blocks, at the same time as far as the workers have slots for them.
my @squares;
for my $number (1 .. 10) {
    my $deferred = process { $_[0]**2 } $number;
    push @squares, $deferred;
}
print join(' ', map { $_->() } @squares), "\n";

# A task class: the worker does WordCount->new(@lines)->run.
my @lines   = ('Row, row, row your boat', 'gently down the stream');
my $counted = task 'WordCount', @lines;
my $count   = $counted->();
print join(', ', map { "$_: $count->{$_}" } sort keys %$count), "\n";
