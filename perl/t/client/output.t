use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Argon::Client;
use Cluster;
use Test::More;

# What tasks print, at the client's own handles in whatever state they are.
my $cluster = Cluster->up(slots => 2);
my $client  = Argon::Client->new($cluster->client_arguments);
my $folder  = File::Temp->newdir;

# What the client's STDOUT and STDERR got, bytes, while both were files with these layers.
sub printed {
    my ($layers, $call) = @_;
    open my $stdout, '>&', \*STDOUT or die $!;
    open my $stderr, '>&', \*STDERR or die $!;
    open STDOUT, '>', "$folder/out" or die $!;
    open STDERR, '>', "$folder/err" or die $!;
    # Perl forgets layers that are given when it opens a standard handle again.
    $layers and binmode($_, $layers) for *STDOUT, *STDERR;
    my $ok    = eval { $call->(); 1 };
    my $error = $@;
    close STDOUT;
    close STDERR;
    open STDOUT, '>&', $stdout or die $!;
    open STDERR, '>&', $stderr or die $!;
    die $error if !$ok;
    return map { content($_) } "$folder/out", "$folder/err";
}

sub content {
    my ($path) = @_;
    open my $file, '<:raw', $path or die "$path: $!";
    local $/;
    return readline($file) // q{};
}

is_deeply [printed(q{}, sub { $client->queue(sub { print "out\n"; print STDERR "err\n"; warn "warned\n"; system 'echo child'; 1 }) })],
    ["out\nchild\n", "err\nwarned\n"], 'output_of_a_task_and_its_children_appears_at_the_clients_handles';
is_deeply [printed(q{}, sub { $client->queue(sub { warn 'here' }) })], [q{}, "here at $0 line " . __LINE__ . ".\n"],
    'a_warning_names_the_line_of_the_script';
is_deeply [printed(q{}, sub { local ($\, $,) = ('!', '-'); $client->queue(sub { print 'a', 'b'; 1 }) })], ['a-b!', q{}],
    'output_separators_are_applied_once';
is_deeply [printed(q{}, sub { $client->queue(sub { $| = 0; print "unflushed"; 1 }) })], ['unflushed', q{}], 'a_buffer_is_flushed_before_the_outcome';
is_deeply [printed(q{}, sub { eval { $client->queue(sub { print "last words"; exit 2 }) } })], ['last words', q{}],
    'what_a_task_printed_before_it_exited_appears';

my $snow = "\xe2\x98\x83";
for my $layers (q{}, ':utf8', ':encoding(UTF-8)') {
    is_deeply [printed($layers, sub { $client->queue(sub { binmode STDOUT, ':encoding(UTF-8)'; print "\x{2603}\x{e9}\n"; 1 }) })], ["$snow\xc3\xa9\n", q{}],
        "characters_are_encoded_once ($layers)";
    my ($long) = printed($layers, sub { $client->queue(sub { print 'x', "\xe2\x98\x83" x 200_000; 1 }) });
    ok $long eq 'x' . $snow x 200_000, "characters_that_a_frame_cuts_are_whole ($layers)";
}
is unpack('H*', (printed(':encoding(UTF-8)', sub { $client->queue(sub { print "cut \xe2\x98"; 1 }) }))[0]), unpack('H*', "cut \xc3\xa2\xc2\x98"),
    'half_a_character_at_the_end_is_not_lost';

{
    open my $stdout, '>&', \*STDOUT or die $!;
    my $memory = q{};
    {
        local *STDOUT;
        open STDOUT, '>', \$memory or die $!;
        $client->queue(sub { print "into memory\n"; 1 });
    }
    is $memory, "into memory\n", 'a_localised_handle_in_memory_gets_the_output';

    package Local::Tied;
    sub TIEHANDLE { my ($class) = @_; return bless [], $class }
    sub PRINT { my ($self, @text) = @_; push @{$self}, join q{}, @text; return 1 }
    package main;
    my $tied = tie *STDERR, 'Local::Tied';
    $client->queue(sub { print STDERR "into a tie\n"; 1 });
    my $got = join q{}, @{$tied};
    undef $tied;
    untie *STDERR;
    is $got, "into a tie\n", 'a_tied_handle_gets_the_output';
}

{
    my ($out, $err) = printed(q{}, sub {
        is $client->defer(sub { print "kept\n"; print STDERR "too\n"; 1 }, [], { capture => 1 })->output =~ s/too\n//r, "kept\n",
            'captured_output_is_with_the_deferred';
    });
    my $quiet = Argon::Client->new($cluster->client_arguments, capture => 1);
    is_deeply [printed(q{}, sub { $quiet->queue(sub { print "unseen\n"; 1 }) })], [q{}, q{}], 'capture_may_be_the_clients_default';
    my $failing = $client->defer(sub { print "before\n"; die "it failed\n" }, [], { capture => 1 });
    is $failing->output, "before\n", 'a_failed_task_has_its_output';
    is $failing->error, "it failed\n", '... beside its error';
}

{
    my @tasks = map { my $n = $_; sub { for my $line (1 .. 50) { print "task $_[0] line $line\n" } 1 } } 1 .. 4;
    my ($out) = printed(q{}, sub { $_->get for map { $client->defer($tasks[$_ - 1], [$_]) } 1 .. 4 });
    for my $n (1 .. 4) {
        is_deeply [grep {/^task $n /} split /\n/, $out], [map {"task $n line $_"} 1 .. 50], "the_lines_of_one_task_keep_their_order ($n)";
    }
    my ($both) = printed(q{}, sub {
        $client->queue(sub { open STDERR, '>&', \*STDOUT; print("o$_ "), print STDERR "e$_ " for 1 .. 20; 1 });
    });
    is $both, join(q{}, map {"o$_ e$_ "} 1 .. 20), 'both_outputs_through_one_pipe_keep_their_order';
    is_deeply [printed(q{}, sub { $client->queue(sub { print "o\n"; print STDERR "e\n"; 1 }) })], ["o\n", "e\n"],
        'the_next_task_has_two_again';
}

done_testing;
