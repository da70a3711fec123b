package Argon::Client::Session;

# Owns a client's identity and its journal: every task is kept here until its outcome is in hand, and offered again,
# under the same id, after each reconnect. It respects the manager's credit, acknowledges outcomes and drives the one
# connection. Argon::Client makes the tasks; Argon::Client::Session::Reconnect finds a manager; Argon::Client::Session::Inbox reads.

use strict;
use warnings;

use JSON::PP    ();
use Time::HiRes ();

use Argon::Client::Net::Dial      ();
use Argon::Client::Net::Segments  ();
use Argon::Client::Session::Collect ();
use Argon::Client::Session::EventLoops    ();
use Argon::Client::Session::Inbox     ();
use Argon::Client::Session::Lending   ();
use Argon::Client::Session::Lifetime  ();
use Argon::Client::Session::Opening   ();
use Argon::Client::Session::WaitingReasons   ();
use Argon::Client::Session::Reconnect ();
use Argon::Client::Session::Sending   ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Client::Wait ();
use Argon::Client::Wait::Leaving ();
use Argon::Client::Wait::Lends ();
use Argon::Client::Wait::Long ();
use Argon::Error    ();
use Argon::Protocol qw(:all);
use Argon::Protocol::Ticket ();

use parent -norequire, 'Argon::Client::Session::EventLoops', 'Argon::Client::Session::Lending', 'Argon::Client::Session::Lifetime';

my $FLUSH_BYTES     = 65_536;
my $FLUSH_AFTER_S   = 0.002;
my $ACK_BYTES       = 24 * 256;
my $ACK_AFTER_S     = 0.02;
my $SILENCE_S       = 15;
# Shorter waits are not reported to the program.
my $SHORT_S         = 0.02;

# addresses: [[host, port], ...], or one Argon::Client::InTask, which is the task; key, give_up_after, trust (an Argon::Client::Net::Trust), remote_modules, on_waiting, on_interrupt as Argon::Client has them.
sub new {
    my ($class, %fields) = @_;
    my $self = bless { connections => 0, remote_modules => 1, loop_of => {}, on_interrupt => 'cancel', %fields }, $class;
    $self->{reconnect} = Argon::Client::Session::Reconnect->new(@{$self}{qw(addresses key give_up_after trust)});
    $self->_begin;
    $self->register;
    return $self;
}

sub _begin {
    my ($self) = @_;
    @{$self}{qw(process sequence incarnation)} = ($$, 0, undef);
    @{$self}{qw(secret identity)} = $self->_identity;
    @{$self}{qw(journal requests backlog held_back finished left unwanted ack)} = ({}, {}, [], [], [], {}, {}, q{});
    $self->{reasons} = Argon::Client::Session::WaitingReasons->new($self->{on_waiting});
    @{$self}{qw(link first in_flight credit_tasks credit_bytes sent_tasks sent_bytes)} = (undef, undef, 0, 0, 0, 0, 0);
    @{$self}{qw(unflushed flushed_at heard refusals closed turning request lends loop_lends)} = (0, 0, 0, 0, 0, 0, 0, 0, undef);
    return;
}

# A new secret, and the id of the session that follows from it: in the family of the task if it is in one.
sub _identity {
    my ($self) = @_;
    my $secret = Argon::Client::Net::Dial::random(SECRET_BYTES);
    my $family = $self->{task} && $self->{task}->refresh ? $self->{task}->family : undef;
    return ($secret, Argon::Protocol::Ticket::session_of($secret, $family));
}

sub next_id { return $_[0]{identity} . pack 'Q>', ++$_[0]{sequence} }

