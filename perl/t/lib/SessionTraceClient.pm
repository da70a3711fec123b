package SessionTraceClient;

# Owns a session of this distribution for a trace of spec/traces/session: it plays the inputs, on a socket whose other end it
# holds and with a clock that it sets, and says what the session did, in the words of the trace.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use IO::Handle  ();
use JSON::PP    ();
use Socket      qw(AF_UNIX PF_UNSPEC SOCK_STREAM);
use Time::HiRes ();

my $now = 1_000_000_000;

BEGIN {
    no warnings 'redefine';
    *Time::HiRes::time = sub () { return $now };
}

use Argon::Client::Net::Link          ();
use Argon::Client::Session            ();
use Argon::Client::Session::Reconnect ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Protocol qw(:all);

my $STEP_S        = 0.01;
my $CREDIT_TASKS  = 100;
my $CREDIT_BYTES  = 10_000;
my $FOREIGN       = "\xee" x 16;
my $TOKEN         = "\xdd" x 16;
my %STATUS        = map { $Argon::Protocol::STATUS_NAME[$_] => $_ } 0 .. $#Argon::Protocol::STATUS_NAME;

sub new {
    my ($class) = @_;
    my $session = Argon::Client::Session->new(addresses => [['127.0.0.1', 1]], key => undef);
    my $reconnect = $session->{reconnect} = bless $session->{reconnect}, 'SessionTraceClient::Reconnect';
    return bless {
        session => $session, reconnect => $reconnect, id_of => {}, name_of => {}, blob_of => {}, waits => {}, number_of => {}, socket => undef,
        read => q{}, unwritten => q{}, done => [],
    }, $class;
}

# Plays an input; returns what the session did.
sub play {
    my ($self, $input) = @_;
    $self->{done} = [];
    my ($actor, @words) = split q{ }, $input;
    my $method = $actor eq 'time' ? 'pass' : join '_', $actor, lc shift @words;
    die "no input is called: $input\n" if !$self->can($method);
    # What tasks print is not for the output of the test.
    open my $nowhere, '>', '/dev/null' or die "/dev/null: $!";
    local *STDOUT = $nowhere;
    $self->$method(@words);
    $self->_settle;
    return $self->{done};
}

