use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;

# What is known of a failure beside what was thrown: stack, output, place. What is thrown stays as it is without them.
my $cluster = Cluster->up(slots => 1);
my $client  = Argon::Client->new($cluster->client_arguments, stack => 1);
my $plain   = Argon::Client->new($cluster->client_arguments);

sub inner  { my ($what) = @_; die $what }
sub outer  { my ($what) = @_; return inner($what) }
sub error_of { my ($call) = @_; return eval { $call->(); 1 } ? undef : $@ }

{
    my $here  = error_of(sub { outer('it failed') });
    my $there = error_of(sub { $client->queue(sub { print "working\n"; outer($_[0]) }, ['it failed'], { capture => 1 }) });
    is $there, $here, 'what_is_thrown_is_the_same_with_a_stack';
    my $failure = $client->last_failure;
    isa_ok $failure, 'Argon::Error', 'last_failure';
    is $failure->kind, 'error', '... of the kind error';
    is $failure->thrown, $here, '... with what was thrown';
    my $frames = join q{}, map {"\tmain::$_\\(\"it failed\"\\) called at \Q$0\E line \\d+\n"} qw(inner outer);
    like $failure->stack, qr/\Aat \Q$0\E line \d+\.\n$frames\tmain::__ANON__\("it failed"\), the task\n\z/,
        '... with the stack, in the files and lines of this script';
    unlike $failure->stack, qr/Runner/, '... without the runner';
    is $failure->output, "working\n", '... with its last output';
    ok $failure->worker && $failure->pid && $failure->attempt == 1, '... where it ran';
    like "$failure", qr/\AThe task threw: it failed at \Q$0\E line \d+ \(worker .*\) at \Q$0\E line \d+\.\n  Its stack:\n  \| at \Q$0\E/i, 'as_text_it_tells_all';
}
{
    local *STDOUT;
    open STDOUT, '>', \my $shown or die $!;
    my $deferred = $plain->defer(sub { print "live\n"; outer("x\n") });
    is error_of(sub { $deferred->get }), "x\n", 'without_the_option_nothing_else_changes';
    is $deferred->failure->stack, undef, '... and there is no stack';
    is $deferred->failure->output, "live\n", '... but the last output';
    is $plain->defer(sub { 1 })->failure, undef, 'what_went_well_is_no_failure';
    is $plain->defer(sub { exit 3 })->failure->exit_code, 3, 'a_death_is_a_failure_too';
}

sub stack_of { my ($code, @arguments) = @_; return $client->defer($code, [@arguments])->failure->stack // 'none' }

like stack_of(sub { my $ok = eval { outer({ code => 7 }); 1 }; my $error = $@; eval { die "other\n" }; die $error }), qr/main::inner/,
    'an_object_that_is_thrown_again_keeps_its_first_stack';
like stack_of(sub { eval { outer("text\n") }; die $@ if $@ }), qr/main::inner/, '... and so does a text that still stands in $@';
unlike stack_of(sub { eval { outer("same\n") }; eval { 1 }; die "same\n" }), qr/main::inner/, 'an_equal_text_from_elsewhere_has_its_own';
like stack_of(sub { my $guard = bless [], 'Local::Guard'; outer("first\n") }), qr/main::inner/, 'what_DESTROY_throws_and_catches_is_passed_over';
is stack_of(sub { local $SIG{__DIE__} = sub { }; outer("own\n") }), 'none', 'a_handler_of_the_task_takes_its_place';
like stack_of(sub { my %hash; no warnings; return $hash{a}->method }), qr/\Aat \Q$0\E line \d+/, 'perls_own_errors_have_one';
like stack_of(sub { no warnings; my $deep; $deep = sub { $_[0] ? $deep->($_[0] - 1) : die "end\n" }; $deep->(2_000) }), qr/main::__ANON__\(.*\n\Q...\E\n\z/s, 'a_deep_stack_is_cut';
like stack_of(sub { outer("\x{2603}" x 3 . "\n") }), qr/main::inner/, 'characters_do_not_hurt_it';
is $client->queue(sub { my $count = 0; { my $held = bless [], 'Local::Counted'; eval { die $held } } eval { die "x\n" }; return $Local::Counted::ended }), 1,
    'a_caught_exception_is_destroyed_in_time';

{
    package Local::Guard;
    sub DESTROY { eval { die "in DESTROY\n" } }
    package Local::Counted;
    our $ended = 0;
    sub DESTROY { $ended++ }
}

done_testing;
