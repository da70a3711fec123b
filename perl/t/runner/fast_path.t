use strict;
use warnings;

# The short way of tasks whose code leaves nothing behind: they end as they would by the long way, and whatever is not quite so
# takes the long way.

use Fcntl qw(F_SETFD);
use FindBin;
use POSIX ();
use lib "$FindBin::Bin/../lib";

use Argon::Code;
use Argon::Protocol qw(:all);
use Argon::Runner::Code;
use RunnerProcess;
use ShippedText qw(shipped);
use Test::More;

our $setting = 5;
sub helper { return $_[0] + $setting }

my $runner = RunnerProcess->start;
$runner->ready;

# The outcome of a task that has run twice before: only then is there a short way for it, whatever came before.
sub again {
    my ($code, %task) = @_;
    my $shipped = Argon::Code::ship($code, plain => 1);
    my $blob    = $runner->send_blob($shipped->{text});
    $runner->run(blob => $blob) for 1, 2;
    return $runner->run(blob => $blob, captures => $shipped->{captures}, %task);
}

sub look {
    my ($source) = @_;
    return $runner->run(blob => $runner->send_blob(shipped($source)))->{list}[0];
}

# Asked of a child: to receive code puts its subs into the symbol table.
sub has_short_way {
    my ($code) = @_;
    my $text = Argon::Code::ship($code)->{text};
    my $child = open(my $answer, '-|') // die "fork: $!";
    if (!$child) {
        my $own = Argon::Runner::Code->new;
        $own->keep_blob('hash', \$text);
        $own->from_blob('hash');
        syswrite STDOUT, exists $own->contained->{hash} ? 1 : 0;
        POSIX::_exit(0);
    }
    return scalar readline $answer;
}

# Each row: a sub, its arguments, what it returns in list context.
my $number = 2;
for my $row (
    ['nothing',             sub { return },                             [],                        []],
    ['a_number',            sub { my ($x) = @_; return $x * $number },  [21],                      [42]],
    ['a_list',              sub { return (@_, undef, 'x', 1.5) },       [1, 2],                    [1, 2, undef, 'x', 1.5]],
    ['a_structure',         sub { $_[0]{list}[1]++; return $_[0] },     [{ list => [1, 2] }],      [{ list => [1, 3] }]],
    ['what_a_helper_gives', sub { return map { helper($_) } @_ },       [1, 2],                    [6, 7]],
    ['characters',          sub { return "\x{263a}$_[0]" },             ["\xe4"],                  ["\x{263a}\xe4"]],
    ['much',                sub { return $_[0] x 300_000 },             ['x'],                     ['x' x 300_000]],
    ['what_comes_in_parts', sub { return length $_[0] },                ['x' x 600_000],           [600_000]],
    )
{
    my ($name, $code, $arguments, $expected) = @{$row};
    ok has_short_way($code), "there_is_a_short_way_to_$name";
    my $outcome = again($code, arguments => $arguments, flags => FLAG_LIST);
    is $outcome->{status}, STATUS_OK, '... on which it ends well';
    is_deeply $outcome->{list}, $expected, "... and returns $name";
    is_deeply again($code, arguments => $arguments)->{list}, [scalar $code->(@{$arguments})], '... in scalar context too'
        if $name !~ /structure/;
}

# How tasks fail.
{
    my $died = again(sub { die @_ }, arguments => ["no\n"]);
    is $died->{status}, STATUS_ERROR, 'a_task_that_dies_is_an_error';
    is_deeply $died->{list}, ["no\n"], '... with what it threw';
    cmp_ok $died->{meta_length}, '>', 0, '... and with a report';
    is_deeply again(sub { die { code => $_[0] } }, arguments => [7])->{list}, [{ code => 7 }], 'a_task_can_throw_a_structure';
    like again(sub { no warnings; last }, arguments => [])->{list}[0], qr/leave the sub/, 'a_task_cannot_leave_its_runner_by_last';
    like again(sub { no warnings; redo })->{list}[0], qr/leave the sub/, '... or by redo';
    my $code = sub { my ($x) = @_; return sub { $x } };
    is again($code, arguments => [5])->{list}[0]->(), 5, 'a_sub_travels_back';
    is_deeply again(sub { return $@ })->{list}, [q{}], 'an_error_does_not_reach_the_next_task';
    is_deeply again(sub { $_ = 'left'; return })->{list}, [undef], 'a_task_may_set_the_topic';
    is_deeply again(sub { return $_ })->{list}, [undef], '... and the next one does not see it';
}

# What arguments can do, code that is contained can not.
{
    my %class = (
        'an_operator'   => 'package Evil::Operator; use overload "+" => sub { $ENV{LEFT} = 1; chdir "/"; 7 };',
        'a_destructor'  => 'package Evil::Destructor; sub DESTROY { $ENV{LEFT} = 1; chdir "/" }',
        'a_text'        => 'package Evil::Text; use overload q{""} => sub { $ENV{LEFT} = 1; chdir "/"; "text" }, fallback => 1;',
    );
    my $folder = look('sub { require Cwd; Cwd::getcwd() }');
    for my $name (sort keys %class) {
        my ($package) = $class{$name} =~ /package (\S+);/;
        eval "$class{$name} 1" or die;
        look("sub { eval q{$class{$name} 1} or die; 1 }");
        my $code = sub { my ($x) = @_; return $x + 1 };
        ok has_short_way($code), 'there is a short way for plain values';
        no warnings;
        $runner->run(blob => $runner->send_blob(Argon::Code::ship($code)->{text}), arguments => [bless {}, $package]) for 1, 2;
        is look('sub { require Cwd; ($ENV{LEFT} // "clean") . " in " . Cwd::getcwd() }'), "clean in $folder", "${name}_of_an_argument_leaves_nothing_behind";
    }
}

