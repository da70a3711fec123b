package TestManager::Process;

# Owns the process of TestManager: its clients, its tasks in memory and its runners.

use strict;
use warnings;

use Argon::Protocol qw(:all);
use Argon::Protocol::Handshake ();
use Argon::Protocol::Ticket ();
use Digest::SHA qw(sha256);
use JSON::PP ();
use RunnerProcess;

my $JSON = JSON::PP->new->utf8->canonical;

my $DEADLINE_S = 120;
my $INCARNATION = '0a' x 16;
my $TICKETS_KEY = 'tickets of the test manager';

sub serve {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    push @{ $self->{runners} }, _start_runner() for 1 .. $self->{slots} // 2;
    my $end = time + $DEADLINE_S;
    while (time < $end) {
        my %watched = (fileno($self->{listener}) => sub { $self->accept });
        for my $client (values %{ $self->{clients} }) {
            $watched{ fileno $client->{socket} } = sub { $self->read_client($client) };
        }
        for my $runner (grep { $_->{task} } @{ $self->{runners} }) {
            $watched{ fileno $runner->{process}{socket} } = sub { $self->read_runner($runner) };
        }
        my ($readable, $writable) = (q{}, q{});
        vec($readable, $_, 1) = 1 for keys %watched;
        for my $client (values %{ $self->{clients} }) {
            vec($writable, fileno $client->{socket}, 1) = 1 if length $client->{out};
        }
        select $readable, $writable, undef, 1;
        for my $client (values %{ $self->{clients} }) {
            my $written = length $client->{out} ? syswrite $client->{socket}, $client->{out}, 65_536 : 0;
            substr $client->{out}, 0, $written || 0, q{};
        }
        $watched{$_}->() for grep { vec $readable, $_, 1 } keys %watched;
        $self->dispatch;
    }
    return;
}

sub _start_runner {
    my $process = RunnerProcess->start;
    $process->ready;
    $_->blocking(0) for @{$process}{qw(output errors)};
    return { process => $process, blobs => {}, task => undef };
}

sub accept {
    my ($self) = @_;
    my $socket = $self->{listener}->accept or return;
    $socket->blocking(0);
    $self->{clients}{ fileno $socket } = { socket => $socket, in => q{}, out => q{}, stage => 'magic', partial => {} };
    return;
}

