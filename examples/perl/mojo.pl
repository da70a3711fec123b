#!/usr/bin/env perl
# Argon in a program of Mojolicious: promises on its reactor. An action of a web application does the same and renders in
# the last then.
#
#   argon up                         # in another terminal
#   perl examples/perl/mojo.pl       # or: mojo.pl HOST:PORT

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../perl/lib";

use Argon::Client;
use Mojo::IOLoop;
use Mojo::Promise;

my $client = Argon::Client->new(host => shift, loop => 'Mojo');

# Several at once, then one that needs them all.
my @words = map { my $word = $_; $client->defer(sub { ucfirst $_[0] }, [$word])->promise } qw(just another task);
Mojo::Promise->all(@words)->then(
    sub {
        my @parts = map { $_->[0] } @_;
        return $client->defer(sub { join ' ', @_ }, \@parts)->promise;
    }
)->then(sub { print "$_[0]\n" })->wait;

# A failure goes to catch, as it was thrown.
$client->defer(sub { die "no such page\n" })->promise->catch(sub { print "caught: $_[0]" })->wait;

# The loop ends by itself when nothing is under way.
$client->map_later(sub { $_[0] * 2 }, [1 .. 5])->on_ready(sub { print 'doubled: ', join(' ', $_[0]->get), "\n" });
Mojo::IOLoop->start;