# What an earlier task left in a package variable, or in a sub, is destroyed where it is looked after.
{
    my %left = (
        'a_variable' => ['our $setting = bless [], "Left"', sub { return $setting }, 1],
        'a_sub'      => ['my $object = bless [], "Left"; no warnings; *main::helper = sub { $object }', sub { return helper(1) }, 0],    # it is put back
    );
    for my $name (sort keys %left) {
        my ($leave, $code, $destroyed) = @{ $left{$name} };
        ok has_short_way($code), "there_is_a_short_way_to_$name";
        is again($code)->{status}, STATUS_OK, '... which is taken';
        look("sub { eval q{package Left; sub DESTROY { \$main::destroyed++; \$ENV{LEFT} = 1 } 1} or die; $leave; 1 }");
        my $shipped = Argon::Code::ship($code, plain => 1);
        my $outcome = $runner->run(blob => $runner->send_blob($shipped->{text}), captures => $shipped->{captures});
        is $outcome->{status}, STATUS_OK, '... and taken again when another task has left an object there';
        is look('sub { ($main::destroyed // 0) . " " . ($ENV{LEFT} // "clean") }'), "$destroyed clean", "... whose_destructor_in_${name}_leaves_nothing_behind";
        look('sub { $main::destroyed = 0; 1 }');
    }
}

# A builtin that an earlier task has replaced is not the one of which the proof speaks.
{
    look('sub { no warnings; *CORE::GLOBAL::hex = sub { $ENV{LEFT} = 1; 7 }; 1 }');
    is_deeply again(sub { return hex $_[0] }, arguments => ['ff'])->{list}, [7], 'a_replaced_builtin_is_called';
    is look('sub { $ENV{LEFT} // "clean" }'), 'clean', '... and what it left behind is put away';
    no warnings 'once';
    local *CORE::GLOBAL::hex = sub { 7 };
    ok !has_short_way(sub { return oct $_[0] }), '... as for any code that is compiled then';
}

# Warnings are output: they are out before the outcome, and the next claim waits for the worker to take them.
{
    is_deeply again(sub { my $x; return "<$x>" })->{list}, ['<>'], 'a_task_that_is_warned_ends_well';
    like $runner->output_until(qr/\n.*\n/, 'errors'), qr/uninitialized value \$x/, '... and the warning is there';
}

# The long way, for what needs it, of the same code.
{
    my $code = sub { die "no\n" };
    my $stack = again($code, flags => FLAG_STACK);
    is_deeply $stack->{list}, ["no\n"], 'a_task_whose_stack_is_wanted_takes_the_long_way';
    my $json = again(sub { return $_[0] + 1 }, codec => CODEC_JSON, payload => '[41]');
    is $json->{payload}, '42', 'and_so_does_one_whose_values_are_json';
}

# Many at once, the short and the long mixed, come back in their order.
{
    my $short = $runner->send_blob(Argon::Code::ship(sub { return $_[0] + 1 })->{text});
    my $long  = $runner->send_blob(shipped('sub { $ENV{LEFT} = 1; return $_[0] + 1 }'));
    $runner->send_run(blob => $_ % 3 ? $short : $long, arguments => [$_]) for 1 .. 200;
    is_deeply [map { $runner->outcome->{list}[0] } 1 .. 200], [2 .. 201], 'tasks_of_both_ways_come_back_in_their_order';
}

# What was handed ahead is claimed, and nothing is while a warning has not been taken.
{
    pipe my $numbers, my $end or die "pipe: $!";
    fcntl $numbers, F_SETFD, 0;
    my $claiming = RunnerProcess->start(ARGON_CLAIM_FD => fileno $numbers, ARGON_FIONREAD => 0x541b);
    $claiming->ready;
    my $blob = $claiming->send_blob(Argon::Code::ship(sub { my ($x) = @_; return "<$x>" })->{text});
    is_deeply $claiming->run(blob => $blob, arguments => [0])->{list}, ['<0>'], 'a_task_that_was_not_handed_ahead';
    syswrite $end, pack 'Q> Q> Q>', 1, 2, 3;
    $claiming->send_run(blob => $blob, arguments => [$_], flags => FLAG_AHEAD) for 1, undef, 3;
    is_deeply $claiming->outcome->{list}, ['<1>'], 'tasks_that_were_handed_ahead';
    is_deeply [$claiming->next_frame], [OUTPUT_LEFT, q{}], '... say_that_there_is_a_warning';
    is_deeply $claiming->outcome->{list}, ['<>'], '... before their outcome';
    like $claiming->output_until(qr/\n/, 'errors'), qr/uninitialized/, '... and the next is not claimed';
    is sysread($numbers, my $left, 64), 8, '... until that was taken';
    syswrite $end, $left;
    $claiming->send_frame(OUTPUT_TAKEN, q{});
    is_deeply $claiming->outcome->{list}, ['<3>'], '... and then it is';
    is $claiming->end, 0, 'the claiming runner ends well';
}

is $runner->end, 0, 'the runner ends well';

done_testing;
