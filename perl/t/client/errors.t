use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;

# Every error must be what it would have been without the cluster: each case runs here and there.
my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);

sub error_of { my ($call) = @_; return eval { $call->(); 1 } ? undef : $@ }

sub kind_of { my ($error) = @_; return ref $error && ref $error ne 'HASH' && $error->isa('Argon::Error') ? $error->kind : "none: $error" }

{
    package Local::Overloaded;
    use overload '""' => sub { return "overloaded $_[0]{text}" }, '==' => sub { return 1 }, fallback => 1;
    sub new { my ($class, %fields) = @_; return bless {%fields}, $class }
    package Local::Plain;
    sub new { my ($class, @list) = @_; return bless [@list], $class }
    package Local::Propagating;
    sub new       { my ($class) = @_; return bless { places => [] }, $class }
    sub PROPAGATE { my ($self, $file, $line) = @_; push @{ $self->{places} }, $line; return $self }
    package Local::DiesLate;
    sub new     { return bless [], $_[0] }
    sub DESTROY { die "too late\n" }
}

my %case = (
    'a text'                => sub { die "text\n" },
    'a text with its place' => sub { die 'text' },
    'a list'                => sub { die 'a', 'b', "\n" },
    'nothing'               => sub { die },
    'nothing after another' => sub { eval { die "inner\n" }; die },
    'nested'                => sub { eval { die 'inner' }; die "outer: $@" },
    'a number'              => sub { die 0 },
    'a handle read before'  => sub { open my $file, '<', '/etc/passwd' or die; my $line = <$file>; die 'at' },
    'perls own words'       => sub { my $hash = {}; return $hash->method },
    'division'              => sub { my $zero = 0; return 1 / $zero },
    'a hash'                => sub { die { code => 7, list => [1, 2] } },
    'an array'              => sub { die [1, { two => 2 }] },
    'an object'             => sub { die Local::Plain->new(1, 2) },
    'characters'            => sub { die "\x{2603} \x{e9}\n" },
    'thrown through'        => sub { eval { die Local::Plain->new(3) }; die $@ },
);
for my $name (sort keys %case) {
    # First there: before 5.36 perl gives a number in the code a string when it is printed, and then it cannot travel.
    my $there = error_of(sub { $client->queue($case{$name}) });
    my $here  = error_of($case{$name});
    is_deeply $there, $here, "an_error_is_as_it_would_have_been_here: $name";
    is ref $there, ref $here, '... of the same class' if ref $here;
}
# What a runner tried before the task is not in its $@.
{
    for (1 .. 4) { $client->queue(sub { no strict 'refs'; *{'main::left_by_a_task'} = sub { return 1 }; return 1 }) }
    for my $code (sub { die }, sub { die q{} }, sub { die undef }) {
        # kind: frames of the runner | a bare `die` in a task | right | `Died` at its own line
        is error_of(sub { $client->queue($code) }), error_of($code), 'a_bare_die_propagates_nothing_of_the_runner';
    }
    $@ = q{};    # an error left here would be refused
    is $client->queue(sub { return $@ }), q{}, '... of which there is no error';
}
{
    my $error = error_of(sub { $client->queue(sub { die Local::Overloaded->new(text => 'still') }) });
    is "$error", 'overloaded still', 'an_object_with_overloads_keeps_them';
    is ref $error, 'Local::Overloaded', '... and its class';
}

SKIP: {
    skip 'Exception::Class is not installed', 3 if !eval { require Exception::Class; Exception::Class->import('Local::Failure' => { fields => ['code'] }); 1 };
    my $error = error_of(sub { $client->queue(sub { require Exception::Class; Exception::Class->import('Local::Failure' => { fields => ['code'] }) if !Local::Failure->can('throw'); Local::Failure->throw(error => 'classy', code => 9) }) });
    isa_ok $error, 'Local::Failure', 'what Exception::Class threw';
    is eval { $error->code }, 9, '... with its fields' or diag $error;
    is eval { $error->message }, 'classy', '... and its message';
}
SKIP: {
    skip 'Throwable is not installed', 2 if !eval { require Moo; require Throwable::Error; 1 };
    # Its stack trace holds a code reference, which cannot come back.
    skip 'this Throwable is older than 1.0', 2 if Throwable::Error->VERSION < 1;
    my $error = error_of(sub { $client->queue(sub { require Throwable::Error; Throwable::Error->throw({ message => 'thrown' }) }) });
    isa_ok $error, 'Throwable::Error', 'what Throwable threw';
    is eval { $error->message }, 'thrown', '... with its message' or diag $error;
}

# Contexts.
{
    my $context = sub { return wantarray ? 'list' : defined wantarray ? 'scalar' : 'void' };
    my ($list) = $client->queue($context);
    my $scalar = $client->queue($context);
    is "$list $scalar", 'list scalar', 'a_task_runs_in_the_callers_context';
    is_deeply [$client->queue(sub { return })], [], 'an_empty_list_comes_back_empty';
    is scalar $client->queue(sub { return (4, 5, 6) }), 6, 'a_list_in_scalar_context_is_its_last_value';
    is scalar $client->queue(sub { my @list = (4, 5, 6); return @list }), 3, 'an_array_in_scalar_context_is_its_length';
    is_deeply [$client->queue(sub { return (undef, 0, q{}, []) })], [undef, 0, q{}, []], 'empty_values_keep_their_places';
    my ($deferred_list) = $client->defer($context, [], { context => 'list' })->get;
    is $deferred_list . $client->defer($context)->get, 'listscalar', 'a_deferred_task_runs_in_the_context_that_was_asked_for';
}

