# A template of runners: what it holds, and that a runner that it forks is like one that was started.

use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../../lib";
use Test::More;

use Argon::Code;
use Argon::Protocol qw(:all);
use TemplateProcess;

plan skip_all => 'workers do not use templates on this machine' if !%{ SystemCalls::numbers() };

# A program in the background of a shell ignores it, and its children do too.
$SIG{INT} = 'DEFAULT';

my $template = TemplateProcess->start;
my $ready    = $template->ready;
is_deeply $ready, { runtime => 'perl', version => sprintf('%vd', $^V), pid => $template->process, template => JSON::PP::true() }, 'a_template_says_that_it_is_one';
is_deeply [map { $_->[1] =~ s/\[.*//sr } descriptors_of($template->process)], [('/dev/null') x 3, 'socket:'], 'a_template_holds_its_socket_and_nothing_else';

sub descriptors_of {
    my ($process) = @_;
    opendir my $folder, "/proc/$process/fd" or die "$process: $!";
    return map { [$_, readlink "/proc/$process/fd/$_"] } sort { $a <=> $b } grep {/\d/} readdir $folder;
}

# The list that a sub returns in a runner.
sub told {
    my ($runner, $code, @arguments) = @_;
    my $shipped = Argon::Code::ship($code);
    my $outcome = $runner->run(blob => $runner->send_blob($shipped->{text}), captures => $shipped->{captures}, arguments => \@arguments, flags => FLAG_LIST);
    die @{ $outcome->{list} } if $outcome->{status} != STATUS_OK;
    return @{ $outcome->{list} };
}

{
    my $before = time;
    my $runner = $template->fork_runner(token => pack 'H*', '00112233445566778899aabbccddeeff');
    is_deeply $runner->ready,
        { runtime => 'perl', version => sprintf('%vd', $^V), pid => $runner->process, claims => JSON::PP::true() },
        'a_forked_runner_says_what_a_started_one_says';
    is_deeply [told($runner, sub { ($$, getppid, getpgrp) })], [$runner->process, $$, $runner->process], 'it_is_a_child_of_the_worker_in_a_group_of_its_own';
    is_deeply [told($runner, sub { @ENV{qw(ARGON_TASK_TOKEN ARGON_WORKER)} })], ['00112233445566778899aabbccddeeff', 'test'], 'its_environment_names_the_token_and_the_worker';
    is_deeply [told($runner, sub { grep { exists $ENV{$_} } qw(ARGON_TEMPLATE ARGON_SYSCALLS ARGON_RUNNER_FD ARGON_FIONREAD ARGON_CLAIM_FD) })], [], 'and_nothing_that_is_between_worker_and_runner';
    cmp_ok((told($runner, sub {$^T}))[0], '>=', $before, 'its_start_is_that_of_the_fork');
    is_deeply [told($runner, sub { (scalar(@ARGV), $SIG{INT} // 'none', $SIG{PIPE}) })], [0, 'none', 'DEFAULT'], 'its_arguments_and_signals_are_those_of_a_runner';
    open my $name, '<', '/proc/' . $runner->process . '/cmdline' or die $!;
    like readline $name, qr/\Aargon runner/, 'its_name_is_that_of_a_runner';
    my $prctl = SystemCalls::numbers()->{prctl};
    is_deeply [told($runner, sub { my $signal = pack 'i', 99; syscall $prctl, 2, $signal, 0, 0, 0; unpack 'i', $signal })], [9], 'it_ends_with_its_worker';
    my @held = descriptors_of($runner->process);
    is scalar(grep { $_->[1] =~ /\Asocket:/ } @held), 1, 'it_has_one_socket_which_is_not_that_of_the_template';
    is_deeply [grep { $_->[1] !~ m{\A(?:socket:|pipe:|/dev/null|/)} } @held], [], 'and_nothing_unknown';
    told($runner, sub { print "out\n"; print {*STDERR} "err\n" });
    is $runner->output_until(qr/\n/), "out\n", 'its_standard_output_is_the_pipe_of_the_worker';
    is $runner->output_until(qr/\n/, 'errors'), "err\n", 'and_so_is_its_standard_error';

    my $blob = $runner->send_blob(Argon::Code::ship(sub { "ahead @_" })->{text});
    syswrite $runner->{leases}, pack 'Q>', 1;
    is_deeply $runner->run(blob => $blob, arguments => [1], flags => FLAG_AHEAD)->{list}, ['ahead 1'], 'it_claims_tasks_from_its_lease_pipe';
    is $runner->end, 0, 'it_exits_with_0_when_its_socket_is_closed';
}

{
    my @wanted  = map { $template->ask_for_runner } 1 .. 3;
    my @runners = map { $template->runner($_) } @wanted;
    $_->ready for @runners;
    my @numbers = map { join ' ', told($_, sub { (rand, rand) }) } @runners;
    my %different = map { $_ => 1 } @numbers;
    is keys %different, 3, 'three_forks_that_are_asked_for_at_once_have_random_numbers_of_their_own';
    told($runners[0], sub { no strict 'refs'; ${'main::left'} = ${'Argon::Data::left'} = 'here' });
    is_deeply [told($runners[1], sub { no strict 'refs'; no warnings 'once'; (${'main::left'}, ${'Argon::Data::left'}) })], [undef, undef], 'they_share_no_memory';
    my $flags = sub { require Fcntl; map { scalar fcntl $_, Fcntl::F_GETFL(), 0 } *STDIN, *STDOUT, *STDERR };
    my @flags = told($runners[1], $flags);
    told($runners[0], sub { require Fcntl; fcntl $_, Fcntl::F_SETFL(), Fcntl::O_NONBLOCK() for *STDIN, *STDOUT, *STDERR });
    is_deeply [told($runners[1], $flags)], \@flags, 'nor_flags_of_an_open_file';
    is_deeply [(told($runners[0], $flags))[1, 2]], [@flags[1, 2]], 'outputs_wait_again_after_a_task_that_does_not';
    is_deeply [map { $_->end } @runners], [0, 0, 0], 'each_ends_by_itself';
    is $template->fork_runner->ready->{claims}, JSON::PP::true(), 'the_template_goes_on';
}

{
    my $other  = TemplateProcess->start;
    $other->ready;
    my $runner = $other->fork_runner;
    is $other->end, 0, 'a_template_exits_with_0_when_its_socket_is_closed';
    $runner->ready;
    is_deeply [told($runner, sub { 'alive' })], ['alive'], 'its_runners_go_on';
}

{
    my $other = TemplateProcess->start;
    $other->ready;
    $other->ask_for_runner(bytes => Argon::Protocol::frame(RUN, 'x' x 24));
    isnt $other->end, 0, 'a_frame_that_is_not_FORK_ends_the_template';
    my $silent = TemplateProcess->start(ARGON_SYSCALLS => 'clone:1');
    like join(q{}, readline $silent->{errors}), qr/ARGON_SYSCALLS does not name what a template calls/, 'a_template_without_numbers_ends_in_words';
    isnt $silent->end, 0, 'and_with_a_status';
}

done_testing;
