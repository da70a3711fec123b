package Argon::Runner::FastPath;

# Owns the short way through a runner: small tasks whose code cannot leave anything behind (Argon::Code::Analyse::Purity proves it
# where the code comes from, Argon::Runner::Code reads the mark) and whose values are plain. Nothing is prepared for them and
# nothing put back. Whatever is not so is left to Argon::Runner. The hot path of a runner, and so written out.

use strict;
use warnings;

use Storable    ();
use Time::HiRes ();

use Argon::Data ();
use Argon::Protocol qw(:all);

# Of a RUN frame with one blob: length and kind; id and attempt; flags; codec and count of blobs; length of the meta and
# stream; hash of the blob.
my $HEAD       = 'N C a28 n x8 n x8 Q> x8 a32';
my $HEAD_BYTES = 5 + TASK_HEAD_BYTES + 32;

# The codec of the runtime, and one blob.
my $PLAIN_CODE = CODEC_RUNTIME << 8 | 1;

my @READ_FLAGS = Argon::Data::read_flags();

# Runs what comes until something comes that is not for this way, or nothing more does.
sub serve {
    my ($runner) = @_;
    my ($socket, $claims, $code) = @{$runner}{qw(socket claims code)};
    my ($factories, $unsettled) = ($code->contained, $code->unsettled);
    while (!$claims->{is_output_left}) {
        my $have = length($socket->{buffer}) - $socket->{offset};
        if ($have < $HEAD_BYTES) {
            return if $have || @{ $socket->{kept} } || !$socket->read_into_empty;
            next;
        }
        my ($length, $kind, $about, $flags, $what, $more, $hash) = unpack $HEAD, substr $socket->{buffer}, $socket->{offset}, $HEAD_BYTES;
        my $factory = $factories->{$hash};
        return if !$factory || $kind != RUN || $what != $PLAIN_CODE || $more || $flags & FLAG_STACK || $have < 4 + $length;
        my $body = $socket->take_frame($length);
        next if $flags & FLAG_AHEAD && !$claims->claim;

        my $begun = Time::HiRes::time();
        my $bytes = substr $body, $HEAD_BYTES - 4;
        my $sent  = eval { Storable::mretrieve($bytes, @READ_FLAGS) };
        my $is_plain = ref $sent eq 'ARRAY';
        if (!$is_plain || $unsettled->{$hash}) {
            $runner->execute(substr $body, 1);
            delete $unsettled->{$hash} if $is_plain;
            next;
        }
        my ($list, $entered, $ended);
        {
            # A sub that is left by last or next ends up behind this block; one left by redo, at its beginning.
            last if $entered++;
            local $_;
            eval {
                my $sub = $factory->($sent->[0]);
                $list = $flags & FLAG_LIST ? [$sub->(@{ $sent->[1] })] : [scalar $sub->(@{ $sent->[1] })];
            };
            $ended = 1;
        }
        my $run_us = int 1e6 * (Time::HiRes::time() - $begun);
        $run_us = 0 if $run_us < 0;
        my $thrown = $list ? undef : Argon::Runner::thrown($ended, $@);
        Argon::Code::Receive::restore();
        $bytes = $list ? eval { Argon::Data::encode($list) } : undef;
        if (!defined $bytes || length $bytes > PART_BYTES_MAX) {
            $runner->tell($about, CODEC_RUNTIME, $run_us, $list ? (1, $list) : (0, [$thrown]));
            next;
        }
        $socket->send_bytes($claims->warnings_left
                . pack 'N C a28 C C n Q> N N Q> a*', 1 + OUTCOME_HEAD_BYTES + length $bytes, OUTCOME, $about, STATUS_OK, CODEC_RUNTIME, 0, $run_us, 0, 0, length $bytes, $bytes);
    }
    return;
}

1;
