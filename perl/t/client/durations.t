# Durations that a caller gives: seconds, or parts with units. No cluster is needed.

use strict;
use warnings;
use Test::More;

use Argon::Client;
use Argon::Client::Duration;

my %SECONDS_OF = (
    '0' => 0, '30' => 30, '.5' => 0.5, '2.' => 2, '1e-2' => 0.01, ' 7 ' => 7,
    '90s' => 90, '5m' => 300, '1h30m' => 5_400, '1h 30m' => 5_400, '1.5h' => 5_400, '250ms' => 0.25, '2 minutes' => 120,
    '1d' => 86_400, '1w' => 604_800, '1m30' => undef, '5M' => undef, '5 parsecs' => undef, '-5' => undef, '-5s' => undef,
    's' => undef, '' => undef, 'soon' => undef, '1,5' => undef, '1h-30m' => undef, "5m\n6" => undef, 'inf' => undef, 'nan' => undef,
);
for my $text (sort keys %SECONDS_OF) {
    is scalar Argon::Client::Duration::seconds($text), $SECONDS_OF{$text},
        "the duration '$text' is " . (defined $SECONDS_OF{$text} ? "$SECONDS_OF{$text} seconds" : 'refused');
}
is scalar Argon::Client::Duration::seconds([5]), undef, 'a reference is not a duration';

my $resolved = Argon::Client::Options::resolve({ timeout => '1h30m', retries => 1, backoff => '250ms' });
is_deeply [@{$resolved}{qw(timeout_ms backoff_ms)}], [5_400_000, 250], 'the_options_of_a_task_understand_durations';
is Argon::Client::Options::resolve({ timeout => 1e-6 })->{timeout_ms}, 1, 'a_limit_above_zero_is_never_none';

for my $bad (
    [{ timeout => '5 parsecs' }, qr/timeout must be a number of seconds, or a duration such as 90s, 5m or 1h30m, not '5 parsecs'/],
    [{ timeout => '50d' }, qr/timeout must be at most 4294967 seconds, not '50d'/],
    )
{
    eval { Argon::Client::Options::resolve($bad->[0]) };
    like $@, $bad->[1], "a_wrong_duration_is_refused_in_words: $bad->[0]{timeout}";
}
eval { Argon::Client->new(give_up_after => 'never') };
like $@, qr/give_up_after must be a number of seconds, or a duration/, 'give_up_after_is_checked_when_the_client_is_made';

done_testing;
