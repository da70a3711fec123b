#!/usr/bin/perl

# Writes spec/vectors/*.json: the byte strings that every implementation is tested with. Nothing here is taken from
# chance or clock, so that running it twice changes nothing. The values are chosen so that no two fields look alike.

use strict;
use warnings;
no warnings 'portable';

use FindBin;
use lib "$FindBin::Bin/../lib";

use Digest::SHA ();
use JSON::PP ();

use Argon::Protocol qw(:all);
use Argon::Protocol::Handshake ();
use Argon::Protocol::Ticket ();

my $FOLDER = $ARGV[0] // "$FindBin::Bin/../../spec/vectors";
my $JSON   = JSON::PP->new->canonical->indent->indent_length(2)->space_after;

my $ID   = pack 'H32 Q>', '000102030405060708090a0b0c0d0e0f', 0x1122334455667788;
# A receiver checks a blob against its hash, so this is a true one.
my $HASH = Digest::SHA::sha256('sub { 1 }');

my $SECRET        = pack 'H64', 'c0c1c2c3c4c5c6c7c8c9cacbcccdcecf' x 2;
my $WORKER_SECRET = pack 'H64', 'b0b1b2b3b4b5b6b7b8b9babbbcbdbebf' x 2;
my $SESSION       = Argon::Protocol::Ticket::session_of($SECRET);
# A session of the same family as the first id's.
my $CHILD_SESSION = Argon::Protocol::Ticket::session_of($SECRET, substr $ID, 0, 8);
my $TOKEN         = pack 'H32', 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf';
my $INCARNATION   = '9a' x 16;
my $ATTEMPT_TOKEN = 0x8182838485868788;

# What only workers and managers derive, and no part of this distribution does: ids of workers, tokens of attempts and tickets.
sub worker_of { return substr Digest::SHA::sha256("argon worker\0$_[0]"), 0, 16 }

sub capability {
    my ($cluster_key, $label, $bytes) = @_;
    return substr Digest::SHA::hmac_sha256($bytes, Digest::SHA::hmac_sha256("argon-v2 $label", $cluster_key)), 0, 16;
}

sub attempt_token {
    my ($cluster_key, $worker, $id, $attempt) = @_;
    return sip_hash_2_4(capability($cluster_key, 'attempts', $worker), $id . pack 'N', $attempt);
}

# SipHash-2-4 by its definition: a key of 16 bytes and bytes give a u64.
sub sip_hash_2_4 {
    my ($key, $bytes) = @_;
    my ($k0, $k1) = unpack 'Q< Q<', $key;
    my @v = ($k0 ^ 0x736f6d6570736575, $k1 ^ 0x646f72616e646f6d, $k0 ^ 0x6c7967656e657261, $k1 ^ 0x7465646279746573);
    my $last = (length($bytes) & 0xff) << 56 | unpack 'Q<', substr($bytes, length($bytes) & ~7) . "\0" x 8;
    for my $word (unpack('Q<*', substr $bytes, 0, length($bytes) & ~7), $last) {
        $v[3] ^= $word;
        sip_round(\@v) for 1 .. 2;
        $v[0] ^= $word;
    }
    $v[2] ^= 0xff;
    sip_round(\@v) for 1 .. 4;
    return $v[0] ^ $v[1] ^ $v[2] ^ $v[3];
}

sub sip_round {
    my ($v) = @_;
    my $sum    = sub { use integer; return unpack 'Q', pack 'q', $_[0] + $_[1] };
    my $rotate = sub { return $_[0] << $_[1] | $_[0] >> 64 - $_[1] };
    $v->[0] = $sum->($v->[0], $v->[1]);
    $v->[2] = $sum->($v->[2], $v->[3]);
    $v->[1] = $rotate->($v->[1], 13) ^ $v->[0];
    $v->[3] = $rotate->($v->[3], 16) ^ $v->[2];
    $v->[0] = $rotate->($v->[0], 32);
    $v->[2] = $sum->($v->[2], $v->[1]);
    $v->[0] = $sum->($v->[0], $v->[3]);
    $v->[1] = $rotate->($v->[1], 17) ^ $v->[2];
    $v->[3] = $rotate->($v->[3], 21) ^ $v->[0];
    $v->[2] = $rotate->($v->[2], 32);
    return;
}

