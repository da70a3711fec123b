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

my $FOLDER = $ARGV[0] // "$FindBin::Bin/../../spec/vectors";
my $JSON   = JSON::PP->new->canonical->indent->indent_length(2)->space_after;

my $ID   = pack 'H32 Q>', '000102030405060708090a0b0c0d0e0f', 0x1122334455667788;
# A receiver checks a blob against its hash, so this is a true one.
my $HASH = Digest::SHA::sha256('sub { 1 }');

# A session of the same family as the first id's.
my $CHILD_SESSION = pack 'H32', '0001020304050607a1a2a3a4a5a6a7a8';
my $TOKEN         = pack 'H32', 'd0d1d2d3d4d5d6d7d8d9dadbdcdddedf';

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
    return frame_row($name, $kind, $body,
        { %head, id => hex_of($ID), blobs => [map { hex_of($_) } @blobs], meta => $meta, payload => hex_of($payload) });
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
    frame_row('collect',  COLLECT,  $ID . $SECOND, {%ids}),
    frame_row('accepted', ACCEPTED, $ID . $SECOND, {%ids}),
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
        'child_open', CHILD_OPEN,
        sprintf('{"worker":"%s","task":"%s","attempt":2,"session":"%s","client":"perl/0.1.0","host":"here","pid":7}',
            'e0' x 16, hex_of($ID), hex_of($CHILD_SESSION)),
        { worker => 'e0' x 16, task => hex_of($ID), attempt => 2, session => hex_of($CHILD_SESSION), client => 'perl/0.1.0', host => 'here', pid => 7 },
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
my $challenge = '{"version":1,"nonce":"' . '2b' x 32 . '"}';

sub handshake_row {
    my ($name, $role, $channel) = @_;
    my $role_key   = Argon::Protocol::Handshake::role_key($cluster_key, $role);
    my $hello      = '{"capabilities":[],"max":1,"min":1,"nonce":"' . '1a' x 32 . qq{","role":"$role"\}};
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
