# Classes of the script travel with what can travel. A method that needs what cannot (the client, a handle) says so when it is
# called; what the sub itself needs is refused at the call.

use strict;
use warnings;
no warnings 'once';

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;
use Argon::Client;
use TestManager;

my $manager = TestManager->start;
our $client = Argon::Client->new(host => '127.0.0.1', port => $manager->port, key => $manager->key);
my $mine    = $client;
our @pool   = ($client);
open my $log, '>', \my $logged or die;
our $LOG = $log;
open BARE, '<', $0 or die;    ## no critic: a bare handle is the case

sub helper_log { print {$LOG} @_; return 1 }
sub helper_ok  { return "ok@_" }

{
    package Base;
    sub new { my ($class, %fields) = @_; return bless { n => 3, %fields }, $class }
    sub base_log { print {$log} 'x' }
    sub base { return 'base' . main::helper_ok(1) }
}
{
    package App;
    our @ISA = ('Base');
    use feature 'state';
    use constant FACTOR => 7;
    use constant HANDLE => \*STDERR;
    use overload '""' => sub { return "App$_[0]{n}" }, '<=>' => sub { return $mine->queue(sub {1}) }, fallback => 1;
    my $count = 0;
    my %cache = (client => $mine);
    our $AUTOLOAD;
    sub AUTOLOAD { my $name = $AUTOLOAD =~ s/.*:://r; return $name eq 'DESTROY' ? undef : "auto $name" }
    for my $field (qw(first second)) { no strict 'refs'; *{$field} = sub { return "$field$_[0]{n}" } }
    sub work     { return $_[0]{n} * $_[1] * FACTOR }
    sub counted  { return ++$count }
    sub state    { state $n = 0; return ++$n }
    sub name     { return $mine->queue(sub {__PACKAGE__}) }
    sub run      { my ($self, @list) = @_; return map { $_->get } map { my $i = $_; $mine->defer(sub { $self->work($i) }) } @list }
    sub run_map  { my ($self, @list) = @_; return $client->map(sub { $self->work($_) }, \@list) }
    sub remote   { return $mine->queue(sub {3}) }
    sub global   { return $client->queue(sub {4}) }
    sub pooled   { return scalar @main::pool }
    sub cached   { return keys %cache }
    sub bare     { return scalar readline main::BARE }
    sub by_constant { return print {+HANDLE} 'x' }
    sub by_helper { return main::helper_log(1) }
    sub nested   { my $code = sub { return $mine->queue(sub {5}) }; return $code->() }
    sub calls_remote { return $_[0]->remote }
}

# the commonest script there is
# kind: objects of one process | a class of the script that captures its client in some methods | right | the class
#    travels, and the client is a placeholder
is_deeply [App->new->run(1, 2, 3)], [21, 42, 63], 'a method sends subs that call methods of its object';
is_deeply [App->new->run(1, 2, 3)], [21, 42, 63], 'and again';
is_deeply [App->new->run_map(1, 2)], [21, 42], 'also by map';
is(App->name, 'App', 'a sub that names its package');

my $app = App->new(n => 5);
my %right = (pooled => 1, cached => 1, work => 70, counted => 1, state => 1, first => 'first5', second => 'second5', base => 'baseok1', unknown => 'auto unknown');
for my $method (sort keys %right) {
    is scalar $client->queue(sub { $app->$method(2) }), $right{$method}, "the method $method travels";
}
is $client->queue(sub {"$app"}), 'App5', 'an overloaded operator travels';
is $client->queue(sub { App->new->work(1) }), 21, 'a class that is named travels';
is $client->queue(sub { ref $_[0] }, [App->new]), 'App', 'an object as argument travels';

my $left = qr/this Argon::Client was left in the program that sent the task, process $$ on \S+; in a task use Argon::Client->current, or return what is to be called/;
my %loud = (
    remote    => qr/\A$left at \Q$0\E line \d+\.\n\z/,
    nested    => $left,
    run       => $left,
    calls_remote => $left,
    global    => $left,
    base_log  => qr/\ABase::base_log .*the captured variable \$log holds a file handle \(open the file inside the sub\)/,
    bare      => qr/App::bare.*the handle BARE, which is open in this process/,
    by_constant => qr/\AApp::by_constant .*a constant holds a file handle \(open the file inside the sub\)/,
    by_helper => qr/\Amain::helper_log .*the package variable \$main::LOG holds a file handle/,
);
for my $method (sort keys %loud) {
    is eval { $client->queue(sub { $app->$method(2) }); 1 }, undef, "$method dies when it is called";
    # kind: objects of one process | a method that uses the client or a file handle of the script | loud | it dies in words
    #    on the worker, and only when it is called
    like $@, $loud{$method}, '    in words';
}
is eval { $client->queue(sub { $app <=> 3 }); 1 }, undef, 'so does an operator';
like $@, $left, '    in words';

# what the sub itself needs
for ([sub { helper_log(1) }, qr/\$main::LOG holds a file handle/], [sub { print {$LOG} 1 }, qr/\$main::LOG holds a file handle/],
    [sub { $_[0] }, qr/the list->\[1\]->\[0\]->\{log\} is a file handle/, [bless { log => $log }, 'Base']])
{
    my ($code, $why, $arguments) = @$_;
    is eval { $client->queue($code, $arguments); 1 }, undef, 'what the sub itself needs is refused';
    like $@, qr/\AThis (?:code|value) cannot travel.*$why.* at \Q$0\E line \d+\.\n\z/s, '    at the call';
}

# a method that can travel later does
{
    no warnings 'redefine';
    local *App::remote = sub { return 'changed' };
    is $client->queue(sub { $app->remote }), 'changed', 'a method that was replaced travels anew';
}
like eval { $client->queue(sub { $app->remote }); 1 } // $@, qr/\A$left/, 'and is as before when it is put back';

done_testing;