sub hex_of { return unpack 'H*', $_[0] }

# One row: what it is, the decoded fields, the bytes of the whole frame.
sub frame_row {
    my ($name, $kind, $body, $fields) = @_;
    return {
        name   => $name,
        kind   => $kind + 0,
        fields => $fields,
        frame  => hex_of(Argon::Protocol::frame($kind, $body)),
    };
}

sub task_row {
    my ($name, $kind, %given) = @_;
    my @blobs   = @{ $given{blobs} || [] };
    my $meta    = $given{meta}    // q{};
    my $payload = $given{payload} // q{};
    my %head = (
        id => $ID, attempt => 0, flags => 0, priority => 1, runtime => 1, timeout_ms => 0, retries => 0, codec => 0,
        backoff_ms => 0, memory_mib => 0, stream => 0, payload_length => length $payload, %{ $given{head} || {} },
        blob_count => scalar @blobs, meta_length => length $meta,
    );
    my $body = pack(TASK_HEAD, @head{@Argon::Protocol::TASK_FIELDS}) . join(q{}, @blobs) . $meta . $payload;
    my %fields = (%head, id => hex_of($ID), blobs => [map { hex_of($_) } @blobs], meta => $meta, payload => hex_of($payload));
    return frame_row($name, $kind, $body, \%fields) if !defined $given{token};
    return frame_row($name, $kind, pack('Q>', $given{token}) . $body, { %fields, token => sprintf '%016x', $given{token} });
}

sub outcome_row {
    my ($name, %given) = @_;
    my $report  = $given{report}  // q{};
    my $payload = $given{payload} // q{};
    my %head = (
        id => $ID, attempt => 1, status => 0, codec => 0, flags => 0, run_us => 0, stream => 0,
        payload_length => length $payload, %{ $given{head} || {} }, meta_length => length $report,
    );
    my $body = pack(OUTCOME_HEAD, @head{@Argon::Protocol::OUTCOME_FIELDS}) . $report . $payload;
    return frame_row($name, OUTCOME, $body, { %head, id => hex_of($ID), report => $report, payload => hex_of($payload) });
}

sub blob_row {
    my ($name, $bytes, %head) = @_;
    %head = (stream => 0, length => length $bytes, %head);
    return frame_row($name, BLOB, pack(BLOB_HEAD, $HASH, @head{qw(stream length)}) . $bytes,
        { %head, hash => hex_of($HASH), bytes => hex_of($bytes) });
}

my $SECOND = pack 'H32 Q>', 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 2;
my %ids = (ids => [hex_of($ID), hex_of($SECOND)]);
my @tokens = map { pack 'H32', $_ x 16 } 'e1', 'e2';
my %tickets = (tickets => [Argon::Protocol::Ticket::text($ID, $tokens[0]), Argon::Protocol::Ticket::text($SECOND, $tokens[1])]);
my $tickets = $ID . $tokens[0] . $SECOND . $tokens[1];

