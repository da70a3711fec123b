package Argon::Client::Result;

# Owns turning a finished record into what the caller sees: the value, or the error thrown as it was. Decoding happens
# here, when the outcome is asked for, once.

use strict;
use warnings;

use JSON::PP ();

use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Data  ();
use Argon::Error ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Text ();

# The value of a finished record, or dies. A list for a task that ran in list context.
sub deliver {
    my ($record) = @_;
    my $status = $record->[TASK_STATUS];
    if ($status == STATUS_OK) {
        my $list = $record->[TASK_LIST] || _decoded($record);
        return $list->[-1] if !wantarray;
        return $record->[TASK_WANTS_LIST] ? @{$list} : $list->[0];
    }
    die error($record);
}

# The error that a record throws; undef if it is ok.
sub error {
    my ($record) = @_;
    my $status = $record->[TASK_STATUS];
    return if $status == STATUS_OK;
    if ($status == STATUS_ERROR) {
        my $thrown = ($record->[TASK_LIST] || _decoded($record))->[0];
        return $thrown if ($record->[TASK_CODEC] || 0) != CODEC_JSON;
        require Argon::Client::Foreign;
        return Argon::Client::Foreign::thrown($thrown, _task($record), report($record));
    }
    my $error = $record->[TASK_ERROR];
    if (ref $error ne 'Argon::Error') {
        $error = $record->[TASK_ERROR] = $error
            ? Argon::Error->new(%{$error}, task => _task($record))
            : Argon::Error->from_report($Argon::Protocol::STATUS_NAME[$status] // 'lost', _task($record), _with_capacity($status, report($record)));
    }
    return $error->thrown_here;
}

# All that is known of a failure, as one Argon::Error whatever the end was; undef for a record that is ok.
sub failure {
    my ($record) = @_;
    my $status = $record->[TASK_STATUS];
    return if $status == STATUS_OK;
    return error($record) if $status != STATUS_ERROR;
    my $thrown = error($record);
    return $thrown if ref $thrown eq 'Argon::Error' && ($record->[TASK_CODEC] || 0) == CODEC_JSON;
    my $text = eval {"$thrown"} // ref $thrown;
    my $report = { %{ report($record) }, message => "the task threw: $text", thrown => $thrown };
    $report->{attempt} ||= $record->[TASK_ATTEMPT];
    $report->{output} = $record->[TASK_OUTPUT] if defined $record->[TASK_OUTPUT];
    return Argon::Error->from_report(error => _task($record), $report);
}

# The report of the outcome, a hash reference.
sub report {
    my ($record) = @_;
    my $report = $record->[TASK_REPORT];
    return {} if !defined $report;
    $record->[TASK_REPORT] = $report = Argon::Protocol::Text::report($report) if !ref $report;
    return $report;
}

sub _decoded {
    my ($record) = @_;
    my $payload = ref $record->[TASK_PAYLOAD] ? $record->[TASK_PAYLOAD] : \$record->[TASK_PAYLOAD];
    my $list
        = !length ${$payload} ? [1]    # a command that went well
        : ($record->[TASK_CODEC] || 0) == CODEC_JSON
        ? [JSON::PP->new->utf8->allow_nonref->decode(${$payload})]
        : Argon::Data::decode_foreign(${$payload});
    $record->[TASK_LIST]    = $list;
    $record->[TASK_PAYLOAD] = undef;
    return $list;
}

sub _task {
    my ($record) = @_;
    return defined $record->[TASK_ID] ? unpack 'H*', $record->[TASK_ID] : undef;
}

# A caller that gave up waiting for room gets this message, whatever the manager's is.
sub _with_capacity {
    my ($status, $report) = @_;
    return $report if $status != STATUS_REJECTED;
    my $reason = defined $report->{message} ? " ($report->{message})" : q{};
    return { %{$report}, message => "the system is at capacity: the task was not accepted$reason" };
}

1;
