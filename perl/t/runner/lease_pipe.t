use strict;
use warnings;

# Which of the tasks that were handed ahead a runner takes for its own, by the numbers that it finds.

use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use Test::More;

use Argon::Runner::LeasePipe;

my $BARRIER = 0x8000_0000;

# What a runner claims of its first tasks when the pipe holds these numbers.
sub claimed {
    my ($tasks, @numbers) = @_;
    pipe my $reader, my $writer or die "pipe: $!";
    fcntl $reader, F_SETFL, fcntl($reader, F_GETFL, 0) | O_NONBLOCK or die "fcntl: $!";
    syswrite $writer, join q{}, map { pack 'N N', ref $_ ? ($BARRIER, ${$_}) : (0, $_) } @numbers if @numbers;
    local @ENV{qw(ARGON_CLAIM_FD ARGON_FIONREAD)} = (fileno $reader, 0);
    my $claims = Argon::Runner::LeasePipe->new(undef, Argon::Runner::LeasePipe::inherited());
    return join q{}, map { $claims->claim ? 1 : 0 } 1 .. $tasks;
}

is claimed(3, 1, 2, 3), '111', 'each_number_claims_a_task';
is claimed(3, 1), '100', 'what_was_taken_back_is_dropped_for_want_of_a_number';
is claimed(5, 1, \4, 4, 5), '10011', 'what_follows_a_gap_is_claimed_by_its_own_number';
is claimed(4, \1, \3, 3, 4), '0011', 'what_is_taken_back_between_a_barrier_and_its_number_leaves_another_barrier';
is claimed(2, \2, 2), '01', 'a_barrier_drops_what_is_before_its_number';

done_testing;