my @frames = (
    task_row('submit, plain', SUBMIT, payload => 'arguments', blobs => [$HASH]),
    task_row(
        'submit, every field set', SUBMIT,
        head => {
            flags => 0x00ff, priority => 2, runtime => 2, timeout_ms => 0x01020304, retries => 0x0506, codec => 1,
            backoff_ms => 0x0708090a, memory_mib => 0x0b0c0d0e,
        },
        blobs => [$HASH, scalar reverse $HASH], meta => '{"label":"a label"}', payload => '[1,2]',
    ),
    task_row('submit, a payload in a stream', SUBMIT, blobs => [$HASH], payload => 'begins',
        head => { stream => 0x0f101112, payload_length => 0x13141516 }),
    task_row('run, by name', RUN, head => { attempt => 3, flags => 0x0080 }, meta => '{"class":"My::Task"}', payload => 'x'),
    task_row('run, to a worker', RUN, head => { attempt => 3, flags => 0x0080 }, meta => '{"class":"My::Task"}', payload => 'x',
        token => $ATTEMPT_TOKEN),
    outcome_row('outcome, ok', payload => 'value', head => { run_us => 0x0102030405060708 }),
    outcome_row('outcome, error', payload => 'thrown', head => { status => 1 }),
    outcome_row('outcome, died', report => '{"attempt":2,"message":"killed by signal 9","signal":9}', head => { status => 2, attempt => 2 }),
    outcome_row('outcome, rejected', report => '{"message":"the queue is at its size"}', head => { status => 6, attempt => 0 }),
    outcome_row('outcome, a payload in a stream', head => { stream => 5, payload_length => 300_000 }),
    blob_row('blob, whole', 'sub { 1 }'),
    blob_row('blob, in a stream', 'sub', stream => 6, length => 400_000),
    frame_row('need_blob', NEED_BLOB, $HASH, { hashes => [hex_of($HASH)] }),
    frame_row('chunk', CHUNK, pack('N', 6) . 'more', { stream => 6, bytes => hex_of('more') }),
    frame_row('offered', OFFERED, q{}, {}),
    frame_row('ack',      ACK,      $ID . $SECOND, {%ids}),
    frame_row('cancel',   CANCEL,   $ID . $SECOND, {%ids}),
    frame_row('collect',  COLLECT,  $tickets, {%tickets}),
    frame_row('accepted', ACCEPTED, $tickets, {%tickets}),
    frame_row('credit', CREDIT, pack('Q> Q>', 65_536, 268_435_456), { tasks => 65_536, bytes => 268_435_456 }),
    frame_row('output', OUTPUT, pack('a24 N C', $ID, 2, 1) . "line\n", { id => hex_of($ID), attempt => 2, fd => 1, bytes => hex_of("line\n") }),
    frame_row('output_credit', OUTPUT_CREDIT, pack('a24 N Q>', $ID, 2, 524_288), { id => hex_of($ID), attempt => 2, bytes => 524_288 }),
    frame_row('ask', ASK, pack('a24 N N', $ID, 2, 7) . '{"kind":"perl-module","name":"Foo/Bar.pm"}',
        { id => hex_of($ID), attempt => 2, ask => 7, question => '{"kind":"perl-module","name":"Foo/Bar.pm"}' }),
    frame_row('answer, yes', ANSWER, pack('a24 N N C', $ID, 2, 7, 0) . '1;', { id => hex_of($ID), attempt => 2, ask => 7, status => 0, bytes => hex_of('1;') }),
    frame_row('answer, no', ANSWER, pack('a24 N N C', $ID, 2, 8, 1) . 'no', { id => hex_of($ID), attempt => 2, ask => 8, status => 1, bytes => hex_of('no') }),
    outcome_row('outcome, of a runner that leaves', payload => 'value', head => { flags => OUTCOME_LEAVES }),
    frame_row('child', CHILD, sprintf('{"token":"%s","task":"%s","attempt":2}', hex_of($TOKEN), hex_of($ID)),
        { token => hex_of($TOKEN), task => hex_of($ID), attempt => 2 }),
    frame_row(
        'open', OPEN,
        sprintf('{"client":"perl/0.1.0","host":"here","pid":7,"secret":"%s","session":"%s"}', hex_of($SECRET), hex_of($SESSION)),
        { client => 'perl/0.1.0', host => 'here', pid => 7, secret => hex_of($SECRET), session => hex_of($SESSION) },
    ),
    frame_row(
        'open, after a loss', OPEN,
        sprintf(
            '{"client":"perl/0.1.0","host":"here","pid":7,"previous":"%s","secret":"%s","session":"%s"}',
            $INCARNATION, hex_of($SECRET), hex_of($SESSION),
        ),
        { client => 'perl/0.1.0', host => 'here', pid => 7, previous => $INCARNATION, secret => hex_of($SECRET), session => hex_of($SESSION) },
    ),
    frame_row('held', HELD, pack('a24 N Q> a24 N Q>', $ID, 3, $ATTEMPT_TOKEN, $SECOND, 1, 0xf), {
        held => [[hex_of($ID), 3, sprintf '%016x', $ATTEMPT_TOKEN], [hex_of($SECOND), 1, sprintf '%016x', 0xf]],
    }),
    frame_row(
        'child_open', CHILD_OPEN,
        sprintf(
            '{"worker":"%s","task":"%s","attempt":2,"token":"%016x","session":"%s","secret":"%s","client":"perl/0.1.0","host":"here","pid":7}',
            hex_of(worker_of($WORKER_SECRET)), hex_of($ID), $ATTEMPT_TOKEN, hex_of($CHILD_SESSION), hex_of($SECRET),
        ),
        {
            worker => hex_of(worker_of($WORKER_SECRET)), task => hex_of($ID), attempt => 2, token => sprintf('%016x', $ATTEMPT_TOKEN),
            session => hex_of($CHILD_SESSION), secret => hex_of($SECRET), client => 'perl/0.1.0', host => 'here', pid => 7,
        },
    ),
    frame_row('waits', WAITS, "\1", { waits => 1 }),
    frame_row('goes on', WAITS, "\0", { waits => 0 }),
    frame_row('lent', LENT, pack('a24 N C', $ID, 2, 1), { id => hex_of($ID), attempt => 2, waits => 1 }),
    frame_row('fork', FORK, pack('Q> a16', 0x0102030405060708, $TOKEN), { runner => 0x0102030405060708, token => hex_of($TOKEN) }),
    frame_row('forked', FORKED, pack('Q> N', 0x0102030405060708, 4711), { runner => 0x0102030405060708, pid => 4711 }),
    frame_row('forked, not', FORKED, pack('Q> N N', 0x0102030405060708, 0, 11), { runner => 0x0102030405060708, pid => 0, errno => 11 }),
    frame_row('log', LOG, pack('a24 N', $ID, 2) . '{"level":30,"logger":"name","message":"so","file":"a.py","line":7,"time":1.5}',
        { id => hex_of($ID), attempt => 2, record => '{"level":30,"logger":"name","message":"so","file":"a.py","line":7,"time":1.5}' }),
    frame_row('ready, of a template', READY, '{"claims":false,"pid":7,"runtime":"perl","template":true,"version":"5.36.0"}',
        { claims => JSON::PP::false, pid => 7, runtime => 'perl', template => JSON::PP::true, version => '5.36.0' }),
    frame_row('ping', PING, 'abcdefgh', { bytes => hex_of('abcdefgh') }),
    frame_row('pong', PONG, 'abcdefgh', { bytes => hex_of('abcdefgh') }),
);

