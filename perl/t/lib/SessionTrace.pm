package SessionTrace;

# Owns reading and comparing the traces of spec/traces/session, whose grammar is in spec/traces.md: a list of steps, each an
# input and the effects that must follow it. It knows no client; SessionTrace::Client plays the inputs.

use strict;
use warnings;

my %IN_ORDER = map { $_ => 1 } qw(OPEN BLOB SUBMIT OFFERED CANCEL GOODBYE hangs);

# A list of [number of the line, input, [effect, ...]].
sub read_file {
    my ($path) = @_;
    open my $file, '<', $path or die "$path: $!";
    my @steps;
    while (my $line = readline $file) {
        chomp $line;
        next if $line =~ /\A(?:#.*)?\z/;
        my ($actor, $words) = $line =~ /\A(user|manager|network|time|client) +(\S.*)\z/ or die "$path:$.: not a line of a trace: $line\n";
        if    ($actor ne 'client') { push @steps, [$., "$actor $words", []] }
        elsif (@steps)             { push @{ $steps[-1][2] }, $words }
        else                       { die "$path:$.: an effect comes before the first input\n" }
    }
    die "$path: it has no steps\n" if !@steps;
    return @steps;
}

# The acknowledgements of one connection that no line has named yet.
sub new { return bless { acknowledged => {}, may => {} }, shift }

# What is wrong with what the client did, in words; nothing if all is well.
sub compare {
    my ($self, $expected, $effects) = @_;
    my @done = @{$effects};
    my @wrong;
    for my $effect (@{$expected}) {
        my ($pattern, $may_be_missing) = $effect =~ /\A(.*?)([?]?)\z/;
        my ($word, $name) = split q{ }, $pattern;
        my $next = _next_in_order(\@done);
        my $found;
        if ($word eq 'ACK') {
            $self->_acknowledge(\@done, $next);
            $found = delete $self->{acknowledged}{$name};
            # From here on, on this connection.
            $self->{may}{$name} = 1 if $may_be_missing;
        }
        elsif ($IN_ORDER{$word}) {
            $found = $next < @done && _fits($pattern, $done[$next]);
            if ($found) {
                splice @done, $next, 1;
                $self->_acknowledge(\@done, $next);
            }
        }
        else {
            my ($at) = grep { _fits($pattern, $done[$_]) } 0 .. $#done;
            $found = defined $at;
            splice @done, $at, 1 if $found;
        }
        push @wrong, "the client did not: $effect" if !$found && !$may_be_missing;
    }
    $self->_acknowledge(\@done, scalar @done);
    return @wrong, map {"the client did, and the trace does not say so: $_"} @done;
}

# Takes the acknowledgements out of the first so many effects.
sub _acknowledge {
    my ($self, $done, $count) = @_;
    my @acknowledgements = grep { $done->[$_] =~ /\AACK / } 0 .. $count - 1;
    for my $at (reverse @acknowledgements) {
        my (undef, $name) = split q{ }, splice @{$done}, $at, 1;
        $self->{acknowledged}{$name} = 1;
    }
    return;
}

sub _next_in_order {
    my ($done) = @_;
    my ($next) = grep { $IN_ORDER{ (split q{ }, $done->[$_])[0] } } 0 .. $#{$done};
    return $next // scalar @{$done};
}

# "gives a cancelled|closed" fits "gives a closed".
sub _fits {
    my ($pattern, $effect) = @_;
    my $expression = join '|', map {quotemeta} split /[|]/, $pattern =~ s/\A.* //r;
    my $before = $pattern =~ s/[^ ]+\z//r;
    return $effect =~ /\A\Q$before\E(?:$expression)\z/;
}

# The connection, or the trace, is over.
sub unnamed {
    my ($self) = @_;
    my @unnamed = sort grep { !$self->{may}{$_} } keys %{ $self->{acknowledged} };
    @{$self}{qw(acknowledged may)} = ({}, {});
    return map {"it acknowledged $_, and no line has ACK $_"} @unnamed;
}

1;