# Ends that are no errors.
{
    my $error = error_of(sub { $client->queue(sub { exit }) });
    is kind_of($error), 'died', 'exit_without_a_status_is_died';
    is $error->exit_code, 0, '... with status 0';
    like "$error", qr/ at \Q$0\E line \d+\.$/m, '... at the line of the call';
    is error_of(sub { $client->queue(sub { require POSIX; POSIX::_exit(4) }) })->exit_code, 4, 'an_exit_without_cleaning_up_is_died_too';
    is error_of(sub { $client->queue(sub { kill TERM => $$; sleep 20 }) })->signal, 15, 'a_signal_to_itself_is_died';
    $error = error_of(sub { $client->queue(sub { alarm 1; select undef, undef, undef, 20 }) });
    is kind_of($error) . ' ' . $error->signal, 'died 14', 'an_alarm_without_a_handler_is_died';
    is error_of(sub { $client->queue(sub { local $SIG{ALRM} = sub { die "rang\n" }; alarm 1; select undef, undef, undef, 20 }) }), "rang\n",
        'an_alarm_with_a_handler_is_the_tasks_own';
    is $client->queue(sub { alarm 1; 'in time' }), 'in time', 'an_alarm_that_is_left_over';
    is $client->queue(sub { select undef, undef, undef, 1.2; 'undisturbed' }), 'undisturbed', '... does_not_reach_the_next_task';
    no warnings "exiting";
    is error_of(sub { $client->queue(sub { last }) }), "Can't leave the sub of a task with last, next or redo\n", 'last_out_of_the_task_is_an_error';
}
{
    my $warned = q{};
    {
        local *STDERR;
        open STDERR, '>', \$warned or die $!;
        is $client->queue(sub { my $object = Local::DiesLate->new; undef $object; return 'went on' }), 'went on', 'die_in_DESTROY_ends_nothing';
    }
    like $warned, qr/\(in cleanup\) too late/, '... and is a warning, as it is here';
}
{
    is $client->queue(sub { my $child = fork; exit 3 if !$child; waitpid $child, 0; return $? >> 8 }), 3, 'a_task_may_fork_and_wait';
    is $client->queue(sub { my $child = fork; return 'child' if !$child; waitpid $child, 0; return "parent $?" }), 'parent 0',
        'a_child_that_returns_from_the_task_ends_as_at_the_end_of_a_script';
    is $client->queue(sub { my $child = fork; die "in the child\n" if !$child; waitpid $child, 0; return 'parent ' . ($? >> 8) }, [], { capture => 1 }),
        'parent 255', 'a_child_that_dies_has_the_status_of_a_script';
    is join(' ', $client->queue(sub { pipe my $r, my $w; my $child = fork; if (!$child) { close $r; print {$w} "piped\n"; exit } close $w; my $line = <$r>; chomp $line; return $line })),
        'piped', 'a_child_may_speak_with_its_parent';
    is $client->queue(sub { 'whole' }), 'whole', 'the_slot_is_whole_after_forks';
}

# What is known besides.
sub inner { my ($value) = @_; die "deep $value\n" }
sub outer { my ($value) = @_; return inner($value + 1) }
{
    my $error = error_of(sub { $client->queue(sub { require Carp; local $SIG{__DIE__} = \&Carp::confess; outer(1) }) });
    like $error, qr/\Adeep 2\n.*main::inner\(2\) called at \Q$0\E line \d+\n.*main::outer\(1\) called at \Q$0\E line \d+\n/s,
        'confess_gives_the_stack_of_the_task';
}
{
    my $deferred = $client->defer(sub { die "text only\n" });
    is error_of(sub { $deferred->get }), "text only\n", 'a_text_stays_a_text';
    my $report = $client->last_report;
    is $report->{status}, 'error', 'last_report_tells_what_the_task_was';
    is $report->{attempt}, 1, '... which attempt';
    ok $report->{worker}, '... on which worker';
    like $report->{pid} // q{}, qr/\A\d+\z/, '... in which process';
    is $deferred->report->{worker}, $report->{worker}, 'the_deferred_has_the_same_report';
    eval { $client->queue(sub { exit 1 if $ENV{ARGON_ATTEMPT} < 2; die "second\n" }, [], { retries => 1, backoff => 0.01 }) };
    is $client->last_report->{attempt}, 2, 'a_retried_task_tells_the_attempt';
    my $error = error_of(sub { $client->queue(sub { print STDERR "about to go\n"; exit 9 }, [], { capture => 1 }) });
    like $error->output, qr/about to go/, 'a_death_has_the_last_output';
}

done_testing;
