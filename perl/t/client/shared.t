use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Argon::Protocol qw(:all);
use Cluster;
use List::Util ();
use Test::More;

# Shared values: the task sees the value itself, and the bytes travel once.
my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);

sub error_of { my ($call) = @_; return eval { $call->(); 1 } ? q{} : "$@" }
sub place_of { my ($hash, $key) = @_; return $hash->{$key} }

{
    my %table  = (one => 1, nested => { list => [1, 2, { deep => 'x' }] }, text => "\x{2603}");
    my $shared = $client->share(\%table);
    is_deeply scalar $client->queue(sub { return $_[0] }, [$shared]), \%table, 'an_argument_is_the_value';
    is $client->queue(sub { return $shared->{nested}{list}[2]{deep} }), 'x', 'a_captured_one_too';
    is $client->queue(\&place_of, [$shared, 'one']), 1, '... for_a_named_sub';
    is $client->queue(sub { return $_[0][1]{here}{one} }, [[0, { here => $shared }]]), 1, '... deep_in_the_arguments';
    is $client->queue('List::Util::first', [sub { defined $_ && ref $_ eq 'HASH' }, $shared])->{one}, 1, '... with_a_function_by_name';
    is $client->queue('List::Util::first', [sub { ref $_ eq 'HASH' }, $shared], { label => 'a label' })->{one}, 1, '... and_a_label';
    is $client->queue(sub { return $shared == $_[0] && $_[0] == $_[1]{again} ? 'same' : 'two' }, [$shared, { again => $shared }]), 'same',
        'in_one_task_it_is_one_value';
    is $client->queue(sub { $shared->{one}++; delete $shared->{nested}; return $shared->{one} }), 2, 'a_task_may_change_its_own' for 1 .. 3;
    is_deeply $shared->value, \%table, 'the_handle_gives_the_value_here';
    $table{one} = 5;
    is $client->queue(sub { return $shared->{one} }), 1, 'a_later_change_here_is_not_seen';
    is $client->queue(sub { return $_[0] . $_[1] }, [$client->share('text'), $client->share(7)]), 'text7', 'plain_values_too';
    is $client->queue(sub { return defined $_[0] ? 'defined' : 'undef' }, [$client->share(undef)]), 'undef', '... undef_too';
    is_deeply [$client->map(sub { return $shared->{one} + $_[0] }, [1 .. 5])], [2 .. 6], 'map_takes_them';
}
{
    package Local::Counter;
    sub new { my ($class, $count) = @_; return bless { count => $count }, $class }
    sub more { my ($self) = @_; return ++$self->{count} }
}
{
    my $object = $client->share(Local::Counter->new(4));
    is $client->queue(sub { return $_[0]->more }, [$object]), 5, 'an_object_brings_its_class' for 1 .. 2;
    my $code = $client->share({ double => sub { return 2 * $_[0] } });
    is $client->queue(sub { return $code->{double}->($_[0]) }, [4]), 8, 'code_in_a_shared_value_runs';
    is $client->queue(sub { my $weak = $_[0]; return ref $weak->{self} }, [do { my $loop = {}; $loop->{self} = $loop; $client->share($loop) }]), 'HASH', 'loops_are_kept';
}

# What is refused.
like error_of(sub { $client->share({ inner => $client->share(1) }) }), qr/the list->\[0\]->\{inner\} is a shared value \(only arguments of tasks .*\) at \Q$0\E line \d+/, 'a_shared_value_in_another_is_refused';
like error_of(sub { $client->share(\*STDOUT) }), qr/is a file handle/, 'what_cannot_travel_is_refused_at_once';
like error_of(sub { $client->share(1, { often => 1 }) }), qr/there is no option 'often'.* at \Q$0\E line \d+/, 'an_unknown_option_is_refused';
like error_of(sub { $client->queue(sub { 1 }, [map { $client->share($_) } 1 .. 16]) }), qr/can have 15 shared values, not 16/, 'there_is_a_limit_for_one_task';
is $client->queue(sub { return List::Util::sum(@_) }, [map { $client->share($_) } 1 .. 15]), 120, '... and_it_is_as_it_says';

# Read-only.
{
    my $table = $client->share({ one => 1, list => [1, 2], nested => { deep => [{ x => 1 }] } }, { read_only => 1 });
    is $client->queue(sub { return $table->{one} + @{ $table->{list} } + $table->{nested}{deep}[0]{x} }), 4, 'a_read_only_value_is_read';
    my %change = (
        element => sub { $table->{one} = 2 }, new_key => sub { $table->{two} = 2 }, gone => sub { delete $table->{one} },
        deep => sub { $table->{nested}{deep}[0]{x}++ }, longer => sub { push @{ $table->{list} }, 3 }, emptied => sub { @{ $table->{list} } = () },
    );
    like error_of(sub { $client->queue($change{$_}) }), qr/(?:read-only|disallowed|readonly).* at \Q$0\E line \d+/, "a_change_is_an_error: $_" for sort keys %change;
    is $client->queue(sub { my ($first) = each %{$table}; return keys %{$table} }), 3, 'a_loop_that_was_left' for 1 .. 2;
    is scalar $client->queue(sub { my @all; while (my ($key) = each %{$table}) { push @all, $key; } return join q{ }, sort @all }), 'list nested one', '... does_not_reach_the_next_task';
    my $addresses = $client->share([1], { read_only => 1 });
    my %seen = map { $_ => 1 } map { $client->queue(sub { return "$$ " . \$addresses->[0] }) } 1 .. 12;
    cmp_ok scalar keys %seen, '<=', 2, 'it_is_built_once_in_a_runner';
    like error_of(sub { $client->share({ code => sub { 1 } }, { read_only => 1 }) }), qr/cannot hold code/, 'it_cannot_hold_code';
}

# Once to the manager, and once to each runner.
{
    my %sent;
    my $send = \&Argon::Client::Session::Sending::send_blob;
    no warnings 'redefine';
    local *Argon::Client::Session::Sending::send_blob = sub { $sent{ $_[1][0] }++; return $send->(@_) };
    my $big = $client->share('x' x (20 << 20));
    my @lengths = $client->map(sub { return length $big }, [1 .. 200]);
    is List::Util::sum(@lengths), 200 * (20 << 20), '20_MiB_over_200_calls';
    is $sent{ $big->blob->[0] }, 1, '... are_sent_once';
    # Read here from its socket, and from files.
    my $read = sub { open my $file, '<', '/proc/self/io' or die "/proc/self/io: $!"; my ($bytes) = map {/rchar: (\d+)/} <$file>; return "$$ $bytes" };
    my %bytes = map { split ' ' } map { $client->queue($read) } 1 .. 12;
    cmp_ok List::Util::max(values %bytes), '<', 2 * (20 << 20), '... and_once_to_each_runner';
}

done_testing;
