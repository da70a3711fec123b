# Connections over TLS: what travels on them, and which managers a client refuses. As python/tests/test_tls.py.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../../lib", "$FindBin::Bin/../lib";

use Cluster;
use File::Temp ();
use IO::Socket::INET ();
use POSIX ();
use Socket qw(inet_pton pack_sockaddr_in pack_sockaddr_in6 AF_INET AF_INET6);
use Test::More;
use Time::HiRes ();
use TLSFront;

use Argon::Client;
use Argon::Client::Net::TLS ();

my $lack = Argon::Client::Net::TLS::lack();
plan skip_all => "no TLS: $lack" if defined $lack;

# Loopback is as good as a network.
delete @ENV{ grep { /\AARGON_/ && $_ ne 'ARGON_BIN' } keys %ENV };
$ENV{ARGON_TLS} = 'always';

my $cluster = Cluster->up(slots => 2);
my $front   = TLSFront->start($cluster);

# What a client says that cannot connect, and 'connected' from one that can.
sub refusal {
    my ($port, $key, %more) = @_;
    local $@;
    my $is_connected = eval { Argon::Client->new(host => '127.0.0.1', port => $port, key => $key, give_up_after => 0, %more)->connect; 1 };
    return $is_connected ? 'connected' : "$@";
}

my $big = join q{}, map { chr int rand 256 } 1 .. 65_536;
$big = join q{}, map { pack('N', $_) . $big } 1 .. 128;

# Everything twice: by IO::Socket::SSL, and by the program as a helper.
for my $way ('by IO::Socket::SSL', 'by the program') {
    local @ENV{qw(ARGON_TLS_TUNNEL ARGON_PROGRAM)} = $way =~ /SSL/ ? (0, q{}) : (1, Cluster::binary());
    my @before = children();
    my $client = Argon::Client->new($cluster->client_arguments, on_waiting => undef);
    is $client->queue(sub { $_[0] + 1 }, [4]), 5, "a_call $way";
    my @waiting = map { $client->defer(sub { scalar reverse $_[0] }, [$big]) } 1 .. 3;
    is_deeply [$client->map(sub { $_ * 2 }, [1 .. 500])], [map { $_ * 2 } 1 .. 500], "many_small_ones_meanwhile $way";
    my $expected = reverse $big;
    is scalar(grep { $_->get eq $expected } @waiting), 3, "big_payloads_both_ways_at_once $way";

    my $child = fork // die "fork: $!";
    POSIX::_exit(eval { $client->queue(sub { 3 }) } // 99) if !$child;
    waitpid $child, 0;
    is $? >> 8, 3, "a_forked_child_has_a_connection_of_its_own $way";
    is $client->queue(sub { 2 }), 2, "... and_leaves_that_of_its_parent $way";
    is_deeply [children()], \@before, "no_helper_is_left_to_wait_for $way";

    my $count = 0;
    local $SIG{ALRM} = sub { $count++ };
    Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0.005, 0.005);
    ok $client->queue(sub { $_[0] }, [$big]) eq $big, "signals_meanwhile_harm_no_record $way";
    Time::HiRes::setitimer(Time::HiRes::ITIMER_REAL(), 0);
    ok $count, "... and_came $way";

    like refusal($cluster->port, TLSFront::role_key($cluster, 'ab' x 32)), qr/abababababababab/, "another_pin_is_refused $way";
}

# A peer that does not read for a while.
{
    my $client = Argon::Client->new($front->client_arguments, on_waiting => undef);
    $client->connect;
    kill STOP => $front->process;
    my @waiting = map { $client->defer(sub { length $_[0] }, [$big]) } 1 .. 3;
    ok !(grep { $_->is_ready } @waiting), 'a_peer_that_does_not_read_holds_up_nobody';
    kill CONT => $front->process;
    is_deeply [map { $_->get } @waiting], [(length $big) x 3], '... and_gets_everything';
}

