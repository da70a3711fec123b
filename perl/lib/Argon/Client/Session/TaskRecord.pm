package Argon::Client::Session::TaskRecord;

# Owns the layout of the record that the client keeps for each thing it waits for: a task, a collected outcome, a request,
# a derived value. The records are plain arrays, because there may be a million of them. No behaviour but settling.

use strict;
use warnings;

use Exporter 'import';

my @FIELDS;

BEGIN {
    # Those that every task has come first.
    @FIELDS = qw(
        TASK_ID TASK_FRAME TASK_BLOB TASK_BYTES TASK_OPTIONS TASK_WANTS_LIST TASK_SENT_ON TASK_DONE TASK_STATUS TASK_CODEC
        TASK_ATTEMPT TASK_RUN_US TASK_PAYLOAD TASK_LIST TASK_REPORT TASK_BIG TASK_CANCELLED TASK_CALLBACKS TASK_THREADS
        TASK_TRIES TASK_HELD_BACK TASK_OUTPUT TASK_OUTPUT_BYTES TASK_OUTPUT_GRANTED TASK_COLLECTS TASK_ERROR TASK_SHARED
        TASK_WAITERS TASK_LEFT TASK_TOKEN
    );
}

use constant { map { $FIELDS[$_] => $_ } 0 .. $#FIELDS };

our @EXPORT_OK   = @FIELDS;
our %EXPORT_TAGS = (all => \@FIELDS);

# A short account, for those who write an adapter:
#   TASK_ID             24 bytes; undef for what is not a task
#   TASK_TOKEN          of a detached task: the token of its ticket, once it is accepted or to collect it with
#   TASK_DONE           true once the outcome is in hand
#   TASK_STATUS         a STATUS_ number
#   TASK_PAYLOAD        the outcome's bytes, or a reference to them, not yet decoded; TASK_LIST once they are
#   TASK_REPORT         the outcome's report, JSON bytes, or a hash
#   TASK_FRAME          the whole SUBMIT frame (its head, when the payload is in TASK_BIG)
#   TASK_BLOB           [hash, text] of the code
#   TASK_SHARED         the same of the shared values that it names, in a list
#   TASK_SENT_ON        the number of the connection that it was last sent on
#   TASK_WAITERS        how many wait for it now
#   TASK_LEFT           of what is not a task itself: what cancels the tasks that it is made of
#   TASK_HELD_BACK      true while it waits to be offered again after a rejection

1;
