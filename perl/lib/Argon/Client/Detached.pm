package Argon::Client::Detached;

# Owns the calls of Argon::Client for tasks that outlive their client: submit, collect and cancel, by ticket. It is a part of
# Argon::Client, whose fields it uses.

use strict;
use warnings;

use Argon::Client::Options ();
use Argon::Client::Result  ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Client::Wait::Leaving ();
use Argon::Deferred ();
use Argon::Error    ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Ticket ();

sub submit {
    my ($self, $code, $arguments, @rest) = @_;
    my $options = Argon::Client::Options::from_call($self->{defaults}, @rest);
    local $options->{flags} = $options->{flags} | FLAG_DETACHED;
    my $leaving = Argon::Client::Wait::Leaving->new($self->{session});
    my $record  = $self->_offer($code, $arguments, $options, $options->{wants_list}, $leaving);
    $self->session->wait_for($record, $leaving);
    die Argon::Client::Result::error($record) if $record->[TASK_STATUS] != STATUS_OK;
    die Argon::Error->new(kind => 'lost', message => 'the manager ended the task before it accepted it')
        if !defined $record->[TASK_TOKEN];
    return Argon::Protocol::Ticket::text(@{$record}[TASK_ID, TASK_TOKEN]);
}

sub collect {
    my ($self, $ticket) = @_;
    return $self->collect_later($ticket)->get;
}

sub collect_later {
    my ($self, $ticket) = @_;
    my ($id, $token) = _parsed($ticket, 'collect',
        ". A script that was written for 0.16 or before, where queue returned an id, needs new(..., interface => '0.16')");
    my $session = $self->session;
    $session->connect;
    my $record = $session->{left}{$id};
    if ($record && $record->[TASK_TOKEN] eq $token) {
        delete $session->{left}{$id};
    }
    else {
        $record = [$id];
        @{$record}[TASK_WANTS_LIST, TASK_TOKEN] = (1, $token);
        $session->collect($record);
    }
    return Argon::Deferred->new($record, $self);
}

# True if the task is cancelled, false if it had ended before.
sub cancel {
    my ($self, $ticket) = @_;
    _parsed($ticket, 'cancel', q{});
    my $reply = $self->asked('cancel', tasks => [$ticket]);
    my $found = ref $reply->{tasks} eq 'ARRAY' && ref $reply->{tasks}[0] eq 'HASH' ? $reply->{tasks}[0] : $reply;
    my $result = $found->{result} // q{};
    return $result eq 'cancelled' if $result eq 'cancelled' || $result eq 'ended';
    die Argon::Error->new(
        kind    => $result eq 'unknown' ? 'lost' : 'rejected',
        message => 'the task cannot be cancelled: ' . ($found->{message} // 'the manager gives no reason'),
        task    => (split /-/, $ticket)[0],
    );
}

# The id and the token of a ticket; dies if it is not one.
sub _parsed {
    my ($ticket, $method, $advice) = @_;
    my @parsed = defined $ticket ? Argon::Protocol::Ticket::parse($ticket) : ();
    return @parsed if @parsed;
    die Argon::Error->new(kind => 'option',
        message => "Argon::Client: $method needs the ticket that submit returned; " . Argon::Protocol::Ticket::reason($ticket) . $advice);
}

1;
