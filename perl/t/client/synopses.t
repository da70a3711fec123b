use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Cluster;
use File::Find ();
use Test::More;

# The synopsis of each module is a program that runs, with what stands here before it, and does what stands here behind it.
my $CLIENT = q{use Argon::Client; my $client = Argon::Client->new(host => 'mgrhost', port => 8000); };
my %around = (
    'Argon'         => [q{}, q{$sum == 11 or die $sum}],
    'Argon::Client' => [
        q{my ($url, @files) = ('so', $0); { package My::Fetch; sub new { my ($class, $url) = @_; return bless { url => $url }, $class } sub run { return "page $_[0]{url}" } } },
        q{"$sum $same @sizes $page" eq join ' ', 11, 11, -s $0, 'page so' or die "$sum $same @sizes $page"},
    ],
    'Argon::Code' => [q{use Argon::Code; my $x = 41; }, q{$value == 42 or die $value}],
    'Argon::Data' => [q{use Argon::Data; }, q{$list->[1]{list}[0] == 7 or die}],
    'Argon::Deferred' => [$CLIENT . q{sub slow { return "so $_[0]" } my $input = 'it is'; }, q{"$value $same $length" eq 'so it is so it is 8' or die}],
    'Argon::Error'    => [
        $CLIENT . q{my ($code, @args, $seen) = (sub { exit 3 }); sub reschedule { die } local $SIG{__WARN__} = sub { $seen = "@_" }; },
        q{$seen =~ /exit/ or die $seen},
    ],
    'Argon::Memory'   => [q{}, q{}],
    'Argon::Protocol' => [q{my $body = "\0" x 56; }, q{length $frame == 13 or die}],
    'Argon::Protocol::Handshake' => [
        q{my ($text, $hello, $challenge) = ('argon1-cluster-' . '5a' x 32, '{}', '{}'); },
        q{length $proof == 32 or die},
    ],
    'Argon::Protocol::Text'   => [q{}, q{"$line|$lines" eq "box?[2J|one\ntwo?" or die}],
    'Argon::Protocol::Ticket' => [
        q{my ($secret, $id, $token) = ("\0" x 32, "\1" x 24, "\2" x 16); },
        q{length $session == 16 && length $text == 81 or die},
    ],
    'Argon::Shared' => [
        $CLIENT . q{use List::Util 'sum'; my %price_of = (tea => 3, salt => 1); my $order = ['tea']; my @orders = (['tea', 'salt'], $order); }
            . q{sub total { my ($prices, $order) = @_; return sum(map { $prices->{$_} } @{$order}) } },
        q{"@totals $same" eq '4 3 3' or die "@totals $same"},
    ],
    'Argon::Simple' => [
        q{BEGIN { package My::Resize; sub new { my ($class, $name) = @_; return bless { name => $name }, $class } sub run { return length $_[0]{name} } } },
        q{$deferred->() == 42 && $size == 9 or die $size},
    ],
);
# A runner is started by its worker, with a descriptor of its own.
my %left_out = ('Argon::Runner' => 1);

my $lib = "$FindBin::Bin/../../lib";
my %synopsis;
File::Find::find({ no_chdir => 1, wanted => sub {
    return if !/\.p(?:m|od)\z/;
    open my $file, '<:encoding(UTF-8)', $_ or die "$_: $!";
    my $text = do { local $/; readline $file };
    my $name = m{\Q$lib\E/(.*)\.p} ? $1 =~ s{/}{::}gr : die $_;
    my ($lines) = $text =~ /^=head1 SYNOPSIS\n(.*?)^=/ms;
    $synopsis{$name} = $lines if defined $lines;
} }, $lib);

my $cluster = Cluster->up(slots => 2);
my $port    = $cluster->port;
$ENV{ARGON_KEY} = $cluster->key_file;

for my $name (sort grep { !$left_out{$_} } keys %synopsis) {
    my $around = $around{$name};
    ok $around, "the_synopsis_is_known: $name" or next;
    # A line for a shell is none of the program.
    my $text = $synopsis{$name} =~ s/^\s*\$ .*$//mgr;
    my $program = "use strict; use warnings; alarm 60; $around->[0]\n$text\n$around->[1];\n";
    s/'mgrhost:8000'/'127.0.0.1:$port'/g, s/'(?:mgrhost|127\.0\.0\.1)', port => 8000/'127.0.0.1', port => $port/g for $program;
    my $file = $cluster->{folder} . '/synopsis.pl';
    open my $out, '>:encoding(UTF-8)', $file or die "$file: $!";
    print {$out} $program;
    close $out or die "$file: $!";
    my $said = qx("$^X" "-I$lib" "$file" 2>&1);
    is $?, 0, "the_synopsis_runs: $name" or diag "$program\n$said";
}
is_deeply [grep { !$synopsis{$_} } sort keys %around], [], 'every_module_that_is_known_has_a_synopsis';

done_testing;
