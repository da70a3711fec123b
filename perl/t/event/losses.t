use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", $FindBin::Bin;

use EventPrograms qw(lines_of);
use Test::More;
use TestManager;

# Each loop across connections that are cut: the next one often has the number of the last one's socket.
{
    package Address;
    sub new { my ($class, $manager) = @_; return bless { manager => $manager }, $class }
    sub client_arguments { my ($self) = @_; return (host => '127.0.0.1', port => $self->{manager}->port, key => $self->{manager}->key) }
}

my %way = (
    'AnyEvent, pure perl' => ['AnyEvent', 'BEGIN { $ENV{PERL_ANYEVENT_MODEL} = "Perl" } use AnyEvent;', 'AnyEvent',
        'map { my $d = $_->condvar; sub { $d->recv } } @tasks'],
    'AnyEvent, EV' => ['EV', 'use EV; use AnyEvent;', 'AnyEvent', 'map { my $d = $_->condvar; sub { $d->recv } } @tasks'],
    'IO::Async'    => ['IO::Async::Loop', 'use IO::Async::Loop;', 'IO::Async', 'map { my $d = $_->future; sub { $d->get } } @tasks'],
    'Mojo, poll'   => ['Mojo::Promise', 'BEGIN { $ENV{MOJO_REACTOR} = "Mojo::Reactor::Poll" } use Mojo::IOLoop;', 'Mojo',
        'map { my $d = $_->promise; sub { my $v; $d->then(sub { $v = $_[0] })->wait; $v } } @tasks'],
    'Mojo, EV'     => ['EV', 'BEGIN { $ENV{MOJO_REACTOR} = "Mojo::Reactor::EV" } use Mojo::IOLoop;', 'Mojo',
        'map { my $d = $_->promise; sub { my $v; $d->then(sub { $v = $_[0] })->wait; $v } } @tasks'],
    'Coro and AnyEvent' => ['Coro', 'use Coro; use AnyEvent; use Coro::AnyEvent;', 'AnyEvent',
        'map { my $d = $_; my $t = async { $d->get }; sub { $t->join } } @tasks'],
);

for my $name (sort keys %way) {
    my ($module, $loads, $loop, $takers) = @{ $way{$name} };
    SKIP: {
        skip "$module is not installed", 1 if !eval "require $module; 1" || !eval "require " . ($loop eq 'Mojo' ? 'Mojo::Promise' : 'AnyEvent') . '; 1';
        my $manager = TestManager->start(cut_after => 60);
        is_deeply [lines_of(Address->new($manager), $loads, <<"END", loop => $loop)], ['200 values, sum 20100', 'child 6', 'after 7'],
my \@tasks = map { \$client->defer(sub { \$_[0] }, [\$_]) } 1 .. 200;
my \@values = map { \$_->() } $takers;
my \$sum = 0; \$sum += \$_ for \@values;
print scalar(\@values), " values, sum \$sum\\n";
my \$child = fork;
if (!\$child) { print 'child ', \$client->queue(sub { 6 }), "\\n"; require POSIX; POSIX::_exit(0) }
waitpid \$child, 0;
\@tasks = \$client->defer(sub { 7 });
print 'after ', (map { \$_->() } $takers), "\\n";
END
            "every_task_ends_across_a_cut_and_a_fork ($name)";
    }
}

done_testing;
