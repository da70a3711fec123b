package Chaos::Client;

# Owns one client of the show: it sends its share of the tasks and writes each outcome to its file. It may be killed at any
# moment: started again, it reads what it had written, sends the attached tasks that are missing once more, and collects
# the detached ones whose ids it wrote down.

use strict;
use warnings;

use Argon::Client;

# How many attached, and how many detached tasks are under way at once: what one kill may have to run again.
use constant ATTACHED_AHEAD => 64;
use constant DETACHED_AHEAD => 32;

# A task: says outside Argon that it ran, works for a while, and returns a number that nobody gets right by chance.
my $TASK = sub {
    my ($number, $file, $seconds) = @_;
    open my $ran, '>>', $file or die "$file: $!\n";
    syswrite $ran, "$number $$\n" or die "$file: $!\n";
    close $ran;
    select undef, undef, undef, $seconds;
    return $number * $number + 7;
};

sub value_of { my ($number) = @_; return $number * $number + 7 }

# Runs to the end of its share: numbers FIRST, FIRST + STEP, ... up to LAST.
sub run {
    my ($folder, $address, $name, $kind, $first, $step, $last, $seconds) = @_;
    my $client = Argon::Client->new(hosts => [$address], key => "$folder/key", retries => 10, retry_on => ['died'], backoff => 0.05);
    my $self   = bless { client => $client, folder => $folder, seconds => $seconds }, __PACKAGE__;

    my %has = map { $_->[0] => 1 } _lines("$folder/$name.outcomes");
    my %id  = map { @{$_} } _lines("$folder/$name.ids");
    $self->{$_} = _appending("$folder/$name.$_") for qw(outcomes ids again);

    my $ahead = $kind eq 'detached' ? DETACHED_AHEAD : ATTACHED_AHEAD;
    my @under_way;
    for (my $number = $first; $number <= $last; $number += $step) {
        next if $has{$number};
        push @under_way, $kind eq 'detached' ? $self->detached($number, $id{$number}) : $self->attached($number);
        $self->finish($kind, shift @under_way) if @under_way >= $ahead;
    }
    $self->finish($kind, $_) for @under_way;
    $client->shutdown;
    return;
}

sub attached {
    my ($self, $number) = @_;
    return [$number, $self->{client}->defer($TASK, $self->arguments($number))];
}

sub detached {
    my ($self, $number, $id) = @_;
    if (!defined $id) {
        $id = $self->{client}->submit($TASK, $self->arguments($number));
        _append($self->{ids}, "$number $id");
    }
    return [$number, $self->{client}->collect_later($id)];
}

# Waits for one, and writes down what came of it.
sub finish {
    my ($self, $kind, $task) = @_;
    my ($number, $deferred) = @{$task};
    while (1) {
        my $value;
        return _append($self->{outcomes}, "$number $value") if eval { $value = $deferred->get; 1 };
        # Lost, by three dead workers in a row or because the outcome had been handed to the client that was killed: said
        # honestly, and sent again.
        die $@ if !ref $@ || !$@->isa('Argon::Error') || $@->kind ne 'lost';
        _append($self->{again}, $number . q{ } . ($@->message =~ s/\n.*//sr));
        $deferred = ($kind eq 'detached' ? $self->detached($number) : $self->attached($number))->[1];
    }
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