my $cluster_key = pack 'H64', '00112233445566778899aabbccddeeff' x 2;
my $challenge = '{"version":2,"nonce":"' . '2b' x 32 . '"}';

sub handshake_row {
    my ($name, $role, $channel) = @_;
    my $role_key   = Argon::Protocol::Handshake::role_key($cluster_key, $role);
    my $hello      = '{"capabilities":[],"max":2,"min":2,"nonce":"' . '1a' x 32 . qq{","role":"$role"\}};
    my $transcript = Argon::Protocol::Handshake::transcript($hello, $challenge, $channel);
    return {
        name => $name, role => $role, role_key => hex_of($role_key), hello => $hello, challenge => $challenge,
        channel => hex_of($channel), transcript => hex_of($transcript),
        dialler_proof  => hex_of(Argon::Protocol::Handshake::dialler_proof($role_key, $transcript)),
        listener_proof => hex_of(Argon::Protocol::Handshake::listener_proof($role_key, $transcript)),
    };
}

my %handshake = (
    cluster_key  => hex_of($cluster_key),
    key_line     => 'argon1-cluster-' . hex_of($cluster_key),
    role_keys    => { map { $_ => hex_of(Argon::Protocol::Handshake::role_key($cluster_key, $_)) } qw(client worker observer admin) },
    broken_lines => ['argon1-cluster-0011', 'argon1-guest-' . '00' x 32, 'argon2-cluster-' . '00' x 32, q{}],
    proofs       => [handshake_row('plain', 'client', "\0" x 32), handshake_row('with a certificate', 'worker', "\xcc" x 32)],
);

# A manager's certificate follows from the cluster key, and is the same in every release. crates/argon-net/src/identity.rs makes
# it, and its test compares. Its pin is its SHA-256.
my $certificate = pack 'H*', 
    '3081ce308181a003020102020101300506032b65703010310e300c06035504030c056172676f6e3020170d3030303130313030303030305a'
    . '180f39393939313233313233353935395a3010310e300c06035504030c056172676f6e302a300506032b657003210026c0fe72ad3049f90a'
    . '0c35213cc3ed3a537b1ce5048e7eff0a2950feedac2dd8300506032b65700341002dcbcd4d4437521920f79a7f1f8c6d05e680f94f9ea87e'
    . 'e993f99047668d98c9b0aef25ec32b7d3903ae52f0f07761d9fa8bd7cf50a28ff1faa3ab90877abe07';
my $pin         = hex_of(Digest::SHA::sha256($certificate));
my $seed        = hex_of(Digest::SHA::hmac_sha256('argon-v1 identity', $cluster_key));
my %lines = map { $_ => "argon1-$_-" . hex_of(Argon::Protocol::Handshake::role_key($cluster_key, $_)) . "-$pin" } qw(client worker observer admin);
my %identity = (
    cluster_key_line => $handshake{key_line},
    key_file         => "$handshake{key_line}\npin $pin\n",
    seed             => $seed,
    certificate      => hex_of($certificate),
    pin              => $pin,
    alpn             => 'argon/' . substr($pin, 0, 16),
    role_key_lines   => \%lines,
    broken_lines     => [
        "$lines{client}-", "$lines{client}0", substr($lines{client}, 0, -1), substr($lines{client}, 0, -64), $lines{client} =~ s/-/_/r,
    ],
);

my $FAMILY = substr $ID, 0, 8;
my $ticket = Argon::Protocol::Ticket::text($ID, $tokens[0]);
my %secrets = (
    sessions => [
        map {
            {
                secret => hex_of($_), session => hex_of(Argon::Protocol::Ticket::session_of($_)), family => hex_of($FAMILY),
                child => hex_of(Argon::Protocol::Ticket::session_of($_, $FAMILY)), worker => hex_of(worker_of($_)),
            }
        } $SECRET, $WORKER_SECRET, "\0" x 32
    ],
    tickets => [{ text => $ticket, id => hex_of($ID), token => hex_of($tokens[0]) }],
    capabilities => {
        cluster_key => hex_of($cluster_key),
        tickets     => [map { Argon::Protocol::Ticket::text($_, capability($cluster_key, 'tickets', $_)) } $ID, $SECOND],
        attempts    => [
            map {
                my ($secret, $id, $attempt) = @{$_};
                my $worker = worker_of($secret);
                {
                    worker => hex_of($worker), id => hex_of($id), attempt => $attempt,
                    token  => sprintf '%016x', attempt_token($cluster_key, $worker, $id, $attempt),
                }
            } [$WORKER_SECRET, $ID, 1], [$WORKER_SECRET, $ID, 2], [$SECRET, $ID, 1], [$SECRET, $SECOND, 0xffff_ffff]
        ],
    },
    broken_tickets => [
        q{}, q{-}, hex_of($ID), hex_of($ID) . q{-}, "$ticket\n", " $ticket", "${ticket}0", substr($ticket, 1), substr($ticket, 0, -1), uc $ticket,
        $ticket =~ s/-/_/r, $ticket =~ s/-//r, "$ticket-",
    ],
);

sub store {
    my ($name, $content) = @_;
    open my $file, '>', "$FOLDER/$name" or die "$FOLDER/$name: $!\n";
    print {$file} $JSON->encode($content);
    close $file or die "$FOLDER/$name: $!\n";
    return;
}

mkdir $FOLDER if !-d $FOLDER;
store('frames.json',    { frames => \@frames });
store('handshake.json', \%handshake);
store('identity.json',  \%identity);
store('secrets.json',   \%secrets);
