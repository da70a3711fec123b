package Argon::Client::Output;

# Owns what tasks print: it goes to the client's own STDOUT and STDERR through Perl's handles, so that redirections and
# ties hold, or is kept for a task that captures. Argon::Client::Inbox hands it the OUTPUT frames.

use strict;
use warnings;

use Argon::Client::Task qw(:all);
use Argon::Protocol qw(:all);

my $GRANT_EVERY_BYTES = 262_144;
my $KEPT_BYTES_MAX    = 16_777_216;

sub on_output {
    my ($session, $link, $body) = @_;
    my ($id, $attempt, $descriptor) = unpack 'a24 N C', $body;
    my $text = substr $body, 29;
    my $task = $session->{journal}{$id};
    if ($task && $task->[TASK_OPTIONS] && $task->[TASK_OPTIONS]{capture}) {
        my $kept = $task->[TASK_OUTPUT] //= q{};
        $task->[TASK_OUTPUT] = length $kept > $KEPT_BYTES_MAX ? substr($kept, -$KEPT_BYTES_MAX) . $text : $kept . $text;
    }
    else {
        _print($descriptor == 2 ? \*STDERR : \*STDOUT, $text);
    }
    return if !$task;
    $task->[TASK_OUTPUT_BYTES] = {} if !$task->[TASK_OUTPUT_BYTES];
    my $count = $task->[TASK_OUTPUT_BYTES]{$attempt} ||= { seen => 0, granted => 0 };
    $count->{seen} += length $text;
    if ($count->{seen} - $count->{granted} >= $GRANT_EVERY_BYTES) {
        $count->{granted} = $count->{seen};
        $link->send_frame(OUTPUT_CREDIT, pack 'a24 N Q>', $id, $attempt, $count->{seen});
    }
    return;
}

# Bytes as the task wrote them. A handle with a utf8 layer wants characters, or they would be encoded twice.
sub _print {
    my ($handle, $text) = @_;
    local ($\, $,);
    utf8::decode($text) if !tied(*{$handle}) && grep { $_ eq 'utf8' } PerlIO::get_layers($handle, output => 1);
    print {$handle} $text;
    return;
}

1;
