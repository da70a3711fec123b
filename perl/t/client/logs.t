# Log records of tasks: what they warn, and what they say to Log::Any, reaches the program's own handlers.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;

use Argon::Client;
use Cluster;

my $cluster = Cluster->up(slots => 1);

# Waits until all output of the tasks so far is here: it comes before the outcome.
{
    my @records;
    my $client = Argon::Client->new($cluster->client_arguments, on_log => sub { push @records, $_[0] });
    my $before = time;
    my $line = __LINE__ + 1;
    is $client->queue(sub { warn "careful\n"; my $x; my $y = "a$_[0]" . $x; warn 'here', ' and there'; $y }, [1]), 'a1', 'a task that warns';
    is_deeply [map { $_->{message} } @records], ['careful', 'Use of uninitialized value $x in concatenation (.) or string', 'here and there'], 'its_warnings_are_records';
    is_deeply [map { [@{$_}{qw(level logger file line)}] } @records], [([30, 'main', __FILE__, $line]) x 3], 'with_level_logger_and_place';
    cmp_ok $records[0]{time}, '>=', $before - 5, 'and_time';
    @records = ();
    is $client->queue(sub { local $SIG{__WARN__} = sub { $main::own = "own: $_[0]" }; warn "mine\n"; $main::own }), "own: mine\n", 'a_handler_of_the_task_has_its_warnings';
    is_deeply \@records, [], 'and_no_one_else';
    is $client->queue(sub { warn "\x{263a} \"quoted\" \x01\n"; 1 }), 1, 'a task that warns of characters';
    is $records[0]{message}, "\x{263a} \"quoted\" \x01", 'characters_arrive';
    @records = ();
    $client->queue(sub { my $child = fork; if (!$child) { warn "of the child\n"; exit 0 } waitpid $child, 0; 1 });
    is_deeply \@records, [], 'a_forked_child_warns_on_standard_error';
    $client->queue(sub { warn 'x' x 100_000, "\n"; 1 });
    cmp_ok length $records[0]{message}, '<', 20_000, 'a_long_record_is_cut';
    @records = ();
    $client->queue('Carp::carp', ['by name']);
    like $records[0]{message}, qr/\Aby name/, 'a_function_by_its_name_is_logged_too';
}

{
    my $errors = q{};
    my $silent = Argon::Client->new($cluster->client_arguments);
    {
        local *STDERR;
        open STDERR, '>', \$errors or die $!;
        $silent->queue(sub { warn "to standard error\n"; 1 });
    }
    is $errors, "to standard error\n", 'without_on_log_a_warning_is_output_as_ever';
    eval { Argon::Client->new($cluster->client_arguments, on_log => 'x') };
    like $@, qr/on_log must be a code reference/, 'a_wrong_on_log_is_refused';
    my $died;
    my $client = Argon::Client->new($cluster->client_arguments, on_log => sub { die "broken\n" });
    local $SIG{__WARN__} = sub { $died = $_[0] };
    is $client->queue(sub { warn "x\n"; 7 }), 7, 'a_task_survives_an_on_log_that_dies';
    like $died, qr/on_log of an Argon client died: broken/, 'which_is_reported';
}

SKIP: {
    skip 'Log::Any is not installed', 4 if !eval { require Log::Any; require Log::Any::Test; 1 };
    Log::Any::Test->import;
    my $client = Argon::Client->new($cluster->client_arguments);
    my $log = Log::Any->get_logger(category => 'Their::Category');
    $log->clear;
    my $value = $client->queue(sub { require Log::Any; my $log = Log::Any->get_logger(category => 'Their::Category'); $log->error('from the task'); $log->debugf('%s', [1]); 'done' });
    is $value, 'done', 'a task that logs to Log::Any';
    is_deeply [map { [@{$_}{qw(level category message)}] } @{ $log->msgs }],
        [['error', 'Their::Category', 'from the task'], ['debug', 'Their::Category', '[1]']], 'its_records_reach_the_Log_Any_of_the_program';
    my @records;
    my $other = Argon::Client->new($cluster->client_arguments, on_log => sub { push @records, $_[0] });
    $other->queue(sub { require Log::Any; Log::Any->get_logger->notice('twice'); 1 });
    is_deeply [map { [@{$_}{qw(level logger message file)}] } @records], [[25, 'main', 'twice', __FILE__]], 'on_log_gets_them_with_their_place';
    is $client->queue(sub { $_[0] + 1 }, [1]), 2, 'pure code is not touched by it';
}

done_testing;
