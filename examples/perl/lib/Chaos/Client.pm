package Chaos::Client;

# Owns one client of the show: it sends its share of the tasks and writes each outcome to its file. It may be killed at any
# moment: started again, it reads what it had written, sends the attached tasks that are missing once more, and collects
# the detached ones whose tickets it wrote down.

use strict;
use warnings;

use Argon::Client;

# How many attached, and how many detached tasks are under way at once: what one kill may have to run again.
use constant ATTACHED_AHEAD => 64;
use constant DETACHED_AHEAD => 32;

# How long to look for the manager, in seconds. A first connection gives up after one second by default, and a client that is
# started again in the storm may find the manager killed or frozen for longer.
use constant GIVE_UP_AFTER => 60;

# A task: says outside Argon that it ran, in which runner and of which worker, works for a while, and returns a number that nobody gets right by chance.
my $TASK = sub {
    my ($number, $file, $seconds) = @_;
    open my $ran, '>>', $file or die "$file: $!\n";
    syswrite $ran, "$number $$ " . getppid() . "\n" or die "$file: $!\n";
    close $ran;
    select undef, undef, undef, $seconds;
    return $number * $number + 7;
};

sub value_of { my ($number) = @_; return $number * $number + 7 }

# Runs to the end of its share: numbers FIRST, FIRST + STEP, ... up to LAST.
sub run {
    my ($folder, $address, $name, $kind, $first, $step, $last, $seconds) = @_;
    my $client = Argon::Client->new(
        hosts => [$address], key => "$folder/key", give_up_after => GIVE_UP_AFTER, retries => 10, retry_on => ['died'], backoff => 0.05);
    my $self   = bless { client => $client, folder => $folder, seconds => $seconds }, __PACKAGE__;

    my %has = map { $_->[0] => 1 } _lines("$folder/$name.outcomes");
    my %ticket = map { @{$_} } _lines("$folder/$name.tickets");
    $self->{$_} = _appending("$folder/$name.$_") for qw(outcomes tickets again);

    my $ahead = $kind eq 'detached' ? DETACHED_AHEAD : ATTACHED_AHEAD;
    my @under_way;
    for (my $number = $first; $number <= $last; $number += $step) {
        next if $has{$number};
        push @under_way, $number;
        $kind eq 'detached' ? $self->detached($number, $ticket{$number}) : $self->attached($number);
        $self->finish(shift @under_way) while @under_way >= $ahead;
    }
    $self->finish($_) for @under_way;
    $client->shutdown;
    return;
}

sub attached {
    my ($self, $number) = @_;
    my $deferred = $self->{client}->defer($TASK, $self->arguments($number));
    return $self->watch($number, $deferred, sub { return $self->attached($number) });
}

sub detached {
    my ($self, $number, $ticket) = @_;
    if (!defined $ticket) {
        $ticket = $self->{client}->submit($TASK, $self->arguments($number));
        _append($self->{tickets}, "$number $ticket");
    }
    return $self->watch($number, $self->{client}->collect_later($ticket), sub { return $self->detached($number) });
}

# An outcome is written down when it comes, whatever this client is waiting for. One that says lost, because three workers died in
# a row or because it had been handed to the client that was killed, is written down as that: the task is sent again.
sub watch {
    my ($self, $number, $deferred, $again) = @_;
    $self->{under_way}{$number} = $deferred;
    $deferred->on_ready(sub {
        my $value;
        if (eval { $value = $deferred->get; 1 }) {
            _append($self->{outcomes}, "$number $value");
            delete $self->{under_way}{$number};
            return;
        }
        $self->{under_way}{$number} = [$@, $again];
    });
    return;
}

sub finish {
    my ($self, $number) = @_;
    while (my $task = $self->{under_way}{$number}) {
        if (ref $task ne 'ARRAY') {
            $task->error;
            next;
        }
        my ($error, $again) = @{$task};
        die $error if !ref $error || !$error->isa('Argon::Error') || $error->kind ne 'lost';
        _append($self->{again}, $number . q{ } . ($error->message =~ s/\n.*//sr));
        $again->();
    }
    return;
}

sub arguments {
    my ($self, $number) = @_;
    return [$number, "$self->{folder}/ran", $self->{seconds} * (0.5 + ($number * 7919 % 100) / 100)];
}

# What whole lines hold; the last one may have been cut by a kill, which the next line must not continue.
sub _lines {
    my ($path) = @_;
    open my $file, '<', $path or return;
    return map { [split] } grep {/\n\z/} <$file>;
}

sub _appending {
    my ($path) = @_;
    open my $file, '>>', $path or die "$path: $!\n";
    return $file;
}

# One write for one line: a kill comes before or after it.
sub _append {
    my ($file, $line) = @_;
    defined syswrite $file, "$line\n" or die "cannot write: $!\n";
    return;
}

1;
