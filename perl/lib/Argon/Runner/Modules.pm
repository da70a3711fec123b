package Argon::Runner::Modules;

# Owns the last entry of the runner's @INC. When perl does not find a module on
# the worker's machine, it requests the text from the client of the running task. Argon::Runner calls it when a task begins and
# ends; the socket carries the question. ARGON_NO_REMOTE_MODULES=1 in the runner's environment turns it off.

use strict;
use warnings;

use Argon::Protocol qw(:all);

my $REFUSALS_MAX = 1_000;
# How long, in one task, a question without an answer is repeated: a client that lost its connection comes back.
my $PATIENCE_S = 10;
my $AGAIN_S    = 0.2;

# By file, the texts that clients gave: a task of this process's tasks may ask for them in turn.
our %TEXT;

# By file, the modules that clients have in their own folders: these are asked for first.
our %OWN;

# Loaded before any task.
my %is_of_runner;

# The object of this process.
my $only;

# The first lines of a text that a client gives.
my $HEAD = qr/\A#[ ]line[ ][01][ ]"([^"\n]+)"\n(?:#[ ]argon:[ ]own[ ]modules:[ ]([^\n]*)\n)?/;

sub new {
    my ($class, $socket) = @_;
    return $only = bless { socket => $socket, process => $$, task => undef, ask => 0, refused => {} }, $class;
}

# Called before @INC is remembered, so that it stays the last entry.
sub install {
    my ($self) = @_;
    %is_of_runner = %INC;
    push @INC, $self if !$ENV{ARGON_NO_REMOTE_MODULES};
    return;
}

# Names modules that clients have of their own. One that this process has loaded from its own machine cannot be replaced: it
# must be the same text.
sub own {
    for my $file (@_) {
        next if $OWN{$file}++ || !exists $INC{$file} || $is_of_runner{$file} || defined $TEXT{$file} || $only->_is_same_here($file);
        delete $OWN{$file};
        (my $module = $file) =~ s{/}{::}g;
        $module =~ s/[.]pm\z//;
        die "The module $module of the client cannot be loaded: an earlier task of this program has loaded that of the worker's machine, $INC{$file}\n";
    }
    return;
}

# True if the file that was loaded here has the text that the client gives, or if the client gives none.
sub _is_same_here {
    my ($self, $file) = @_;
    return 1 if !defined $self->{task} || $$ != $self->{process};
    my ($text, $refusal) = $self->_ask($file);
    return $refusal !~ /\Ait has changed:/ if !defined $text;
    open my $in, '<:raw', $INC{$file} or return 0;
    my $here = do { local $/; readline $in };
    return $text =~ s/$HEAD//r eq $here;
}

# The first 28 bytes of ASK: the id and the attempt of the task that runs now, or undef when none does.
sub task {
    my ($self, $task) = @_;
    @{$self}{qw(task patient_until)} = ($task, undef);
    return;
}

# The same before any other entry of @INC is asked: only for modules that the client has of its own. If it does not give one,
# the machine may have it; but never another text than the one that the client has loaded.
sub first {
    my ($self, $file) = @_;
    return if !$OWN{$file} || !defined $self->{task} || $$ != $self->{process};
    my $known_as = substr($self->{task}, 0, 16) . $file;
    return if defined $self->{refused}{$known_as};
    my ($text, $refusal) = $self->_ask($file);
    return _opened($file, $text) if defined $text;
    _refuse($file, $refusal, 2) if $refusal =~ /\Ait has changed:/;
    $self->{refused}{$known_as} = $refusal if length $refusal;
    return;
}

# Perl calls this for a file that no other entry of @INC has. The name needs its package: perl forces a bare INC to main.
sub Argon::Runner::Modules::INC {
    my ($self, $file) = @_;
    return if !defined $self->{task} || $$ != $self->{process} || $file !~ /\.pm\z/;
    my $known_as = substr($self->{task}, 0, 16) . $file;
    my ($text, $refusal) = (undef, $self->{refused}{$known_as});
    if (!defined $refusal) {
        ($text, $refusal) = $self->_ask($file);
        # A refusal without words is the manager's: the client is away, and the next task may find it.
        if (defined $refusal && !length $refusal) {
            $refusal = 'the client is not connected';
        }
        elsif (defined $refusal) {
            $self->{refused} = {} if keys %{ $self->{refused} } >= $REFUSALS_MAX;
            $self->{refused}{$known_as} = $refusal;
        }
    }
    _refuse($file, $refusal, 1) if defined $refusal;
    return _opened($file, $text);
}

# The client may name its own file in a line directive: that is what warnings and %INC should show.
sub _opened {
    my ($file, $text) = @_;
    my ($path, $own) = $text =~ $HEAD;
    own(split q{ }, $own) if defined $own;
    $text = qq{# line 1 "$file"\n$text} if !defined $path;
    $INC{$file} = $path // $file;
    $TEXT{$file} = $text;
    open my $handle, '<', \$text or die "the text of $file cannot be read: $!\n";
    return $handle;
}

# The text, or undef and the reason. A refusal without words is the manager's, while the client is away: it is asked again for
# a while, once in each task.
sub _ask {
    my ($self, $file) = @_;
    my ($text, $refusal) = $self->_exchange($file);
    while (!defined $text && !length $refusal) {
        $self->{patient_until} //= time + $PATIENCE_S;
        last if time >= $self->{patient_until};
        select undef, undef, undef, $AGAIN_S;
        ($text, $refusal) = $self->_exchange($file);
    }
    return ($text, $refusal);
}

sub _exchange {
    my ($self, $file) = @_;
    my $ask  = ++$self->{ask};
    my $name = $file;
    $name =~ s/([^A-Za-z0-9_.\/-])/sprintf '\\u%04x', ord $1/ge;
    $self->{socket}->send_frame(ASK, $self->{task} . pack('N', $ask) . qq({"kind":"perl-module","name":"$name"}));
    my ($kind, $body) = $self->{socket}->next_message_of(ANSWER);
    exit 0 if !defined $kind;
    my (undef, $answered, $status) = unpack 'a28 N C', $body;
    die "the worker answered question $answered where $ask was due\n" if $answered != $ask;
    my $bytes = substr $body, 33;
    return $status == ANSWER_YES ? ($bytes, undef) : (undef, $bytes);
}

# Since 5.38 perl adds a line to what a hook of @INC dies with. It is of no use to who asked for a module.
sub without_line_of_hook {
    my ($text) = @_;
    return $text =~ s/\nINC method hook died--halting \@INC search at .+ line \d+\.\n\z/\n/r;
}

# Programs test for "Can't locate ... in @INC", so the refusal begins as perl's own message does.
sub _refuse {
    my ($file, $refusal, $frames) = @_;
    my $module = $file;
    $module =~ s{/}{::}g;
    $module =~ s/\.pm\z//;
    # Of perl itself: who asked may be the runner, which Argon::Runner::Caller does not show.
    my (undef, $caller_file, $caller_line) = CORE::caller($frames);
    my $worker = defined $ENV{ARGON_WORKER} ? "the worker $ENV{ARGON_WORKER}" : 'the worker';
    $refusal =~ s/\s+\z//;
    die "Can't locate $file in \@INC (you may need to install the $module module) on $worker;"
        . " its client does not give it: $refusal at $caller_file line $caller_line.\n";
}

1;
