package Argon::Client::Session::Collect;

# Owns waiting for outcomes of detached tasks: several callers may wait for one of them, and each may give up. It works on the
# fields of Argon::Client::Session, whose journal has one record for each id.

use strict;
use warnings;

use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Protocol qw(:all);

sub begin {
    my ($session, $record) = @_;
    my $id = $record->[TASK_ID];
    $record->[TASK_COLLECTS] = 1;
    delete $session->{unwanted}{$id};
    if (my $first = $session->{journal}{$id}) {
        # It is asked for already: what comes is for both, if both have the right to it.
        push @{ $first->[TASK_CALLBACKS] }, sub { return _follow($session, $first, $record) };
        return;
    }
    $session->{journal}{$id} = $record;
    ask($session->{link}, $record) if $session->{link};
    $session->tell_loops;
    return;
}

sub ask {
    my ($link, $record) = @_;
    return $link->send_frame(COLLECT, $record->[TASK_ID] . $record->[TASK_TOKEN]);
}

# Ends the wait here. The task goes on, and the manager keeps its outcome for who collects it later: if it comes all the same
# it is not acknowledged.
sub give_up {
    my ($session, $record) = @_;
    my $id = $record->[TASK_ID];
    if (($session->{journal}{$id} || 0) == $record) {
        delete $session->{journal}{$id};
        $session->{unwanted}{$id} = 1;
    }
    $session->fail($record, cancelled => 'the wait for this outcome was given up; the task goes on');
    return $session->_announce;
}

# Ends a record as the other of the same id has ended, unless only that other was given up or had another token.
sub _follow {
    my ($session, $first, $record) = @_;
    return if $record->[TASK_DONE];
    my $is_same = !$first->[TASK_CANCELLED] && $first->[TASK_TOKEN] eq $record->[TASK_TOKEN];
    return begin($session, $record) if !$is_same && !$session->{closed};
    my @fields = (TASK_STATUS, TASK_CODEC, TASK_ATTEMPT, TASK_RUN_US, TASK_PAYLOAD, TASK_LIST, TASK_REPORT, TASK_ERROR);
    @{$record}[@fields] = @{$first}[@fields];
    return $session->settle_derived($record);
}

1;