sub network_connect {
    my ($self, %credit) = _named(@_);
    socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC or die "socketpair: $!";
    $_->blocking(0) for $ours, $theirs;
    @{$self}{qw(socket read unwritten)} = ($ours, q{}, q{});
    $self->{reconnect}{next} = [
        Argon::Client::Net::Link->new($theirs, where => 'the trace'),
        { credit_tasks => $credit{tasks} // $CREDIT_TASKS, credit_bytes => $credit{bytes} // $CREDIT_BYTES, incarnation => '0a' x 16 },
    ];
    return;
}

sub network_loss {
    my ($self) = @_;
    close $self->{socket};
    $self->{socket} = undef;
    return;
}

sub user_submit {
    my ($self, $name, @arguments) = @_;
    my %is = map { $_ => 1 } @arguments;
    my %value = map { split /=/, $_, 2 } grep {/=/} @arguments;
    my $session = $self->{session};
    my $id = $self->_names($name, $session->next_id);
    my @blobs = map { s/\Ablob=//r } grep {/\Ablob=/} @arguments;
    my $payload = 'x' x ($value{bytes} // 1);
    my $hashes = join q{}, map { sha256($_) } @blobs;
    @{ $self->{blob_of} }{ map { sha256($_) } @blobs } = @blobs;
    my $flags = ($is{detached} ? FLAG_DETACHED : 0) | ($is{never_twice} ? FLAG_NEVER_TWICE : 0);
    my $head = pack TASK_HEAD, $id, 0, $flags, 1, RUNTIME_PERL, 0, 0, 0, scalar @blobs, 0, 0, 0, 0, length $payload;
    my @record;
    @record[TASK_ID, TASK_FRAME, TASK_BYTES, TASK_OPTIONS, TASK_WANTS_LIST] = (
        $id, Argon::Protocol::frame(SUBMIT, $head . $hashes . $payload), length($payload) + length $hashes,
        { no_wait => $is{once}, capture => 1 }, 0,
    );
    my ($code, @shared) = map { [sha256($_), $_] } @blobs;
    $record[TASK_BLOB] = $code;
    $record[TASK_SHARED] = \@shared if @shared;
    $self->{waits}{$name} = { record => \@record, is_detached => $is{detached} };
    return $session->offer(\@record);
}

sub user_cancel { return $_[0]{session}->cancel(($_[0]{waits}{ $_[1] } || $_[0]{ended}{ $_[1] })->{record}) }
sub user_close  { return $_[0]{session}->close }

sub user_collect {
    my ($self, $name, undef, $task) = @_;
    my $record = [$self->_id($task)];
    $record->[TASK_TOKEN] = $TOKEN;
    $self->{waits}{$name} = { record => $record };
    return $self->{session}->collect($record);
}

sub user_leave { return $_[0]{session}->cancel($_[0]{waits}{ $_[1] }{record}) }

sub user_request {
    my ($self, $name) = @_;
    my $record = [];
    $self->{session}->ask(status => $record);
    $self->{waits}{$name} = { record => $record, is_request => 1 };
    return;
}

sub manager_outcome {
    my ($self, $name, $status, %value) = _named(@_);
    return $self->_send(OUTCOME, pack OUTCOME_HEAD, $self->_id($name), $value{attempt} // 1, $STATUS{$status}, 0, 0, 7, 0, 0, 0);
}

sub manager_accepted  { return $_[0]->_send(ACCEPTED, $_[0]->_id($_[1]) . $TOKEN) }
sub manager_need_blob { return $_[0]->_send(NEED_BLOB, sha256($_[1])) }
sub manager_ping      { return $_[0]->_send(PING, '12345678') }
sub manager_goodbye   { return $_[0]->_send(GOODBYE, '{"reason":"it leaves"}') }
sub manager_refused   { return $_[0]->_send(REFUSED, qq({"code":"$_[1]","message":"no"})) }

sub manager_reply {
    my ($self, $name) = @_;
    return $self->_send(REPLY, qq({"request":$self->{number_of}{$name},"ok":true}));
}

sub manager_credit {
    my ($self, %total) = _named(@_);
    return $self->_send(CREDIT, pack 'Q> Q>', @total{qw(tasks bytes)});
}

sub manager_output {
    my ($self, $name, %value) = _named(@_);
    return $self->_send(OUTPUT, pack('a24 N C', $self->_id($name), $value{attempt}, 1) . 'x' x $value{bytes});
}

sub manager_ask {
    my ($self, $name) = @_;
    return $self->_send(ASK, pack('a24 N N', $self->_id($name), 1, 1) . '{"kind":"riddle"}');
}

sub pass {
    my ($self, $duration) = @_;
    my ($seconds) = $duration =~ /\A(\d+)s\z/ or die "not a time: $duration\n";
    for (1 .. $seconds / $STEP_S) {
        $now += $STEP_S;
        $self->_settle;
    }
    return;
}

# Arguments as they are, and those with a name by it.
sub _named {
    my ($self, @arguments) = @_;
    return $self, map { /=/ ? split /=/, $_, 2 : $_ } @arguments;
}

sub _names {
    my ($self, $name, $id) = @_;
    $self->{id_of}{$name} = $id;
    $self->{name_of}{$id} = $name;
    return $id;
}

# A name that nothing was submitted under is a task of another client.
sub _id {
    my ($self, $name) = @_;
    return $self->{id_of}{$name} // $self->_names($name, $FOREIGN . pack 'Q>', 1 + keys %{ $self->{id_of} });
}

sub _send {
    my ($self, $kind, $body) = @_;
    $self->{unwritten} .= Argon::Protocol::frame($kind, $body);
    return;
}

# Lets the session do all that it has to do now.
sub _settle {
    my ($self) = @_;
    my $session = $self->{session};
    my $idle = 0;
    while ($idle < 3) {
        my $moved = 0;
        if (length $self->{unwritten}) {
            $moved = syswrite($self->{socket}, $self->{unwritten}) || 0;
            substr $self->{unwritten}, 0, $moved, q{};
        }
        $session->poll if !$session->{closed};
        $moved += $self->_read;
        $idle = $moved ? 0 : $idle + 1;
    }
    for my $name (sort grep { $self->{waits}{$_}{record}[TASK_DONE] } keys %{ $self->{waits} }) {
        push @{ $self->{done} }, "gives $name " . _end_of($self->{waits}{$name});
        $self->{ended}{$name} = delete $self->{waits}{$name};
    }
    return;
}

sub _end_of {
    my ($wait) = @_;
    my $record = $wait->{record};
    return $record->[TASK_ERROR]{kind} if $record->[TASK_ERROR];
    return 'reply'    if $wait->{is_request};
    return 'accepted' if $wait->{is_detached} && $record->[TASK_STATUS] == STATUS_OK;
    return $Argon::Protocol::STATUS_NAME[$record->[TASK_STATUS]];
}

# Takes in what the session wrote; how many bytes that was.
sub _read {
    my ($self) = @_;
    return 0 if !$self->{socket};
    my $count = sysread $self->{socket}, $self->{read}, 1_048_576, length $self->{read};
    while (length $self->{read} >= 5) {
        my $length = unpack 'N', $self->{read};
        last if length $self->{read} < 4 + $length;
        my ($kind, $body) = unpack 'x4 C a*', substr $self->{read}, 0, 4 + $length, q{};
        push @{ $self->{done} }, $self->_effects_of($kind, $body);
    }
    if (defined $count && !$count) {
        close $self->{socket};
        $self->{socket} = undef;
        push @{ $self->{done} }, 'hangs up';
    }
    return $count || 0;
}

sub _effects_of {
    my ($self, $kind, $body) = @_;
    my $word = $Argon::Protocol::KIND_NAME{$kind};
    my $name = $self->{name_of}{ substr $body, 0, 24 };
    return map {"$word $self->{name_of}{$_}"} unpack '(a24)*',  $body if $kind == ACK || $kind == CANCEL;
    return map {"$word $self->{name_of}{$_}"} unpack '(a24 x16)*', $body if $kind == COLLECT;
    return 'BLOB ' . $self->{blob_of}{ substr $body, 0, 32 } if $kind == BLOB;
    return "ANSWER $name " . (ord substr($body, 32, 1) == ANSWER_NO ? 'no' : 'yes') if $kind == ANSWER;
    return sprintf 'OUTPUT_CREDIT %s attempt=%d bytes=%d', $name, unpack 'x24 N Q>', $body if $kind == OUTPUT_CREDIT;
    if ($kind == SUBMIT) {
        my $flags = unpack 'x28 n', $body;
        return join q{ }, "SUBMIT $name", $flags & FLAG_OFFERED_AGAIN ? 'again' : (), $flags & FLAG_DETACHED ? 'detached' : (),
            $flags & FLAG_NEVER_TWICE ? 'never_twice' : ();
    }
    if ($kind == REQUEST) {
        my $request = JSON::PP->new->utf8->decode($body);
        return if $request->{what} eq 'waiting';
        my ($asked) = grep { $self->{waits}{$_}{is_request} } keys %{ $self->{waits} };
        $self->{number_of}{$asked} = $request->{request};
        return "REQUEST $asked";
    }
    return $word;
}

package SessionTraceClient::Reconnect;

use parent -norequire, 'Argon::Client::Session::Reconnect';

# The connection of the trace, if it has one.
sub try {
    my ($self) = @_;
    my $next = delete $self->{next} or return;
    $self->{connected} = 1;
    return @{$next};
}

1;
