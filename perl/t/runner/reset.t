use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Protocol qw(:all);
use RunnerProcess;
use ShippedText qw(shipped);
use Test::More;

# Each row: what a task leaves behind, what the next one looks at.
my @LEFTOVERS = (
    ['a_die_handler',        'sub { $SIG{__DIE__} = sub { die "handled" }; 1 }', 'sub { defined $SIG{__DIE__} ? 1 : 0 }'],
    ['a_warn_handler',       'sub { $SIG{__WARN__} = sub { }; 1 }',              'sub { defined $SIG{__WARN__} ? 1 : 0 }'],
    ['an_ignored_signal',    'sub { $SIG{TERM} = "IGNORE"; 1 }',                 'sub { $SIG{TERM} // "DEFAULT" }', qr/\A(?:DEFAULT)?\z/],
    # kind: what a task leaves behind | a Perl task that leaves an alarm with a handler | right | put back after the
    #    task
    ['an_alarm_handler',     'sub { $SIG{ALRM} = sub { die "late" }; alarm 100; 1 }', 'sub { alarm 0 }'],
    ['a_handler_in_the_place_of_another', 'sub { delete $SIG{USR1}; $SIG{USR1} = sub { }; 1 }', 'sub { ref $SIG{USR1} ? 1 : 0 }'],
    ['a_handler_after_all_are_gone', 'sub { %SIG = (); $SIG{USR2} = sub { }; 1 }', 'sub { ref $SIG{USR2} ? 1 : 0 }'],
    ['a_die_handler_after_all_are_gone', 'sub { %SIG = (); $SIG{__DIE__} = sub { }; 1 }', 'sub { defined $SIG{__DIE__} ? 1 : 0 }'],
    # kind: what a task leaves behind | `$SIG{CLD}`, the second name of a signal | right | both names are put back
    ['a_second_spelling',    'sub { $SIG{CLD} = "IGNORE"; 1 }',                  'sub { $SIG{CHLD} // "DEFAULT" }', qr/\A(?:DEFAULT)?\z/],
    ['the_record_separator', 'sub { undef $/; 1 }',                              'sub { $/ eq "\n" ? 0 : 1 }'],
    ['output_separators',    'sub { $, = "-"; $\ = "!"; $" = "+"; 1 }',          'sub { my @l = (1, 2); join("", map { defined && length } $,, $\) . ("@l" eq "1 2" ? 0 : 1) }'],
    ['the_subscript_separator', 'sub { $; = "x"; 1 }',                           'sub { $; eq "\034" ? 0 : 1 }'],
    # kind: what a task leaves behind | a Perl task that changes `%ENV` | right | put back after the task
    ['the_environment',      'sub { $ENV{LEFT} = 1; delete $ENV{PATH}; 1 }',     'sub { ($ENV{LEFT} // 0) . (defined $ENV{PATH} ? 0 : 1) }', qr/\A00\z/],
    ['the_whole_environment', 'sub { %ENV = (); 1 }',                            'sub { defined $ENV{PATH} && defined $ENV{ARGON_WORKER} ? 0 : 1 }'],
    ['the_working_folder',   'sub { require Cwd; our $was = Cwd::getcwd(); chdir "/"; 1 }', 'sub { require Cwd; our $was; Cwd::getcwd() eq $was ? 0 : 1 }'],
    ['the_file_mode_mask',   'sub { our $was = umask; umask 0777; 1 }',          'sub { our $was; umask == $was ? 0 : 1 }'],
    ['the_selected_handle',  'sub { select STDERR; 1 }',                         'sub { select eq "main::STDOUT" ? 0 : 1 }'],
    ['the_program_name',     'sub { $0 = "mine"; 1 }',                           'sub { $0 eq "argon runner" ? 0 : 1 }'],
    ['the_module_path',      'sub { unshift @INC, "/left"; 1 }',                 'sub { scalar grep { $_ eq "/left" } @INC }'],
    ['an_output_layer',      'sub { binmode STDOUT, ":utf8"; 1 }',               'sub { scalar grep { $_ eq "utf8" } PerlIO::get_layers(*STDOUT) }'],
    ['the_topic',            'sub { $_ = "left"; 1 }',                           'sub { defined $_ ? 1 : 0 }'],
);

my $runner = RunnerProcess->start;
$runner->ready;

