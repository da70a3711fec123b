package Argon::Runner::Stack;

# Owns the stack of whatever ended a task that asked for it (the flag STACK): a handler for die notes each one, and the
# one that came out of the task is looked up at the end. It never changes what is thrown. Argon::Runner calls it.

use strict;
use warnings;

use Scalar::Util ();

my $NOTES_MAX = 8;

# Limits of a stack, so that it fits into a report, in which a character outside ASCII takes up to twelve bytes.
my $ASCII_CHARS_MAX = 16_384;
my $CHARS_MAX       = 4_000;

# Returns a handler for $SIG{__DIE__} during one task, and the list in which it keeps its notes.
sub watch {
    require Carp;
    my @notes;
    my $handler = sub {
        local ($@, $!, $?) = ($@, $!, $?);
        local $Carp::CarpLevel = $Carp::CarpLevel + 1;    # not this handler
        my $thrown = $_[0];
        # Thrown again: its first place is the one to know. A text is the same error only while it stands in $@.
        return if grep { _is_same($_->[0], $thrown) && (ref $thrown || !ref $@ && $@ eq $thrown) } @notes;
        my $note = [$thrown, scalar eval { Carp::longmess(q{}) }];
        # An exception that the task forgets must be destroyed when it would have been.
        Scalar::Util::weaken($note->[0]) if ref $thrown;
        push @notes, $note;
        shift @notes if @notes > $NOTES_MAX;
    };
    return ($handler, \@notes);
}

# The stack of what was thrown: a line for each frame, the first with the place of the die. Undef when it is not known,
# as for a task that has a handler of its own.
sub of {
    my ($notes, $thrown) = @_;
    my ($note) = grep { _is_same($_->[0], $thrown) } reverse @{$notes};
    return if !$note || !defined $note->[1];
    my $stack = $note->[1];
    # The sub of the task has no caller of the task's own.
    $stack =~ s{ called at [^\n]+ line \d+\n\z}{, the task\n};
    $stack =~ s/\A\s+//;
    my $limit = $stack =~ /[^\0-\x7f]/ ? $CHARS_MAX : $ASCII_CHARS_MAX;
    $stack = substr($stack, 0, $limit) =~ s/[^\n]*\z/...\n/r if length $stack > $limit;
    return $stack;
}

sub _is_same {
    my ($noted, $thrown) = @_;
    return 0 if !defined $noted || !defined $thrown || ref $noted ne ref $thrown;
    return ref $thrown ? Scalar::Util::refaddr($noted) == Scalar::Util::refaddr($thrown) : $noted eq $thrown;
}

1;
