package Argon::Runner::Caller;

# Owns what a task sees of the stack: its own frames and nothing of the runner. Everything that walks the stack asks the
# builtin caller, as Carp and Devel::StackTrace do, so this stands in its place for all code that is compiled after it. The outermost frame
# is the task's sub, called, as it were, from the line of it that is under way.

use strict;
use warnings;

# Packages that call the subs of tasks. (The handler for die of Argon::Runner::Stack is called by a task.)
my %IS_RUNNER = map { $_ => 1 } qw(Argon::Runner Argon::Runner::FastPath Argon::Runner::Code);

sub _caller (;$) {    ## no critic (ProhibitSubroutinePrototypes): as the builtin
    my ($level) = @_;
    no warnings;
    my $frames = 1 + (@_ ? $level : 0);
    # A caller in the package DB gets the arguments of the sub in @DB::args; see perldoc -f caller.
    my @frame = CORE::caller(0) eq 'DB' ? do { package DB; CORE::caller($frames) } : CORE::caller($frames);
    return if !@frame;
    if ($IS_RUNNER{ $frame[0] }) {
        return if $frame[3] eq '(eval)' || $frame[3] =~ /\AArgon::/;
        @frame[0 .. 2] = (CORE::caller($frames - 1))[0 .. 2];
    }
    # Hide the frames below the runner: the program that starts it.
    return if $frame[3] eq 'Argon::Runner::start' || defined $frame[6] && index($frame[6], 'Argon::Runner->start(') >= 0;
    return !wantarray ? $frame[0] : @_ ? @frame : @frame[0 .. 2];
}

BEGIN { *CORE::GLOBAL::caller = \&_caller }

# True if a sub is this one.
sub is_ours { return $_[0] == \&_caller }

1;