sub read_client {
    my ($self, $client) = @_;
    return if !defined fileno $client->{socket};
    my $read = sysread $client->{socket}, $client->{in}, 1_000_000, length $client->{in};
    return $self->drop($client) if !$read;
    if ($client->{stage} eq 'magic') {
        return if length $client->{in} < 4;
        return $self->drop($client) if substr($client->{in}, 0, 4, q{}) ne 'ARGN';
        $client->{stage} = 'hello';
    }
    while (length $client->{in} >= 5) {
        my $length = unpack 'N', $client->{in};
        last if length $client->{in} < 4 + $length;
        my ($kind, $body) = unpack 'x4 C a*', substr $client->{in}, 0, 4 + $length, q{};
        $self->on_frame($client, $kind, $body);
        last if !$self->{clients}{ fileno($client->{socket}) // -1 };
    }
    return;
}

sub drop {
    my ($self, $client) = @_;
    return if !defined fileno $client->{socket};
    delete $self->{clients}{ fileno $client->{socket} };
    close $client->{socket};
    return;
}

sub say_to {
    my ($self, $client, $kind, $body) = @_;
    $client->{out} .= Argon::Protocol::frame($kind, $body);
    return;
}

sub on_frame {
    my ($self, $client, $kind, $body) = @_;
    if    ($kind == HELLO) { $self->on_hello($client, $body) }
    elsif ($kind == PROOF) { $self->on_proof($client, $body) }
    elsif ($client->{stage} ne 'open') { $self->drop($client) }
    elsif ($kind == OPEN)    { $self->on_open($client, $body) }
    elsif ($kind == OFFERED) { $client->{offered} = 1 }
    elsif ($kind == SUBMIT)  { $self->on_payload($client, SUBMIT, $body) }
    elsif ($kind == BLOB)    { $self->on_payload($client, BLOB, $body) }
    elsif ($kind == CHUNK)   { $self->on_chunk($client, $body) }
    elsif ($kind == ACK)     { delete $self->{tasks}{$_} for unpack '(a24)*', $body }
    elsif ($kind == CANCEL)  { $self->on_cancel($client, $_) for unpack '(a24)*', $body }
    elsif ($kind == COLLECT) { $self->on_collect($client, unpack 'a24 a16', $_) for unpack '(a40)*', $body }
    elsif ($kind == REQUEST) { $self->on_request($client, $body) }
    elsif ($kind == ANSWER)  { $self->to_runner_of(substr($body, 0, 24), ANSWER, $body) }
    elsif ($kind == PING)    { $self->say_to($client, PONG, $body) }
    elsif ($kind == GOODBYE) { $self->on_goodbye($client) }
    return;
}

sub on_hello {
    my ($self, $client, $hello) = @_;
    my $said = $JSON->decode($hello);
    my $version = $self->{version} // PROTOCOL_VERSION;
    if ($said->{min} > $version && !$self->{insists}) {
        $self->say_to($client, REFUSED, $JSON->encode({ code => 'version', message => "this manager speaks version $version" }));
        syswrite $client->{socket}, $client->{out};
        return $self->drop($client);
    }
    my $role = $said->{role};
    my $challenge = $JSON->encode({ version => $version, nonce => unpack 'H*', pack 'L8', map { rand 2**32 } 1 .. 8 });
    $client->{role_key}   = Argon::Protocol::Handshake::role_key($self->{cluster_key}, $role);
    $client->{transcript} = Argon::Protocol::Handshake::transcript($hello, $challenge);
    return $self->say_to($client, CHALLENGE, $challenge);
}

sub on_proof {
    my ($self, $client, $proof) = @_;
    my @known = @{$client}{qw(role_key transcript)};
    if ($proof ne Argon::Protocol::Handshake::dialler_proof(@known)) {
        $self->say_to($client, REFUSED, $JSON->encode({ code => 'key', message => 'the key does not open this manager' }));
        syswrite $client->{socket}, $client->{out};
        return $self->drop($client);
    }
    $client->{stage} = 'open';
    my $answer = $self->{no_listener_proof} ? 'x' x 32 : Argon::Protocol::Handshake::listener_proof(@known);
    @{$client}{qw(granted_tasks granted_bytes)} = ($self->{credit_tasks} // 65_536, $self->{credit_bytes} // 268_435_456);
    return $self->say_to($client, WELCOME, $answer . $JSON->encode({
        incarnation => $self->{incarnation} // $INCARNATION, release => '0.1.0', capabilities => [],
        credit_tasks => $client->{granted_tasks}, credit_bytes => $client->{granted_bytes},
    }));
}

sub on_open {
    my ($self, $client, $body) = @_;
    my $open = $JSON->decode($body);
    my $session = Argon::Protocol::Ticket::session_of(pack 'H*', $open->{secret});
    if ($open->{session} ne unpack 'H*', $session) {
        $self->say_to($client, REFUSED, $JSON->encode({ code => 'session', message => 'the secret is not that of the session' }));
        return;
    }
    $client->{session} = $open->{session};
    $self->{connections}++;
    push @{ $self->{previous} }, $open->{previous};
    return;
}

sub on_payload {
    my ($self, $client, $kind, $body) = @_;
    my ($head, $stream, $length);
    if ($kind == SUBMIT) {
        my ($blobs, $meta);
        ($blobs, $meta, $stream, $length) = unpack 'x39 C x8 N N Q>', $body;
        $head = TASK_HEAD_BYTES + 32 * $blobs + $meta;
    }
    else {
        ($stream, $length) = unpack 'x32 N Q>', $body;
        $head = BLOB_HEAD_BYTES;
    }
    my $whole = [$kind, substr($body, 0, $head), substr($body, $head), $length];
    return $self->on_whole($client, $whole) if length $whole->[2] >= $length;
    $client->{partial}{$stream} = $whole;
    return;
}

sub on_chunk {
    my ($self, $client, $body) = @_;
    my $stream = unpack 'N', $body;
    my $whole = $client->{partial}{$stream} or return $self->drop($client);
    $whole->[2] .= substr $body, 4;
    return if length $whole->[2] < $whole->[3];
    return $self->on_whole($client, delete $client->{partial}{$stream});
}

sub on_whole {
    my ($self, $client, $whole) = @_;
    my ($kind, $head, $payload) = @{$whole};
    if ($kind == BLOB) {
        $self->{blobs}{ substr $head, 0, 32 } = $payload;
        return;
    }
    my ($id, $flags) = unpack 'a24 x4 n', $head;
    $client->{tasks_given}++;
    $client->{bytes_given} += length $payload;
    if ($client->{tasks_given} > $client->{granted_tasks}) {
        $self->say_to($client, REFUSED, $JSON->encode({ code => 'credit', message => 'more tasks than granted' }));
        return;
    }
    if (($self->{reject} // 0) > 0) {
        $self->{reject}--;
        $self->grant($client, length $payload);
        return $self->say_to($client, OUTCOME, outcome_head($id, STATUS_REJECTED, '{"message":"the queue is at its size"}'));
    }
    my $known = $self->{tasks}{$id};
    if ($known) {
        $known->{client} = $client;
        $self->deliver($known) if $known->{outcome};
        return;
    }
    my $task = $self->{tasks}{$id}
        = { id => $id, head => $head, payload => $payload, client => $client, detached => $flags & FLAG_DETACHED };
    $self->say_to($client, ACCEPTED, $id . _token($id)) if $task->{detached};
    push @{ $self->{queue} }, $task;
    return;
}

sub outcome_head {
    my ($id, $status, $report, $attempt) = @_;
    return pack(OUTCOME_HEAD, $id, $attempt // 1, $status, 0, 0, 0, length $report, 0, 0) . $report;
}

sub dispatch {
    my ($self) = @_;
    for my $runner (@{ $self->{runners} }) {
        next if $runner->{task};
        my $task = shift @{ $self->{queue} } or last;
        my $hash = unpack('x39 C', $task->{head}) ? substr $task->{head}, TASK_HEAD_BYTES, 32 : undef;
        if (defined $hash && !defined $self->{blobs}{$hash}) {
            $self->say_to($task->{client}, NEED_BLOB, $hash);
            push @{ $self->{queue} }, $task;
            last;
        }
        my $process = $runner->{process};
        my $attempt = pack 'N', 1;
        substr $task->{head}, 24, 4, $attempt;
        if (defined $hash && !$runner->{blobs}{$hash}++) {
            my $text = $self->{blobs}{$hash};
            $process->send_frame(BLOB, pack(BLOB_HEAD, $hash, 7, length $text));
            $process->send_frame(CHUNK, pack('N', 7) . $_) for unpack '(a262144)*', $text;
        }
        my $big = length $task->{payload} > PART_BYTES_MAX;
        substr $task->{head}, 52, 4, pack 'N', $big ? 9 : 0;
        $process->send_frame(RUN, $task->{head} . ($big ? q{} : $task->{payload}));
        if ($big) { $process->send_frame(CHUNK, pack('N', 9) . $_) for unpack '(a262144)*', $task->{payload} }
        $runner->{task} = $task;
    }
    return;
}

sub read_runner {
    my ($self, $runner) = @_;
    my $task = $runner->{task} or return;
    my ($kind, $body) = $runner->{process}->next_frame;
    if (!defined $kind) {
        my $status = $runner->{process}->end;
        my $report = $JSON->encode({ message => $status & 127 ? 'the process was killed' : 'the process exited with ' . ($status >> 8),
            $status & 127 ? (signal => $status & 127) : (exit => $status >> 8), host => 'here', attempt => 1, attempts => 1 });
        $task->{outcome} = [outcome_head($task->{id}, STATUS_DIED, $report), []];
        %{$runner} = %{ _start_runner() };
        return $self->deliver($task);
    }
    if ($kind == OUTCOME) {
        my ($stream, $length) = unpack 'x44 N Q>', $body;
        my @chunks;
        my $left = $length - (length($body) - OUTCOME_HEAD_BYTES);
        while ($left > 0) {
            my (undef, $chunk) = $runner->{process}->next_frame;
            $left -= length($chunk) - 4;
            push @chunks, $chunk;
        }
        $self->forward_output($runner, $task);
        $runner->{task} = undef;
        $task->{outcome} = [$body, \@chunks];
        return $self->deliver($task);
    }
    return $self->say_to($task->{client}, $kind, $body);
}

sub forward_output {
    my ($self, $runner, $task) = @_;
    for my $pair ([1, 'output'], [2, 'errors']) {
        my ($descriptor, $name) = @{$pair};
        while (sysread $runner->{process}{$name}, my $text, 65_536) {
            $self->say_to($task->{client}, OUTPUT, pack('a24 N C', $task->{id}, 1, $descriptor) . $text);
        }
    }
    return;
}

sub deliver {
    my ($self, $task) = @_;
    my $client = $task->{client} or return;
    return if !$self->{clients}{ fileno($client->{socket}) // -1 } || $task->{detached} && !$task->{is_collected};
    if ($self->{cut_after} && ++$self->{outcomes} >= $self->{cut_after}) {
        $self->{cut_after} = 0;
        return $self->drop($client);
    }
    $self->grant($client, length $task->{payload});
    my ($body, $chunks) = @{ $task->{outcome} };
    $self->say_to($client, OUTCOME, $body);
    $self->say_to($client, CHUNK, $_) for @{$chunks};
    return;
}

sub grant {
    my ($self, $client, $bytes) = @_;
    return $self->say_to($client, CREDIT, pack 'Q> Q>', ++$client->{granted_tasks}, $client->{granted_bytes} += $bytes);
}

sub on_cancel {
    my ($self, $client, $id) = @_;
    my $task = $self->{tasks}{$id} or return;
    my ($runner) = grep { $_->{task} && $_->{task}{id} eq $id } @{ $self->{runners} };
    %{$runner} = %{ _start_runner() } if $runner;
    @{ $self->{queue} } = grep { $_->{id} ne $id } @{ $self->{queue} };
    $task->{outcome} = [outcome_head($id, STATUS_CANCELLED, '{"message":"the task was cancelled"}'), []];
    return $self->deliver($task);
}

sub _token { return substr sha256($TICKETS_KEY . $_[0]), 0, 16 }

sub on_collect {
    my ($self, $client, $id, $token) = @_;
    my $task = $self->{tasks}{$id};
    return $self->say_to($client, OUTCOME, outcome_head($id, STATUS_LOST, '{"message":"there is no such task"}', 0))
        if !$task || $token ne _token($id);
    @{$task}{qw(client is_collected)} = ($client, 1);
    return $task->{outcome} ? $self->deliver($task) : undef;
}

sub on_request {
    my ($self, $client, $body) = @_;
    my $request = $JSON->decode($body);
    if ($request->{what} eq 'waiting') {
        # As a manager that does not know it.
        $self->{waiting_asked}++;
        return $self->say_to($client, REPLY, $JSON->encode({ request => $request->{request}, ok => JSON::PP::false(), message => 'unknown' }));
    }
    return $self->say_to($client, REPLY, $JSON->encode({
        request => $request->{request}, ok => JSON::PP::true(), workers => 1, total_capacity => scalar @{ $self->{runners} },
        current_capacity => scalar(grep { !$_->{task} } @{ $self->{runners} }), queue_length => scalar @{ $self->{queue} },
        pending => scalar keys %{ $self->{tasks} }, connections => $self->{connections},
        submitted => $client->{tasks_given} // 0, waiting_asked => $self->{waiting_asked} // 0,
        previous => $self->{previous},
    }));
}

sub on_goodbye {
    my ($self, $client) = @_;
    @{ $self->{queue} } = grep { $_->{client} != $client || $_->{detached} } @{ $self->{queue} };
    return $self->drop($client);
}

sub to_runner_of {
    my ($self, $id, $kind, $body) = @_;
    my ($runner) = grep { $_->{task} && $_->{task}{id} eq $id } @{ $self->{runners} } or return;
    return $runner->{process}->send_frame($kind, $body);
}

1;
