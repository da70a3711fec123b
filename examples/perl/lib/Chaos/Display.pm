package Chaos::Display;

# Owns what a person sees meanwhile: on a terminal a few lines that are drawn again and again, otherwise a line for
# each fault and each tenth of the work.

use strict;
use warnings;

use Time::HiRes qw(time);

use constant BAR_WIDTH   => 40;
use constant FAULTS_KEPT => 6;
use constant DRAW_EVERY  => 0.1;

my %SIGN = (up => "\e[32mup\e[0m", down => "\e[31mdown\e[0m", starting => "\e[33mstarting\e[0m",
    frozen => "\e[36mfrozen\e[0m", leaving => "\e[33mleaving\e[0m", done => "\e[1mdone\e[0m");

sub new {
    my ($class, %fields) = @_;
    $fields{is_live} = !$fields{plain} && -t STDOUT && ($ENV{TERM} // 'dumb') ne 'dumb';
    STDOUT->autoflush(1);
    # Without the cursor, and without wrapping: a line too long would upset the picture.
    print "\e[?25l\e[?7l" if $fields{is_live};
    return bless { drawn => 0, lines => 0, tenth => 0, %fields }, $class;
}

sub fault {
    my ($self, $line) = @_;
    print "$line\n" if !$self->{is_live};
    return;
}

sub look {
    my ($self, $elapsed) = @_;
    my ($done, $tasks) = ($self->{ledger}->count('outcomes'), $self->{tasks});
    if (!$self->{is_live}) {
        my $tenth = int 10 * $done / $tasks;
        printf "%6.1f s  %d of %d outcomes\n", $elapsed, $done, $tasks if $tenth > $self->{tenth};
        $self->{tenth} = $tenth;
        return;
    }
    return if time - $self->{drawn} < DRAW_EVERY;
    $self->{drawn} = time;
    $self->_draw($elapsed, $done, $tasks);
    return;
}

# Leaves the last picture and gives the cursor back.
sub close {
    my ($self, $elapsed) = @_;
    return if !$self->{is_live};
    $self->_draw($elapsed, $self->{ledger}->count('outcomes'), $self->{tasks});
    print "\e[?25h\e[?7h\n";
    $self->{is_live} = 0;
    return;
}

sub _draw {
    my ($self, $elapsed, $done, $tasks) = @_;
    my $full = int BAR_WIDTH * $done / $tasks;
    my @faults = $self->{faults}->last;
    @faults = @faults[-FAULTS_KEPT .. -1] if @faults > FAULTS_KEPT;
    push @faults, q{} while @faults < FAULTS_KEPT;
    my $ran = $self->{ledger}->count('runs');
    my @lines = (
        sprintf('  [%s%s] %d of %d outcomes', '#' x $full, '.' x (BAR_WIDTH - $full), $done, $tasks),
        sprintf('  %.0f s, %.0f outcomes a second, %d tasks started, %d faults', $elapsed, $done / ($elapsed || 1), $ran,
            $self->{faults}->injected),
        q{},
        map({ '  ' . join '   ', map { $_->name . q{ } . $SIGN{ $_->state } } @{$_} } $self->_crews),
        q{},
        @faults,
    );
    print "\e[$self->{lines}A" if $self->{lines};
    print "\r\e[K$_\n" for @lines;
    $self->{lines} = @lines;
    return;
}

sub _crews {
    my ($self) = @_;
    my $cluster = $self->{cluster};
    return ([$cluster->manager], [$cluster->workers], [$cluster->clients]);
}

1;
