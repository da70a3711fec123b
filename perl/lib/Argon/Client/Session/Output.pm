package Argon::Client::Session::Output;

# Owns what tasks print: it goes to the client's own STDOUT and STDERR through Perl's handles, so that redirections and
# ties hold, or is kept for a task that captures. Argon::Client::Session::Inbox hands it the OUTPUT frames.

use strict;
use warnings;

use Argon::Client::Session::LogRecords ();
use Argon::Client::Session::TaskRecord qw(:all);
use Argon::Protocol qw(:all);

my $GRANT_EVERY_BYTES = 262_144;
my $KEPT_BYTES_MAX    = 16_777_216;
# Attempts of one task whose output is counted, and characters without their end.
my $ATTEMPTS_MAX = 64;
my $HALVES_MAX   = 10_000;

sub on_output {
    my ($session, $link, $body) = @_;
    my ($id, $attempt, $descriptor) = unpack 'a24 N C', $body;
    my $text = substr $body, 29;
    $session->{arrived} = 1;
    my $task = $session->{journal}{$id};
    if ($descriptor == Argon::Client::Session::LogRecords::DESCRIPTOR) { Argon::Client::Session::LogRecords::on_record($session, $text) }
    elsif ($task && $task->[TASK_OPTIONS] && $task->[TASK_OPTIONS]{capture}) {
        my $kept = $task->[TASK_OUTPUT] //= q{};
        $task->[TASK_OUTPUT] = length $kept > $KEPT_BYTES_MAX ? substr($kept, -$KEPT_BYTES_MAX) . $text : $kept . $text;
    }
    else {
        _print($session, $id, $descriptor, $text);
    }
    return if !$task;
    $task->[TASK_OUTPUT_BYTES] = {} if !$task->[TASK_OUTPUT_BYTES];
    my $counts = $task->[TASK_OUTPUT_BYTES];
    delete @{$counts}{ grep { $_ < $attempt } keys %{$counts} } if keys %{$counts} > $ATTEMPTS_MAX;
    %{$counts} = () if keys %{$counts} > $ATTEMPTS_MAX;
    my $count = $counts->{$attempt} ||= { seen => 0, granted => 0 };
    $count->{seen} += length $text;
    if ($count->{seen} - $count->{granted} >= $GRANT_EVERY_BYTES) {
        $count->{granted} = $count->{seen};
        $link->send_frame(OUTPUT_CREDIT, pack 'a24 N Q>', $id, $attempt, $count->{seen});
    }
    return;
}

# A character whose end never came: prints its bytes as they are.
sub end_of_task {
    my ($session, $id) = @_;
    for my $descriptor (1, 2) {
        my $bytes = delete $session->{half_characters}{"$id$descriptor"};
        _print_to($descriptor, $bytes) if defined $bytes;
    }
    $session->{half_characters} = undef if !%{ $session->{half_characters} };
    return;
}

# Bytes as the task wrote them. A handle with a utf8 layer wants characters, or they would be encoded twice; a character
# that a frame cuts in two waits for its second half.
sub _print {
    my ($session, $id, $descriptor, $text) = @_;
    my $handle = $descriptor == 2 ? \*STDERR : \*STDOUT;
    if (!tied(*{$handle}) && grep { $_ eq 'utf8' } PerlIO::get_layers($handle, output => 1)) {
        my $begun = $session->{half_characters} ? delete $session->{half_characters}{"$id$descriptor"} : undef;
        $text = $begun . $text if defined $begun;
        my $half
            = $text =~ s/((?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2}))\z// ? $1 : undef;
        utf8::decode($text);
        $session->{half_characters} = {} if keys %{ $session->{half_characters} || {} } > $HALVES_MAX;
        $session->{half_characters}{"$id$descriptor"} = $half if defined $half;
    }
    return _print_to($descriptor, $text);
}

sub _print_to {
    my ($descriptor, $text) = @_;
    local ($\, $,);
    if   ($descriptor == 2) { print {*STDERR} $text }
    else                    { print {*STDOUT} $text }
    return;
}

1;