# A manager that is killed and comes back, and a helper that is killed.
{
    my $lossy = Cluster->new;
    my @start = (manager => '--store' => 'memory', '--port');
    my $ready = $lossy->start(@start, 0);
    ($lossy->{port}) = $ready->{addr} =~ /:(\d+)\z/;
    $lossy->start(worker => '--port' => 0, '--manager' => $ready->{addr}, '--workers' => 2);
    my @ways = map {
        local $ENV{ARGON_TLS_TUNNEL} = $_;
        Argon::Client->new($lossy->client_arguments, on_waiting => undef);
    } 0, 1;
    local $ENV{ARGON_PROGRAM} = Cluster::binary();
    my $nap     = sub { select undef, undef, undef, 0.02; return $_[0] };
    my @waiting = map { my $client = $_; [map { $client->defer($nap, [$_]) } 1 .. 20] } @ways;
    is_deeply [map { $_->[0]->get } @waiting], [1, 1], 'tasks_run both ways';
    $lossy->kill_process($ready->{process});
    $ready = $lossy->start(@start, $lossy->port);
    is_deeply [map { $_->get } map { @{$_} } @waiting], [1 .. 20, 1 .. 20],
        'all_outcomes_come_from_a_manager_that_is_killed_and_started_again both ways';

    my $address = '127.0.0.1:' . $lossy->port;
    my ($helper, @others) = helpers($address);
    is scalar(@others), 0, 'a_connection_has_one_helper';
    my ($client) = splice @ways, 1;
    @waiting = map { $client->defer($nap, [$_]) } 1 .. 10;
    $client->flush;
    kill KILL => $helper;
    is_deeply [map { $_->get } @waiting], [1 .. 10], 'all_outcomes_come_although_the_helper_is_killed';
    $client->shutdown;
    my $end = Time::HiRes::time() + 20;
    Time::HiRes::sleep(0.01) while helpers($address) && Time::HiRes::time() < $end;
    is_deeply [helpers($address)], [], 'a_helper_ends_with_its_client';
}

# The processes that this one would have to wait for.
sub children {
    open my $handle, '<', "/proc/$$/task/$$/children" or return;
    return split q{ }, readline($handle) // q{};
}

# The processes that are a tunnel to this address.
sub helpers {
    my ($address) = @_;
    my @found;
    for my $file (glob '/proc/[0-9]*/cmdline') {
        open my $handle, '<', $file or next;
        my $words = readline $handle;
        push @found, $file =~ /(\d+)/ if defined $words && $words =~ /\x{0}tunnel\x{0}.*\x{0}\Q$address\E\x{0}/s;
    }
    return @found;
}

like refusal($front->port, TLSFront::role_key($cluster, 'ab' x 32)),
    qr/is not the manager that your key names: its certificate is [0-9a-f]{16}\.\.\., and the key's pin is abababababababab\.\.\./,
    'the_holder_of_a_clients_key_cannot_play_the_manager';
like refusal(TLSFront->start($cluster, relays => 1)->port, $front->key), qr/does not open the manager/,
    'a_relay_is_found_out_even_with_the_pin_of_its_certificate';
like refusal($front->port, TLSFront::role_key($cluster)), qr/does not name the manager to trust.*argon key --role client.*tls_ca/,
    'a_key_without_a_pin_is_refused';

