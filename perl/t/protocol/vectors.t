use strict;
use warnings;

use FindBin;

use Argon::Protocol qw(:all);
use Argon::Protocol::Handshake ();
use Argon::Protocol::Ticket ();
use Digest::SHA ();
use File::Temp ();
use JSON::PP ();
use Test::More;

my $FOLDER = "$FindBin::Bin/../../../spec/vectors";

sub file {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!";
    local $/;
    return scalar readline $file;
}

sub bytes { return pack 'H*', $_[0] }

my %LAYOUT = (
    SUBMIT,  [TASK_HEAD,    \@Argon::Protocol::TASK_FIELDS],
    RUN,     [TASK_HEAD,    \@Argon::Protocol::TASK_FIELDS],
    OUTCOME, [OUTCOME_HEAD, \@Argon::Protocol::OUTCOME_FIELDS],
    BLOB,    [BLOB_HEAD,    \@Argon::Protocol::BLOB_FIELDS],
);

my $frames = JSON::PP::decode_json(file("$FOLDER/frames.json"))->{frames};
for my $row (@{$frames}) {
    my $frame = bytes($row->{frame});
    my ($length, $kind) = unpack 'N C', $frame;
    is $length, length($frame) - 4, "the_length_counts_kind_and_body ($row->{name})";
    is $kind, $row->{kind}, "the_kind_is_the_fifth_byte ($row->{name})";
    # Between manager and worker there is a token in front, which no client or runner sees.
    my $layout = $row->{name} eq 'run, to a worker' ? undef : $LAYOUT{$kind};
    next if !$layout;
    my ($template, $names) = @{$layout};
    my %head;
    @head{@{$names}} = unpack $template, substr $frame, 5;
    $_ = unpack 'H*', $_ for grep {defined} @head{qw(id hash)};
    delete @head{ grep { !defined $head{$_} } keys %head };
    my %expected = map { $_ => $row->{fields}{$_} } @{$names};
    is_deeply \%head, \%expected, "the_head_is_read_in_one_go ($row->{name})";
}

# By hand, byte after byte, so that a mistake in the layout cannot be in both places.
my %frame_of = map { $_->{name} => $_->{frame} } @{$frames};
is $frame_of{'submit, plain'},
    '0000006a' . '11' . '000102030405060708090a0b0c0d0e0f' . '1122334455667788' . '00000000' . '0000' . '01' . '01'
    . '00000000' . '0000' . '00' . '01' . '00000000' . '00000000' . '00000000' . '00000000' . '0000000000000009'
    . '2ce0f20a6363e63bfee2bb6e908cd2a0387b6bfe9a303be38033c439aa650b9c' . '617267756d656e7473', 'a_submit_byte_after_byte';
is $frame_of{'outcome, ok'},
    '0000003e' . '33' . '000102030405060708090a0b0c0d0e0f' . '1122334455667788' . '00000001' . '00' . '00' . '0000'
    . '0102030405060708' . '00000000' . '00000000' . '0000000000000005' . '76616c7565', 'an_outcome_byte_after_byte';
is $frame_of{'credit'}, '00000011' . '19' . '0000000000010000' . '0000000010000000', 'a_credit_byte_after_byte';
is $frame_of{'answer, no'},
    '00000024' . '3d' . '000102030405060708090a0b0c0d0e0f' . '1122334455667788' . '00000002' . '00000008' . '01' . '6e6f',
    'an_answer_byte_after_byte';

my $handshake = JSON::PP::decode_json(file("$FOLDER/handshake.json"));
my $key = bytes($handshake->{cluster_key});
is_deeply [Argon::Protocol::Handshake::parse_key("$handshake->{key_line}\n")], ['cluster', $key, undef], 'a_key_line_is_read';
is_deeply [Argon::Protocol::Handshake::parse_key($_)], [], "a_broken_key_line_is_none ($_)" for @{ $handshake->{broken_lines} };

