package Argon::Client::Duration;

# Owns the reading of durations that a caller gives: a number of seconds, or parts with units, as in 90s, 5m, 1h30m.
# Argon::Client::Options calls it; the units are those of the options of the command argon.

use strict;
use warnings;

my %SECONDS_OF;
@SECONDS_OF{qw(ms msec millisecond milliseconds)} = (0.001) x 4;
@SECONDS_OF{qw(s sec secs second seconds)}        = (1) x 5;
@SECONDS_OF{qw(m min mins minute minutes)}        = (60) x 5;
@SECONDS_OF{qw(h hr hrs hour hours)}              = (3_600) x 5;
@SECONDS_OF{qw(d day days)}                       = (86_400) x 3;
@SECONDS_OF{qw(w week weeks)}                     = (604_800) x 3;

my $NUMBER = qr/(?:\d+[.]?\d*|[.]\d+)/;

# Description of a duration, for refusals.
use constant EXPECTED => 'a number of seconds, or a duration such as 90s, 5m or 1h30m';

# The seconds of a duration, or undef if the text is not one.
sub seconds {
    my ($text) = @_;
    return if !defined $text || ref $text;
    return $text + 0 if $text =~ /\A\s*$NUMBER(?:[eE][-+]?\d+)?\s*\z/;
    return if $text !~ /\A\s*(?:$NUMBER\s*[a-z]+\s*)+\z/;
    my $seconds = 0;
    while ($text =~ /($NUMBER)\s*([a-z]+)/g) {
        my ($count, $unit) = ($1, $2);
        return if !exists $SECONDS_OF{$unit};
        $seconds += $count * $SECONDS_OF{$unit};
    }
    return $seconds;
}

1;