{
    my $line = TLSFront::cluster_line($cluster);
    local $ENV{PATH} = '/nonexistent';
    like refusal($front->port, $line), qr/copy the manager's key file.*neither PATH nor ARGON_PROGRAM leads to `argon`/, 'so_is_a_cluster_key_without_one';
    my $folder = File::Temp->newdir;
    my $write  = sub {
        my ($name, $mode, $text) = @_;
        open my $file, '>', "$folder/$name" or die $!;
        print {$file} $text;
        close $file;
        chmod $mode, "$folder/$name";
        return "$folder/$name";
    };
    my $pin = TLSFront::pin_of('other');
    is refusal($front->port, $write->('key', oct '600', "$line\npin $pin\nof a later release: 1\n")), 'connected',
        'the_pin_is_in_the_key_file';
    local $ENV{ARGON_PROGRAM} = '/bin/false';
    like refusal($front->port, $line), qr{`/bin/false key --pin` did not print it}, 'a_program_that_fails_is_named';
    $ENV{ARGON_PROGRAM}
        = $write->('program', oct '700', qq{#!/bin/sh\ncase "\$ARGON_KEY \$*" in "$line key --pin") echo $pin ;; *) exit 9 ;; esac\n});
    is refusal($front->port, $line), 'connected', '... or_the_program_derives_it';
}

{
    my $by_ca = TLSFront->start($cluster, certificate => 'by_ca');
    my $key   = TLSFront::role_key($cluster);
    is refusal($by_ca->port, $key, tls_ca => TLSFront::ca_file()), 'connected', 'a_ca_vouches_for_an_address';
    is refusal($by_ca->port, $key, tls_ca => TLSFront::ca_file(), host => 'localhost'), 'connected', '... and_for_a_name';
    local $ENV{ARGON_TLS_CA} = TLSFront::ca_file();
    is refusal($by_ca->port, $key), 'connected', '... by_the_environment';
}
my %problem = (
    expired   => qr/has expired: this machine's clock says 20/,
    to_come   => qr/is not valid yet: this machine's clock says 20/,
    elsewhere => qr/is for another name than 127\.0\.0\.1/,
    other     => qr/is not of the CA in/,
);
like refusal(TLSFront->start($cluster, certificate => $_)->port, $front->key, tls_ca => TLSFront::ca_file()), $problem{$_},
    "a_certificate_that_the_ca_does_not_vouch_for_is_refused ($_)" for sort keys %problem;
like refusal($front->port, $front->key, tls_ca => '/nonexistent'),
    qr{The file /nonexistent, named by tls_ca or ARGON_TLS_CA, cannot be read}, 'a_ca_that_is_missing_is_named';
like refusal($front->port, $front->key, tls_ca => __FILE__), qr/holds no certificate in PEM/, 'a_ca_that_is_none_is_named';

# What does not speak the client's language.
my @answers = (
    ["HTTP/1.1 400 Bad Request\r\n\r\n", qr/does not speak TLS, so/],
    ["SSH-2.0-OpenSSH_9.2\r\n",          qr/does not speak TLS, so/],
    [q{},                                qr/closed the connection during the TLS handshake/],
    ["\x15\3\3\0\2\2\x46",               qr/does not speak TLS 1\.3/],
    ["\x15\3\3\0\2\2\x32",               qr/speaks TLS, and this client plain text/, insecure_plaintext => 1],
);
for my $case (@answers) {
    my ($answer, $expected, @more) = @{$case};
    my $listener = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die $!;
    my $server = fork // die "fork: $!";
    if (!$server) {
        alarm 30;
        my $peer = $listener->accept;
        sysread $peer, my $hello, 65_536;
        syswrite $peer, $answer;
        POSIX::_exit(0);
    }
    like refusal($listener->sockport, $front->key, @more), $expected,
        'what_does_not_speak_the_clients_language_is_told ' . unpack 'H14', $answer;
    waitpid $server, 0;
}

# Which addresses are spoken to in plain text.
my %is_local = (
    '127.0.0.1' => 1, '127.9.8.7' => 1, '10.0.0.1' => 0, '128.0.0.1' => 0, '::1' => 1, '::ffff:127.0.0.1' => 1,
    '::ffff:10.0.0.1' => 0, 'fe80::1' => 0, '::127.0.0.1' => 0,
);
for my $address (sort keys %is_local) {
    my $packed = $address =~ /:/ ? pack_sockaddr_in6(1, inet_pton(AF_INET6, $address)) : pack_sockaddr_in(1, inet_pton(AF_INET, $address));
    local $ENV{ARGON_TLS};
    is !!Argon::Client::Net::Trust->new->wants_tls($packed), !$is_local{$address}, "only_this_machine_is_spoken_to_in_plain_text ($address)";
    $ENV{ARGON_TLS} = 'always';
    ok +Argon::Client::Net::Trust->new->wants_tls($packed), "... and_not_even_that_if_so_wanted ($address)";
    ok !Argon::Client::Net::Trust->new(insecure_plaintext => 1)->wants_tls($packed), "... but_everything_if_plain ($address)";
    local $ENV{ARGON_INSECURE_PLAINTEXT} = 1;
    ok !Argon::Client::Net::Trust->new->wants_tls($packed), "... by_the_environment ($address)";
    ok +Argon::Client::Net::Trust->new(insecure_plaintext => 0)->wants_tls($packed), "... which_the_option_beats ($address)";
}
{
    local $ENV{ARGON_TLS} = 'sometimes';
    like eval { Argon::Client->new(port => 1); 1 } // "$@", qr/ARGON_TLS must be auto or always, not 'sometimes'/, 'a_bad_variable_is_refused';
    $ENV{ARGON_TLS} = 'auto';
    local $ENV{ARGON_INSECURE_PLAINTEXT} = 'perhaps';
    like eval { Argon::Client->new(port => 1); 1 } // "$@", qr/ARGON_INSECURE_PLAINTEXT must be 1 or 0, not 'perhaps'/, '... so_is_another';
}

# Without IO::Socket::SSL and without the program both remedies are named.
{
    local $ENV{PATH} = '/nonexistent';
    my @hidden = ($^X, '-I', "$FindBin::Bin/../../lib", '-e', <<'END', $front->port, $front->key);
BEGIN { unshift @INC, sub { die "Can't locate $_[1] in \@INC\n" if $_[1] eq 'IO/Socket/SSL.pm' } }
use Argon::Client;
eval { Argon::Client->new(host => '127.0.0.1', port => $ARGV[0], key => $ARGV[1])->connect };
print $@;
END
    open my $said, '-|', @hidden or die "fork: $!";
    like join(q{}, readline $said),
        qr/must be encrypted, and this perl cannot: IO::Socket::SSL is not installed\. Install IO::Socket::SSL.*put the program `argon` into PATH/,
        'a_perl_that_cannot_encrypt_names_both_remedies';
}

done_testing;
