# Shipments of several clients on one runner: each call sees the subs, classes and variables of its own, whatever the
# calls before it have left in the symbol table.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib";
use File::Temp ();
use Test::More;
use Argon::Code::Receive;
use Argon::Data;

my $folder = File::Temp->newdir;

# One client: runs a program in a process of its own, whose last value is a sub, and gives what it ships.
sub client {
    my ($program) = @_;
    my $file = "$folder/client.pl";
    open my $out, '>', $file or die "cannot write $file: $!";
    print {$out} "use strict; use warnings; use Argon::Code; use Argon::Data;\nmy \$code = do {\n$program\n};\n",
        'my $s = Argon::Code::ship($code); print unpack("H*", $s->{text}), "\n", unpack("H*", Argon::Data::encode([$s->{captures}]));';
    close $out or die "cannot write $file: $!";
    my ($text, $captures) = map { chomp; pack 'H*', $_ } qx($^X -I$FindBin::Bin/../../lib $file);
    die 'the client shipped nothing' unless defined $captures;
    my $factory = Argon::Code::receive($text);
    Argon::Code::Receive::restore();
    return { factory => $factory, captures => $captures };
}

# One task, as the runner does it.
sub task {
    my ($client, @arguments) = @_;
    my $value = eval { $client->{factory}->(Argon::Data::decode($client->{captures})->[0])->(@arguments) };
    $value = "died: $@" unless defined $value;
    Argon::Code::Receive::restore();
    return $value;
}

sub in_turns { return join ' ', map { task($_) } @_, @_ }

# helpers
{
    my @clients = map { client("sub helper { '$_' } sub { helper() . main->can('helper')->() }") } qw(a b c);
    is(in_turns(@clients), 'aa bb cc aa bb cc', 'subs of one name');
}

# imports
{
    my $import = client('use List::Util "max"; sub { max(3, 9, 4) }');
    my $own    = client('sub max { "own" } sub { max(3, 9, 4) }');
    is(in_turns($import, $own), '9 own 9 own', 'an imported sub and one of the same name');
}

# a module's own subs
{
    my $module = client('use Text::Wrap (); sub { Text::Wrap::wrap("", "", "x") }');
    my $class  = client('BEGIN { $INC{"Text/Wrap.pm"} = 1 } package Text::Wrap; sub wrap { "mine" } package main; sub { Text::Wrap::wrap() }');
    is(in_turns($module, $class), 'x mine x mine', 'a sub of a module and one of the script with its name');
}

# classes
{
    my $rich = client('package Pet { sub new { bless {}, shift } sub name { "rich" } sub extra { 1 } } sub { Pet->new->name . (Pet->can("extra") ? "+" : "-") . Pet::extra() }');
    my $poor = client('package Pet { sub new { bless [], shift } sub name { "poor" } } sub { Pet->new->name . (Pet->can("extra") ? "+" : "-") }');
    is(in_turns($rich, $poor), 'rich+1 poor- rich+1 poor-', 'methods that only one of two classes has');
}

# variables
{
    my @clients = map { client("our \$level = $_; our \@list = (1) x $_; sub { \$main::level++ . scalar \@main::list }") } 1, 2;
    is(in_turns(@clients), '11 22 11 22', 'package variables');
}

# names that mean nothing
{
    my $without = client('no warnings; sub { no_such_helper(); 1 }');
    my $with    = client('sub no_such_helper { "there" } sub { no_such_helper() }');
    is(task($with), 'there', 'a sub');
    like(task($without), qr/\Adied: Undefined subroutine &main::no_such_helper called/, 'is not found by another shipment that has none of this name');
    is(task($with), 'there', 'and is there again');
}

# tied variables of modules
{
    my $config = client('use Config; sub { $Config{ivsize} . (tied(%Config) ? "tied" : "") }');
    my $own    = client('our %Config = (ivsize => "own"); sub { $main::Config{ivsize} }');
    require Config;
    is(in_turns($config, $own), "$Config::Config{ivsize}tied own $Config::Config{ivsize}tied own", 'a tied variable of a module');
}

# classes that a module makes
{
    my @clients = map { client(<<"END") } qw(a b c);
BEGIN { package Local::Loud { use Moo::Role; requires 'said'; around said => sub { my (\$next, \@rest) = \@_; uc \$next->(\@rest) . '!' } } }
BEGIN { package Local::Cat { use Moo; with 'Local::Loud'; has name => (is => 'ro', default => '$_'); my \$count = 0; sub said { \$count++; return \$_[0]->name . \$count } } }
sub { join '', map { Local::Cat->new->said } 1 .. 2 }
END
    is(in_turns(@clients), 'A1!A2! B1!B2! C1!C2! A1!A2! B1!B2! C1!C2!', 'classes of Moo with one name, and what they remember');
    my ($moose, $other) = map { client(<<"END") } qw(m n);
BEGIN { package Local::Dog { use Moose; has name => (is => 'rw', isa => 'Str', default => '$_'); around name => sub { my (\$next, \@rest) = \@_; \$next->(\@rest) . '?' }; __PACKAGE__->meta->make_immutable } }
sub { Local::Dog->new->name . scalar(Local::Dog->meta->get_all_attributes) }
END
    is(in_turns($moose, $other), 'm?1 n?1 m?1 n?1', 'classes of Moose with one name');
}

done_testing;
