use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use JSON::PP ();
use Test::More;

# What is called that is not Perl.
sub error_of { my ($call) = @_; return eval { $call->(); 1 } ? q{} : $@ }

my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);

# Python.
is $client->queue($client->python('math:hypot'), [3, 4]), 5, 'a_python_function_is_called_by_name';
is_deeply [$client->map($client->python('operator:neg'), [1 .. 5])], [map { -$_ } 1 .. 5], '... by_map_too';
is_deeply scalar $client->queue(Argon::Client->python('json:loads'), ['{"a": [1, 2.5, null, true, "\u2603"]}']),
    { a => [1, 2.5, undef, JSON::PP::true, "\x{2603}"] }, 'data_comes_back_with_its_kinds';
is_deeply [$client->queue($client->python('builtins:list'), [[1, 2]])], [[1, 2]], 'in_list_context_there_is_one_value';
# kind: values with two faces | a boolean of Perl as argument of a Python function | right | it is one of Python's
is $client->queue($client->python('json:dumps'), [[1 == 1, { no => 1 == 0 }, 1, '1']]), $] < 5.036 ? '[1, {"no": ""}, 1, "1"]' : '[true, {"no": false}, 1, "1"]', 'booleans_are_those_of_python';
is $client->defer($client->python('os.path:basename'), ["/tmp/caf\x{e9}"])->get, "caf\x{e9}", 'a_deferred_of_python';
{
    my $error = error_of(sub { $client->queue($client->python('math:sqrt'), [-1], { label => 'a root' }) });
    is ref $error && $error->kind, 'error', 'what_python_raises_is_an_error';
    is $error->class, 'ValueError', '... with its class';
    like $error->message, qr/\AValueError: math domain error/, '... its message';
    like "$error", qr/math domain error \(worker .*\) at \Q$0\E line \d+\.\n/, '... and the place of the call';
    my $deep = $client->defer($client->python('json:loads'), ['{'])->failure;
    like $deep->stack, qr/\ATraceback .*json.*line \d+.*JSONDecodeError/s, '... and a traceback if there is one';
    is $client->last_failure->class, 'ValueError', '... also as last_failure';
    like error_of(sub { $client->queue($client->python('no_such_module:at_all')) }), qr/ModuleNotFoundError.*no_such_module/, 'a_missing_module_is_named';
}
like error_of(sub { $client->python('os.getcwd') }), qr/named like package\.module:function, not 'os\.getcwd' at \Q$0\E line \d+/, 'a_name_without_its_function_is_refused';
{
    my $loop = [];
    push @{$loop}, $loop, $loop;
    like error_of(sub { $client->queue($client->python('builtins:len'), [$loop]) }), qr/plain data: it is nested deeper than 512 levels, or it has a loop/, 'a_loop_is_refused';
    @{$loop} = ();
}
like error_of(sub { $client->queue($client->python('math:sqrt'), [sub { 1 }]) }), qr/arguments of a Python function must be plain data: .* at \Q$0\E line \d+/, 'code_cannot_be_an_argument';

# Commands.
{
    my $printed = q{};
    {
        local *STDOUT;
        open STDOUT, '>', \$printed or die $!;
        is $client->queue($client->command('tr', 'a-z', 'A-Z', { stdin => "in\n" })), 1, 'a_command_that_went_well_is_true';
        is_deeply [$client->map($client->command('echo', 'file'), [1 .. 3], { capture => 1 })], [1, 1, 1], '... by_map_too';
        $client->queue($client->command('sh', '-c', 'pwd; echo $A', { cwd => '/', env => { A => 'b' } }));
    }
    is $printed, "IN\n/\nb\n", '... and_what_it_prints_appears_here';
    my $error = error_of(sub { $client->queue($client->command('sh', '-c', 'echo trouble >&2; exit 3'), [], { capture => 1 }) });
    is $error->kind . $error->exit_code, 'died3', 'a_status_is_an_error';
    like $error->output, qr/trouble/, '... with its last output';
    is error_of(sub { $client->queue($client->command('no-such-command-at-all')) })->exit_code, 127, 'a_command_that_is_not_there_is_an_error';
    is $client->defer($client->command('echo', 'kept'), [], { capture => 1 })->output, "kept\n", 'captured_output_of_a_command';
}

# As they are handed over.
sub parts_of { my ($command, @arguments) = @_; my ($runtime, $codec, $meta, $payload) = $command->task(\@arguments); return [$runtime, $codec, JSON::PP->new->utf8->decode($meta), $payload] }

is_deeply parts_of($client->command('gzip', '-9'), 'a file', "caf\xc3\xa9"), [4, 0, { argv => ['gzip', '-9', 'a file', "caf\x{e9}"] }, q{}], 'arguments_are_further_words_of_a_command';
is_deeply parts_of($client->command('cat', { stdin => "\xff", cwd => '/', env => { A => 'b' } })), [4, 0, { argv => ['cat'], cwd => '/', env => { A => 'b' } }, "\xff"],
    'a_command_has_its_input_folder_and_environment';
like error_of(sub { $client->command('cat', { in => 1 }) }),               qr/a command knows no 'in'; there are stdin, cwd and env at \Q$0\E/, 'an_unknown_word_is_refused';
like error_of(sub { $client->command('cat', { stdin => "\x{2603}" }) }),   qr/stdin of a command must be bytes/,                             'characters_are_no_input';
like error_of(sub { $client->queue($client->command('cat', "\xff")) }),    qr/a word of a command is not UTF-8/,                             'words_are_UTF_8';
like error_of(sub { $client->queue($client->command('cat'), [[]]) }),      qr/a word of a command must be a string/,                         'words_are_strings';
like error_of(sub { $client->command }),                                   qr/a command needs at least one word/,                            'a_command_has_a_word';

done_testing;