# Keeps the task and sends it as soon as credit allows: at once when the connection is quiet, together with others when
# many are made one after another.
sub offer {
    my ($self, $task) = @_;
    $self->connect if !$self->{connections} && !$self->{loops};
    $self->_check_open if $self->{closed};
    $self->{journal}{ $task->[TASK_ID] } = $task;
    my $link = $self->{link};
    if (!$link || @{ $self->{backlog} } || !Argon::Client::Session::Sending::send_task($self, $link, $task)) {
        push @{ $self->{backlog} }, $task;
        $self->poll if !(@{ $self->{backlog} } & 63) || !$link;
        return;
    }
    my $unflushed = ++$self->{unflushed};
    # Only from time to time is the manager woken for what is new, as long as it has enough to do.
    if (   $unflushed << 5 > $self->{in_flight}
        || length $link->{out} >= $FLUSH_BYTES
        || Time::HiRes::time() - $self->{flushed_at} > $FLUSH_AFTER_S)
    {
        $self->flush;
        $self->poll if $self->{in_flight} > 32;
    }
    elsif (!$self->{batching}) {
        $link->hand_over;
    }
    if ($self->{loops}) { $_->has_more for @{ $self->{loops} } }
    return;
}

# Finds a manager for the first time, or dies in words. A connection that was lost comes back by itself.
sub connect {
    my ($self) = @_;
    return if $self->{connections};
    my $connected = $self->{first} ||= [];
    $self->wait_for($connected);
    return;
}

# Waits until the record is done. What happens to it when that is left in another way is up to Argon::Client::Wait::Leaving.
sub wait_for {
    my ($self, $record, $leaving) = @_;
    return if $record->[TASK_DONE];
    my $wait = Argon::Client::Wait->choose;
    $leaving ||= Argon::Client::Wait::Leaving->new($self);
    @{$leaving}[1, 2] = ($record, $wait->parks ? $wait : undef);
    $record->[TASK_WAITERS]++;
    my $begun = $self->{heard} = Time::HiRes::time();
    my $lends = Argon::Client::Wait::Lends->new($self);
    my $long;
    while (!$record->[TASK_DONE]) {
        if    ($self->{turning} && $wait->parks) { $long ||= Argon::Client::Wait::Long->new($self); $wait->park($record) }
        elsif ($long)                            { $self->turn }
        else {
            my $left = $begun + $SHORT_S - Time::HiRes::time();
            if   ($left > 0) { $self->turn($left, 1) }
            else             { $long = Argon::Client::Wait::Long->new($self) }
        }
    }
    return;
}

# The caller gives up a record that is not done; others may still wait for it.
sub left {
    my ($self, $record) = @_;
    return if $record->[TASK_WAITERS] || $record->[TASK_CALLBACKS];
    return $self->cancel($record) if !$record->[TASK_COLLECTS];
    # A detached task goes on; what comes of it is kept for who collects it later.
    $self->{left}{ $record->[TASK_ID] } = $record;
    return;
}

# Does what can be done now, without waiting.
sub poll {
    my ($self) = @_;
    $self->turn(0) if !$self->{turning};
    return;
}

# One round: connects, writes, waits (at most $seconds, for ever if undef), reads, acts on timers.
sub turn {
    my ($self, $seconds, $from_loop) = @_;
    $self->_check_open if $self->{closed};
    $self->_round($seconds, $from_loop);
    if ($self->{loops}) { $_->update for @{ $self->{loops} } }
    $self->_announce if @{ $self->{finished} };
    return;
}

sub _round {
    my ($self, $seconds, $from_loop) = @_;
    local $self->{turning} = 1;
    my $link = $self->{link};
    if (!$link) {
        $link = $self->_connect(defined $seconds && $seconds == 0);
        $self->{reasons}->act($self, Time::HiRes::time()) if !$link && defined $self->{reasons}{at};
        return if !$link;
        $seconds = 0;    # who waits for the connection itself has it now
    }
    Argon::Client::Session::Sending::offer_again($self)         if @{ $self->{held_back} };
    Argon::Client::Session::Sending::send_backlog($self, $link) if @{ $self->{backlog} };
    my $now = Time::HiRes::time();
    $self->{reasons}->act($self, $now) if defined $self->{reasons}{at};
    $self->begins_to_wait($link) if $self->{lends} && (!defined $seconds || $seconds > 0);
    # Acknowledgements can wait for company, but not for ever: the manager keeps the outcomes meanwhile.
    my $flushed = length $self->{ack} >= $ACK_BYTES || $now - $self->{flushed_at} > $ACK_AFTER_S ? $self->flush : $link->flush;
    my $readable = 1;
    if (!defined $seconds || $seconds > 0) {
        my $pause = $self->_pause($seconds, $now);
        $readable = Argon::Client::Wait->choose->io($link->{handle}, !$flushed, $pause > 0 ? $pause : 0);
    }
    my $before     = $link->{received};
    my $unfinished = keys %{ $self->{journal} };
    $self->{arrived} = 0;
    if ($readable) {
        $link->read_some;
        Argon::Client::Session::Inbox::take($self, $link) if $link->{received} != $before;
    }
    if ($link->{received} != $before) {
        $self->{heard} = Time::HiRes::time();
        $self->{reasons}->progress($self->{heard}) if defined $self->{reasons}{at} && ($self->{arrived} || keys %{ $self->{journal} } != $unfinished);
    }
    elsif ((!defined $seconds || $from_loop) && !$self->{task} && Time::HiRes::time() - $self->{heard} > $SILENCE_S) {
        $link->{broken} ||= "the manager was silent for $SILENCE_S s";
    }
    Argon::Client::Session::Sending::send_backlog($self, $link) if @{ $self->{backlog} };
    $self->flush if length $link->{out};
    $self->_lose($link) if $link->{broken};
    return;
}

