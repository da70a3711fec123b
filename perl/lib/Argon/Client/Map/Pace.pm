package Argon::Client::Map::Pace;

# Owns how many items of a map travel as one task: one each until some have ended, then as many as run in about two milliseconds.
# It keeps a moving average of the time of an item, and decides nothing else.

use strict;
use warnings;

# Seconds of work of a task of several items. The worker begins no further item after the limit, which is longer, so that a busy
# machine does not cut a chunk short.
my $CHUNK_S = 0.002;
use constant LIMIT_S => 0.02;

# Items that have ended before the first chunk, so that one quick item among slow ones does not count.
my $KNOWN_MIN = 4;
# Weight of a new time in the average, which is one of logarithms: a busy machine makes a task a thousand times longer at times.
my $NEW = 0.2;
# Parts of `ahead` that a chunk may take: workers are busy while others come back.
my $SHARE = 16;

# chunk: the number of items, or 'auto' to find it; ahead: limit of items under way, undef if there is none.
sub new {
    my ($class, $chunk, $ahead) = @_;
    my $fixed = $chunk eq 'auto' ? undef : $chunk;
    my $most = defined $ahead ? int $ahead / $SHARE : 1e6;
    return bless { fixed => $fixed, most => $most > 1 ? $most : 1, seen => 0, log_us => undef }, $class;
}

# Seconds after which a chunk is cut short; 0 if its size was asked for.
sub limit { return $_[0]{fixed} ? 0 : LIMIT_S }

# Number of items for the next task.
sub size {
    my ($self) = @_;
    return $self->{fixed} if $self->{fixed};
    return 1 if $self->{seen} < $KNOWN_MIN;
    my $size = int 1e6 * $CHUNK_S / exp $self->{log_us};
    return $size < 1 ? 1 : $size > $self->{most} ? $self->{most} : $size;
}

# A task of so many items has run for so long.
sub learn {
    my ($self, $items, $run_us) = @_;
    $self->{seen} += $items;
    my $log_us = log((($run_us || 0) + 1) / $items);
    $self->{log_us} = defined $self->{log_us} ? $self->{log_us} + $NEW * ($log_us - $self->{log_us}) : $log_us;
    return;
}

1;
