# Values through a real cluster: arguments, captured variables, results and what is thrown keep what they are, or are refused in
# words; no runner dies of one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::MD5 ();
use Encode      ();
use File::Temp  ();
use Scalar::Util ();
use Test::More;

use Argon::Client;
use Argon::Code;
use Cluster;

my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);

sub refused_as { my (@call) = @_; return eval { $client->queue(@call); 1 } ? 'it travelled' : "$@" }

# booleans
SKIP: {
    skip 'perl has booleans since 5.36', 5 if $] < 5.036;
    my $is_boolean = eval 'no warnings; sub { builtin::is_bool($_[0]) }';
    my $no = 1 == 0;
    my $asked = sub { no warnings; return join q{}, map { builtin::is_bool($_) ? 'b' : '-' } @_, $no, { deep => [$no] }->{deep}[0] };
    # kind: values with two faces | booleans of perl 5.36 and later | right | they stay booleans, also in data and
    #    results
    is($client->queue($asked, [ 1 == 1, 1 == 0, 1, q{} ]), 'bb--bb', 'arguments and captured variables that are booleans stay booleans');
    ok($is_boolean->(scalar $client->queue(sub { $_[0] == 1 }, [1])), 'a result that is true is a boolean');
    my $false = $client->queue(sub { $_[0] == 1 }, [2]);
    ok($is_boolean->($false) && $false eq q{}, '... and one that is false');
    my $both = $client->queue(sub { return { yes => !!1, list => [!!0] } });
    ok($is_boolean->($both->{yes}) && $is_boolean->($both->{list}[0]), '... also in data');
    my ($shared, $inside) = map { $client->share($_) } !!1, [!!0];
    is($client->queue(sub { no warnings; return join q{}, map { builtin::is_bool($_) ? 'b' : '-' } $_[0], $inside->[0] }, [$shared]), 'bb', 'shared values too');
}

# inside-out
{
    package Local::InsideOut;
    my %name_of;
    sub new     { my ($class, $name) = @_; my $self = bless \do { my $nothing }, $class; $name_of{ Scalar::Util::refaddr($self) } = $name; return $self }
    sub name    { return $name_of{ Scalar::Util::refaddr($_[0]) } }
    sub DESTROY { delete $name_of{ Scalar::Util::refaddr($_[0]) }; return }
}
my $inside_out = Local::InsideOut->new('seven');
my $words = qr/an object of Local::InsideOut, which keeps its fields outside of itself/;
# kind: data outside the object | an inside-out object as argument, captured, returned or thrown | loud | its fields
#    are filed under its address
like(refused_as(sub { $_[0]->name }, [$inside_out]), $words, 'an inside-out object is refused as an argument');
like(refused_as(sub { $inside_out->name }), $words, '... captured');
like(refused_as(sub { return Local::InsideOut->new('eight') }), $words, '... returned');
like(refused_as(sub { die Local::InsideOut->new('nine') }), $words, '... thrown');

# pointers
my ($encoding, $digest) = (Encode::find_encoding('iso-8859-1'), Digest::MD5->new);
# kind: data outside the object | `Encode::find_encoding` or a digest as argument | loud | it keeps something in C
#    memory and has no hook to freeze it
like(refused_as(sub { $_[0]->name }, [$encoding]), qr/an object of Encode::XS, which keeps something outside perl/, 'an object with a pointer is refused as an argument');
like(refused_as(sub { $digest->hexdigest }), qr/an object of Digest::MD5, which keeps something outside perl/, '... captured');
like(refused_as(sub { require Encode; return [Encode::find_encoding('iso-8859-1')] }), qr/an object of Encode::XS, which keeps/, '... returned');
is($client->queue(sub { $_[0]->encode("\x{e9}") }, [ Encode::find_encoding('utf8') ]), "\xc3\xa9", 'an encoding that is data works there');

# the class "0"
# kind: values with two faces | an object of the class `0` | right | the class is compared as a string
is(ref $client->queue(sub { return ref $_[0] eq '0' ? $_[0] : 'lost' }, [ bless { a => 1 }, '0' ]), '0', 'an object of the class 0 keeps it both ways');

# a guard
{
    package Local::Lock;
    sub new     { my ($class, $path) = @_; open my $file, '>', $path or die $!; return bless { path => $path }, $class }
    sub DESTROY { unlink $_[0]{path}; return }
}
{
    my $folder = File::Temp->newdir;
    my $lock   = Local::Lock->new("$folder/lock");
    Argon::Code->no_destroy('Local::Lock');
    is($client->queue(sub { return -e $lock->{path} ? 'held' : 'lost' }), 'held', 'a captured guard is there');
    $client->queue(sub { return 1 }) for 1 .. 2;
    # kind: copies of the process | a captured guard whose DESTROY removes a file | right |
    #    `Argon::Code->no_destroy` names its class
    ok(-e "$folder/lock", '... and its copy does not destroy what the original holds');
    { my $back = $client->queue(sub { return $_[0] }, [$lock]); is(ref $back, 'Local::Lock', '... nor does one that came back') }
    Argon::Data::Copy::sweep();
    ok(-e "$folder/lock", '... when it is gone');
    $client->queue(sub { my $own = Local::Lock->new($_[0]); return }, ["$folder/other"]);
    ok(!-e "$folder/other", 'a guard that the task makes itself does its work');
    is(eval { $client->queue(sub { my $nothing = $folder; exit 3 }); 1 } ? 'ended well' : $@->kind, 'died', 'a folder of File::Temp can be captured');
    ok(-d "$folder", '... and is not removed by the end of the runner that had a copy');
    undef $lock;
    ok(!-e "$folder/lock", 'the original does its work here');
}

done_testing;
