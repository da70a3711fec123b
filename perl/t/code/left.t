# Clients and handles on tasks inside data: they travel as placeholders, which die in words when they are called, and are
# themselves again when they come back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use File::Temp ();
use Test::More;
use Argon::Client;
use TestManager;

my $manager = TestManager->start;
my @address = (host => '127.0.0.1', port => $manager->port, key => $manager->key);
my $client  = Argon::Client->new(@address);
my $folder  = File::Temp->newdir;

# The class that holds its client, and what is said of it, with the address from the environment.
my $class = <<'END';
package Holder;
use strict;
use Argon::Client;
my ($port, $key) = @ENV{qw(LEFT_TEST_PORT LEFT_TEST_KEY)};
sub new { return bless { client => Argon::Client->new(host => '127.0.0.1', port => $port, key => $key), n => 3 }, shift }
sub work { return $_[0]{n} * $_[1] }
sub run { my ($s, @l) = @_; return map { $_->() } map { my $i = $_; $s->{client}->defer(sub { $s->work($i) }) } @l }
sub run_map { my ($s, @l) = @_; return $s->{client}->map(sub { $s->work($_) }, \@l) }
sub remote { return $_[0]{client}->queue(sub { 1 }) }
1;
END

# kind: objects of one process | an object that holds its client calls its methods in tasks | right | the client travels as a placeholder
{
    local @ENV{qw(LEFT_TEST_PORT LEFT_TEST_KEY)} = ($manager->port, $manager->key);
    write_file("$folder/script.pl", "{ $class }\n" . 'print join(" ", Holder->new->run(1 .. $_)), "\n" for 1 .. 3;');
    is scalar qx($^X -I$FindBin::Bin/../../lib $folder/script.pl 2>&1), "3\n3 6\n3 6 9\n", 'a script with such a class';
    write_file("$folder/Holder.pm", $class);
    local @INC = ("$folder", @INC);
    require Holder;
    is_deeply [Holder->new->run(1, 2, 3)], [3, 6, 9], 'the class in a module';
    is_deeply [Holder->new->run_map(1, 2)], [3, 6], 'in map';
}

my $app = { inner => { client => $client, list => [$client, $client] }, n => 2 };
bless $app->{inner}, 'Inner';
sub Inner::client { return $_[0]{client} }
my $left = qr/this Argon::Client was left in the program that sent the task, process $$ on \S+; in a task use Argon::Client->current, or return what is to be called at \Q$0\E line \d+\.\n\z/;

# inside the task
{
    is $client->queue(sub { $app->{n} + $_[0]{n} }, [$app]), 4, 'objects in objects, captured and as arguments';
    is $client->queue(sub { join ' ', map { ref $_->[0] } @_ }, [[$client], [$app->{inner}]]), 'Argon::Left Inner', 'objects in lists';
    my $asked = $client->queue(sub { my $c = $app->{inner}->client; [ !!$c, $c->isa('Argon::Client'), $c->isa('IO::Handle'), $c->DOES('Argon::Client'), !!$c->can('queue'), $c == $app->{inner}{list}[1], "$c" =~ /\AArgon::Left=/ ] });
    is_deeply [map { $_ ? 1 : 0 } @{$asked}], [1, 1, 0, 1, 1, 1, 1], 'a placeholder answers what it is';
    my %call = (
        queue       => sub { $app->{inner}->client->queue(sub {1}) },
        captured    => sub { $client->queue(sub {1}) },
        'in a map'  => sub { map { $client->queue($_) } 1 },
        shutdown    => sub { $client->shutdown },
        unknown     => sub { $client->no_such_method },
        'by name'   => sub { my $name = 'defer'; $client->$name(sub {1}) },
        'by can'    => sub { $client->can('map')->($client) },
        'when the module is there' => sub { require Argon::Client; $client->queue(sub {1}) },
    );
    for my $name (sort keys %call) {
        is eval { $client->queue($call{$name}); 1 }, undef, "a call dies: $name";
        # kind: objects of one process | a task calls a method of the client that travelled with it | loud | the
        #    placeholder names its process, and what to do
        like $@, qr/\A$left/, '    in words';
    }
    my $deferred = $client->defer(sub { return 7 });
    for my $code (sub { $deferred->() }, sub { $deferred->get }, sub { $_[0]->is_ready }) {
        is eval { $client->queue($code, [$deferred]); 1 }, undef, 'a call of a handle on a task dies';
        like $@, qr/\Athis Argon::Deferred was left in .*, process $$ on \S+; send its value or return what is to be called at \Q$0\E line \d+\.\n\z/, '    in words';
    }
    is $client->queue(sub { my @list = ($client) x 2; undef @list; undef $client; 'quiet' }), 'quiet', 'a placeholder ends in silence';
    is $client->queue(sub { require Argon::Client; Argon::Client->new(@_)->queue(sub { return 8 }) }, [@address]), 8, 'a client made in the task works';
}

# back in the program
{
    my $back = $client->queue(sub { $_[0]{more} = 1; $_[0] }, [$app]);
    # kind: objects of one process | an object that holds its client comes back | right | the client is the very object again
    is $back->{inner}{client}, $client, 'a client that comes back is the same object';
    is $back->{inner}->client->queue(sub { return 9 }), 9, 'and works';
    my $deferred = $client->defer(sub { return 7 });
    my $again = $client->queue(sub { [$deferred] })->[0];
    is $again, $deferred, 'so is a handle on a task';
    isnt $deferred, $client->defer(sub {1}), '(two handles are not the same)';
    is $again->(), 7, '    and works';
    my $other = Argon::Client->new(@address);
    is $other->queue(sub { $_[0] }, [$client]), $client, 'by way of another client, too';
    my $weak = $client;
    is $client->queue(sub { require Argon::Client; my $own = Argon::Client->new(@_); $own->queue(sub { $_[0] }, [$weak]) }, [@address]), $client, 'and by way of a task in a task';

    my $gone = $client->defer(sub { $_[0] }, [Argon::Client->new(@address)]);
    is ref $gone->get, 'Argon::Left', 'one that ended meanwhile stays a placeholder';
    my $made = $client->queue(sub { require Argon::Client; [Argon::Client->new(@_)] }, [@address])->[0];
    is eval { $made->queue(sub {1}); 1 }, undef, 'a client that a task returns is a placeholder';
    like $@, qr/\Athis Argon::Client was left in the task that made it, process \d+ on \S+; in a task use Argon::Client->current/, '    in words';
    isnt $@ =~ /process (\d+)/ && $1, $$, '    that name the process of the task';
}

# numbers are not those of objects that are gone
{
    my @sent = map { my $other = Argon::Client->new(@address); Argon::Data::Left::description($other)->[2] } 1 .. 600;
    my %seen;
    is scalar(grep { $seen{$_}++ } @sent), 0, 'each object has a number of its own';
}

# what stays refused
{
    open my $handle, '<', $0 or die;
    is eval { $client->queue(sub { $_[0] }, [bless { client => $client, log => $handle }, 'Inner']); 1 }, undef, 'a file handle beside a client';
    like $@, qr/->\{log\} is a file handle/, '    is refused by its place';
}

sub write_file {
    my ($file, $text) = @_;
    open my $out, '>', $file or die "cannot write $file: $!";
    print {$out} $text;
    close $out or die "cannot write $file: $!";
    return;
}

done_testing;