sub task {
    my ($source, @arguments) = @_;
    my $outcome = $runner->run(blob => $runner->send_blob(shipped($source)), arguments => \@arguments);
    is $outcome->{status}, STATUS_OK, 'the task ends well' or diag $outcome->{list}[0];
    return $outcome->{list}[0];
}

for my $row (@LEFTOVERS) {
    my ($name, $leave, $look, $expected) = @{$row};
    task($leave) for 1, 2;
    like task($look), $expected // qr/\A0*\z/, "${name}_of_one_task_does_not_reach_the_next";
}

# Standard handles.
for my $spoil ('close STDOUT', 'close STDERR', 'close STDIN', 'open STDOUT, ">", "/dev/null"', '*STDOUT = *STDERR',
    'close STDIN; open our $taken, "<", "/etc/passwd"', 'close STDOUT; open our $held, ">", "/dev/null"',
    'open STDERR, ">&", \*STDOUT', 'require Tie::Handle; { package T; sub TIEHANDLE { bless [] } sub PRINT { 1 } } tie *STDOUT, "T"')
{
    task("sub { $spoil; 1 }");
    task('sub { print STDOUT "<$_[0]>\n"; print STDERR "[$_[0]]\n"; system "echo sub-$_[0]" if $_[1]; 1 }', $spoil, 0);
    # kind: what a task leaves behind | a Perl task that closes, redirects or ties its standard handles | right |
    #    put back after the task
    like $runner->output_until(qr/\n/), qr/\A<\Q$spoil\E>\n\z/, "standard output is itself again after: $spoil";
    like $runner->output_until(qr/\]\n/, 'errors'), qr/\[\Q$spoil\E\]\n\z/, "standard error is itself again after: $spoil";
    task('sub { system "echo child"; 1 }');
    is $runner->output_until(qr/\n/), "child\n", '... and for a child process';
}

{
    my @first = map { task('sub { srand 42; rand }') } 1 .. 2;
    my @after = map { task('sub { rand }') } 1 .. 2;
    is $first[0], $first[1], 'srand_holds_within_a_task';
    isnt $after[0], $after[1], 'random_numbers_differ_between_tasks';
    my $other = RunnerProcess->start;
    $other->ready;
    isnt $other->run(blob => $other->send_blob(shipped('sub { rand }')))->{list}[0], task('sub { rand }'),
        'random_numbers_differ_between_runners';
}

{
    task('sub { $SIG{ALRM} = sub { die "the alarm\n" }; alarm 1; 1 }');
    is task('sub { select undef, undef, undef, 1.2; "quiet" }'), 'quiet', 'an_alarm_does_not_ring_in_the_next_task';
    my $outcome = $runner->run(blob => $runner->send_blob(
        shipped('sub { local $SIG{ALRM} = sub { die "time\n" }; alarm 1; select undef, undef, undef, 20; 1 }')));
    is_deeply $outcome->{list}, ["time\n"], 'an_alarm_rings_in_its_own_task';
}

{
    my $outcome = $runner->run(blob => $runner->send_blob(shipped(
        '{ package Boom; sub new { bless [] } sub DESTROY { eval { 1 }; die "in destroy" } } sub { my $o = Boom->new; die "kept\n" }')));
    is_deeply $outcome->{list}, ["kept\n"], 'an_error_survives_a_destructor';
    $runner->output_until(qr/in destroy.*\n/, 'errors');
}

{
    # kind: copies of the process | a task that forks and returns in the child | right | the child ends without an
    #    outcome
    is task('sub { my $child = fork; print "child here\n" if !$child; return "from the child" if !$child; waitpid $child, 0; $? }'), 0,
        'a_forked_child_that_leaves_the_sub_ends_without_an_answer';
    is $runner->output_until(qr/\n/), "child here\n", 'a_forked_child_runs';
    is task('sub { my $child = fork; die "in the child\n" if !$child; waitpid $child, 0; $? >> 8 }'), 255, 'a_forked_child_that_dies_ends_with_255';
    is $runner->output_until(qr/\n/, 'errors'), "in the child\n", '... and says why';
    my $open = task('sub { my $list = `ls -l /proc/self/fd`; return scalar(() = $list =~ /socket:/g) }');
    is $open, 0, 'a_command_that_a_task_starts_does_not_inherit_the_socket';
}

is $runner->end, 0, 'the runner ends well';

done_testing;