my $identity = JSON::PP::decode_json(file("$FOLDER/identity.json"));
is unpack('H*', Digest::SHA::sha256(bytes($identity->{certificate}))), $identity->{pin}, 'a_pin_is_the_hash_of_a_certificate';
is_deeply [Argon::Protocol::Handshake::parse_key($identity->{key_file})], ['cluster', $key, bytes($identity->{pin})], 'a_key_file_has_a_pin';
for my $role (sort keys %{ $identity->{role_key_lines} }) {
    is_deeply [Argon::Protocol::Handshake::parse_key($identity->{role_key_lines}{$role})],
        [$role, bytes($handshake->{role_keys}{$role}), bytes($identity->{pin})], "so_has_the_key_of_a_role ($role)";
}
my $client = $identity->{role_key_lines}{client};
is_deeply [Argon::Protocol::Handshake::parse_key($_)], [], "a_text_that_leaves_doubt_is_not_a_key ($_)"
    for @{ $identity->{broken_lines} }, "$client\npin 0b", "$client\npin " . '0c' x 32, "$client\n$client", "\npin $identity->{pin}";
is scalar(my @found = Argon::Protocol::Handshake::parse_key("$client\r\npin $identity->{pin}\r\nlater: x\r\n")), 3, 'lines_of_later_releases_are_ignored';
my $people = JSON::PP::decode_json(file("$FOLDER/people.json"));
for my $row (@{ $people->{keys} }) {
    is_deeply [Argon::Protocol::Handshake::parse_key($row->{line})],
        [$row->{role}, bytes($row->{secret}), bytes($people->{pin}), $row->{name}, $row->{id}], "the_key_of_a_person ($row->{name})";
}
is_deeply [Argon::Protocol::Handshake::parse_key($_)], [], "a_broken_key_of_a_person_is_none ($_)" for @{ $people->{broken_lines} };
for my $role (sort keys %{ $handshake->{role_keys} }) {
    is unpack('H*', Argon::Protocol::Handshake::role_key($key, $role)), $handshake->{role_keys}{$role}, "the_key_of_a_role ($role)";
}
for my $row (@{ $handshake->{proofs} }) {
    my $role_key   = bytes($row->{role_key});
    my $transcript = Argon::Protocol::Handshake::transcript($row->{hello}, $row->{challenge}, bytes($row->{channel}));
    is unpack('H*', $transcript), $row->{transcript}, "the_transcript ($row->{name})";
    is unpack('H*', Argon::Protocol::Handshake::dialler_proof($role_key, $transcript)), $row->{dialler_proof}, "the_diallers_proof ($row->{name})";
    is unpack('H*', Argon::Protocol::Handshake::listener_proof($role_key, $transcript)), $row->{listener_proof}, "the_listeners_proof ($row->{name})";
    # HMAC by its definition, with nothing of our own.
    my ($inner, $outer) = map { my $pad = $_; join q{}, map { chr(ord ^ $pad) } split //, $role_key . "\0" x 32 } 0x36, 0x5c;
    is unpack('H*', Digest::SHA::sha256($outer . Digest::SHA::sha256("${inner}argon-v1 dialler proof\0$transcript"))), $row->{dialler_proof},
        "the_proof_is_an_hmac ($row->{name})";
}
is Argon::Protocol::Handshake::transcript('ab', 'c'), "\0\0\0\2ab\0\0\0\1c" . "\0" x 32, 'a_plain_channel_is_32_zero_bytes';
my $secrets = JSON::PP::decode_json(file("$FOLDER/secrets.json"));
for my $row (@{ $secrets->{sessions} }) {
    is unpack('H*', Argon::Protocol::Ticket::session_of(bytes($row->{secret}))), $row->{session}, "the_session_of_a_secret ($row->{secret})";
    is unpack('H*', Argon::Protocol::Ticket::session_of(bytes($row->{secret}), bytes($row->{family}))), $row->{child}, '... and in a family';
}
for my $row (@{ $secrets->{tickets} }) {
    my ($id, $token) = map { bytes($_) } @{$row}{qw(id token)};
    is_deeply [Argon::Protocol::Ticket::parse($row->{text})], [$id, $token], 'a_ticket_is_read';
    is Argon::Protocol::Ticket::text($id, $token), $row->{text}, 'a_ticket_is_written';
}
is_deeply [Argon::Protocol::Ticket::parse($_)], [], 'a_broken_ticket_is_none' for @{ $secrets->{broken_tickets} };

ok Argon::Protocol::Handshake::is_same('abc', 'abc') && !Argon::Protocol::Handshake::is_same('abc', 'abd'), 'proofs_are_compared';

{
    my $folder = File::Temp->newdir;
    system $^X, "$FindBin::Bin/../../maint/make-vectors.pl", "$folder";
    is file("$folder/$_"), file("$FOLDER/$_"), "the_vectors_are_what_the_script_writes ($_)" for qw(frames.json handshake.json identity.json secrets.json);
}

done_testing;
