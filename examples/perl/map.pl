#!/usr/bin/env perl
# Counts the lines of many files, as the counts come in, with a look-ahead that stays the same however many files there are.
#
#   argon up                                     # in another terminal
#   perl examples/perl/map.pl HOST:PORT FILE...

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Argon::Client;

my $client = Argon::Client->new(host => shift);
my @files  = @ARGV ? @ARGV : glob "$FindBin::Bin/*.pl";

# The text travels: the worker may be on another machine.
my $text_of = sub {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!\n";
    local $/;
    return scalar readline $file;
};

my ($next, $lines) = (0, 0);
my $count = $client->map(
    sub { my $number = () = $_[0] =~ /\n/g; return $number },
    sub { return $next < @files ? $text_of->($files[$next++]) : () },
    { ahead => 8, order => 'completed', on_result => sub { my ($index, $number) = @_; $lines += $number; printf "%6d %s\n", $number, $files[$index] } },
);
print "$lines lines in $count files\n";