# Writes what waits in the buffer, acknowledgements first. True when nothing is left.
sub flush {
    my ($self) = @_;
    my $link = $self->{link} or return 1;
    if (length $self->{ack}) {
        my $limit = FRAME_BYTES_MAX - FRAME_BYTES_MAX % 24 - 24;
        $link->send_frame(ACK, substr $self->{ack}, 0, $limit, q{}) while length $self->{ack};
    }
    $self->{unflushed}  = 0;
    $self->{flushed_at} = Time::HiRes::time();
    return 1 if $link->flush;
    Argon::Client::Wait->choose->interrupt if $self->{turning};
    return 0;
}

# Marks a record as done, and queues it for those who wait.
sub settle {
    my ($self, $record) = @_;
    @{$record}[TASK_FRAME, TASK_BIG, TASK_BLOB, TASK_SHARED] = ();
    $record->[TASK_DONE] = 1;
    push @{ $self->{finished} }, $record;
    return;
}

# A derived value became known, perhaps outside of any round.
sub settle_derived {
    my ($self, $record) = @_;
    $self->settle($record);
    $self->_announce if !$self->{turning};
    return;
}

# Ends a record here, without the cluster, with an Argon::Error.
sub fail {
    my ($self, $record, $kind, $message) = @_;
    $record->[TASK_STATUS] = STATUS_LOST;
    $record->[TASK_ERROR]  = { kind => $kind, message => $message };
    return $self->settle($record);
}

# The manager has stored the detached task, and gives the token of its ticket: the client forgets it.
sub accepted {
    my ($self, $id, $token) = @_;
    my $task = $self->{journal}{$id};
    # Said twice: meanwhile its outcome may be what is waited for.
    return if !$task || $task->[TASK_COLLECTS];
    delete $self->{journal}{$id};
    $self->{in_flight}-- if ($task->[TASK_SENT_ON] || 0) == $self->{connections};
    @{$task}[TASK_STATUS, TASK_TOKEN] = (STATUS_OK, $token);
    return $self->settle($task);
}

sub send_blob_again {
    my ($self, $hash) = @_;
    for my $task (values %{ $self->{journal} }) {
        my ($blob) = grep { $_ && $_->[0] eq $hash } $task->[TASK_BLOB], @{ $task->[TASK_SHARED] || [] };
        return Argon::Client::Session::Sending::send_blob($self->{link}, $blob) if $blob;
    }
    return;
}

sub cancel {
    my ($self, $task) = @_;
    return if $task->[TASK_DONE] || $task->[TASK_CANCELLED]++;
    my $part_of = $task->[TASK_LEFT];
    return $part_of ? $part_of->() : undef if !defined $task->[TASK_ID];
    return Argon::Client::Session::Collect::give_up($self, $task) if $task->[TASK_COLLECTS];
    if (!$task->[TASK_SENT_ON] || $task->[TASK_HELD_BACK]) {
        delete $self->{journal}{ $task->[TASK_ID] };
        # The backlog skips it, because it is done.
        $self->fail($task, cancelled => 'the task was cancelled before it was sent');
        return $self->_announce;
    }
    $self->{link}->send_frame(CANCEL, $task->[TASK_ID]) if $self->{link};
    $self->flush;
    $self->tell_loops;
    return;
}

