# Code travels once: a closure called again and again with other captures is read once, and its text is sent once.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;
use Argon::Client;
use Argon::Client::Session::Sending;
use Argon::Code::Ship::Shipment;
use TestManager;

my %count = (built => 0, sent => 0);
{
    no warnings 'redefine';
    my ($build, $send) = (\&Argon::Code::Ship::Shipment::build, \&Argon::Client::Session::Sending::send_blob);
    *Argon::Code::Ship::Shipment::build        = sub { $count{built}++; goto &$build };
    *Argon::Client::Session::Sending::send_blob   = sub { $count{sent}++; goto &$send };
}

my $manager = TestManager->start;
my $client  = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);

# one closure with changing captures
{
    my $factor = 0;
    my $code = sub { $factor * $_[0] };
    is(join(' ', map { $factor = $_; $client->queue($code, [10]) } 1 .. 20), join(' ', map { 10 * $_ } 1 .. 20), 'twenty calls of one closure');
    is_deeply(\%count, { built => 1, sent => 1 }, 'read it once and sent it once');
}

# many closures of one source
{
    %count = (built => 0, sent => 0);
    my @closures = map { my $n = $_; my @list = (1 .. $n); sub { $n + @list } } 1 .. 20;
    my @deferred = map { $client->defer($_) } @closures;
    is(join(' ', map { $_->get } @deferred), join(' ', map { 2 * $_ } 1 .. 20), 'twenty closures of one source');
    is_deeply(\%count, { built => 1, sent => 1 }, 'are one piece of code');
}

# another source
{
    %count = (built => 0, sent => 0);
    is($client->queue(sub { "other @_" }, [1]), 'other 1', 'another sub');
    is_deeply(\%count, { built => 1, sent => 1 }, 'is another piece of code');
}

# a named sub, and what it calls, defined again under the same name
{
    no warnings 'redefine';
    my $define = sub { my ($name, $value) = @_; eval "sub main::$name { return $value } 1" or die };
    $define->(answer => 1);
    is($client->queue(\&main::answer), 1, 'a named sub');
    is($client->queue(\&main::answer), 1, 'again');
    $define->(answer => 2);
    is($client->queue(\&main::answer), 2, 'is sent anew when it was defined again');
    my $caller = sub { return main::answer() + 10 };
    is($client->queue($caller), 12, 'one that calls it');
    $define->(answer => 3);
    is($client->queue($caller), 13, 'too');
}

# subs that come and go may be given the same address
{
    my @wrong = grep { my $n = $_; $client->queue(eval "sub { return $n }") != $n } 1 .. 50;
    is_deeply(\@wrong, [], 'a sub is not taken for one that is gone');
}

done_testing;
