# Within one session the tasks on one runner behave like the body of a loop: modules stay loaded and keep what they hold, as
# long as the code does not bring values of its own.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;

use Argon::Client;
use Cluster;

my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments);

sub told { my ($code, @arguments) = @_; return $client->queue($code, \@arguments) }

# kind: what a task leaves behind | a module that the task loads itself, and its variables in later calls | right | the
#    variables keep their values
{
    no warnings 'once';
    my $columns = sub { require Text::Wrap; $Text::Wrap::columns };
    is_deeply [map { told($columns) } 1 .. 3], [76, 76, 76], 'a_module_that_the_code_loads_keeps_its_variables';
    my $narrow = sub { require Text::Wrap; local $Text::Wrap::columns = 10; Text::Wrap::wrap(q{}, q{}, 'a b c d e f g h i') };
    is_deeply [map { tr/\n// } map { told($narrow) } 1 .. 2], [1, 1], 'a_setting_may_be_local';
    is told($columns), 76, '... and_is_back_after_it';
    told(sub { require Text::Wrap; $Text::Wrap::columns = 30; 1 });
    is told($columns), 30, 'what_one_task_sets_the_next_finds';
    require Text::Wrap;
    is told($columns), 76, 'once_the_program_has_loaded_the_module_its_own_value_counts';
    $Text::Wrap::columns = 44;
    is told($columns), 44, '... whatever_it_is';
}
{
    my $count = sub { no strict 'refs'; ++${'Local::Counter::n'} };
    is_deeply [map { told($count) } 1 .. 3], [1, 2, 3], 'a_variable_that_the_code_does_not_name_stays';
    our $here = 0;
    my $named = sub { ++$here };
    is_deeply [map { told($named) } 1 .. 3], [1, 1, 1], 'one_that_it_names_comes_with_each_call';
    is $here, 0, '... and_is_a_copy';
}

done_testing;