# Requests the outcome of the detached task of the ticket in the record's TASK_ID and TASK_TOKEN.
sub collect { return Argon::Client::Session::Collect::begin(@_) }

# Sends a REQUEST; the record gets the reply.
sub ask {
    my ($self, $what, $record, %fields) = @_;
    my $number = ++$self->{request};
    $self->{requests}{$number} = $record;
    my $json = JSON::PP->new->utf8->canonical->encode({ %fields, request => $number, what => $what });
    $record->[TASK_FRAME] = Argon::Protocol::frame(REQUEST, $json);
    $self->{link}{out} .= $record->[TASK_FRAME] if $self->{link};
    $self->tell_loops;
    return;
}

sub unfinished { return scalar keys %{ $_[0]{journal} } }

sub _connect {
    my ($self, $without_waiting) = @_;
    $self->release_loops;
    my ($link, $granted) = $self->{reconnect}->try($without_waiting) or return;
    return Argon::Client::Session::Opening::opened($self, $link, $granted);
}

sub _lose {
    my ($self, $link) = @_;
    $self->{refusals} = 0 if !$link->{refused};
    $self->release_loops;
    Argon::Client::Net::Segments::note_end($link->{where}, $link->handle);
    $link->close;
    @{$self}{qw(link in_flight)} = (undef, 0);
    return $self->{reconnect}->lost($link->broken, $self->{refusals}, $link->{refused});
}

# Seconds that this round may wait: the caller's limit, the next timer, the time after which silence means loss.
sub _pause {
    my ($self, $seconds, $now) = @_;
    return $seconds if defined $seconds && $seconds <= $SHORT_S;
    my $pause = $SILENCE_S - ($now - $self->{heard}) + 0.1;
    $pause = $seconds if defined $seconds && $seconds < $pause;
    my $ask_at = $self->{reasons}->at;
    $pause = $ask_at - $now if defined $ask_at && $ask_at - $now < $pause;
    for my $held (@{ $self->{held_back} }) {
        my $left = $held->[0] - $now;
        $pause = $left if $left < $pause;
    }
    return $pause;
}

# When an event loop has to come back though nothing was read.
sub next_deadline {
    my ($self) = @_;
    my $deadline = $self->{heard} + $SILENCE_S + 0.1;
    for my $held (@{ $self->{held_back} }) {
        $deadline = $held->[0] if $held->[0] < $deadline;
    }
    my $ask_at = $self->{reasons}->at;
    $deadline = $ask_at if defined $ask_at && $ask_at < $deadline;
    my $ack_at = $self->{flushed_at} + $ACK_AFTER_S + 0.001;
    return length $self->{ack} && $ack_at < $deadline ? $ack_at : $deadline;
}

# Wakes the threads and calls the callbacks of what is finished, outside of the round: they may wait for other tasks.
sub _announce {
    my ($self) = @_;
    my $wait = Argon::Client::Wait->choose;
    my $is_inner = $self->{batching};
    # Tasks that callbacks offer are handed over together.
    local $self->{batching} = 1;
    while (my $record = shift @{ $self->{finished} }) {
        $wait->wake($record) if $record->[TASK_THREADS];
        my $callbacks = $record->[TASK_CALLBACKS] or next;
        $record->[TASK_CALLBACKS] = undef;
        for my $callback (@{$callbacks}) {
            eval { $callback->(); 1 } or warn "A callback of an Argon task died: $@";
        }
    }
    $self->{link}->hand_over if !$is_inner && $self->{link} && length $self->{link}{out};
    return;
}

sub _end_all {
    my ($self, $kind, $message) = @_;
    my @records = (values %{ $self->{journal} }, values %{ $self->{requests} });
    $self->{journal}  = {};
    $self->{requests} = {};
    @{$self}{qw(backlog held_back)} = ([], []);
    $self->fail($_, $kind, $message) for @records;
    return $self->_announce;
}

sub _check_open {
    my ($self) = @_;
    die Argon::Error->new(kind => 'closed', message => 'This Argon client was shut down') if $self->{closed};
    return;
}

1;
