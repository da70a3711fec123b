package Chaos::Ledger;

# Owns the counting: which outcomes the clients wrote down, and which tasks said, outside Argon, that they ran. It reads
# the files and knows nothing of what happened to anybody.

use strict;
use warnings;

use Chaos::Client;

sub new {
    my ($class, %fields) = @_;
    return bless {
        %fields,
        at       => {},
        outcomes => {},
        runs     => {},
        places   => {},
        again    => {},
        runners  => {},
        counts   => { outcomes => 0, runs => 0, again => 0 },
        wrong    => [],
        twice    => [],
        unrun    => [],
    }, $class;
}

# Reads what came since the last look.
sub look {
    my ($self) = @_;
    $self->_each_new('ran', sub { $self->_ran(@_) });
    for my $client (@{ $self->{clients} }) {
        $self->_each_new("$client.outcomes", sub { $self->_ended(@_) });
        $self->_each_new("$client.again", sub { $self->{counts}{again}++; $self->{again}{ $_[0] }++ });
    }
    return;
}

sub count      { return $_[0]{counts}{ $_[1] } }
sub is_whole   { return $_[0]{counts}{outcomes} >= $_[0]{tasks} }
sub wrong      { return @{ $_[0]{wrong} } }
sub twice      { return @{ $_[0]{twice} } }
sub unrun      { return @{ $_[0]{unrun} } }
sub missing    { my ($self) = @_; return grep { !$self->{outcomes}{$_} } 1 .. $self->{tasks} }
sub runners    { return keys %{ $_[0]{runners} } }
sub last_runner { return $_[0]{last_runner} }

# How many tasks ran once, twice and so on: a hash.
sub distribution {
    my ($self) = @_;
    my %tasks;
    $tasks{$_}++ for values %{ $self->{runs} };
    return %tasks;
}

# The tasks that ran more often than faults explain. A further run is explained by an earlier one in a process that was lost, by a
# kill of the client that waited for the task, and by that client's word that it sent the task again.
sub unexplained {
    my ($self, $lost, $client_kills) = @_;
    my @clients = @{ $self->{clients} };
    my @unexplained;
    for my $number (grep { $self->{runs}{$_} > 1 } sort { $a <=> $b } keys %{ $self->{runs} }) {
        my $explained = grep { $lost->{ $_->[0] } || $lost->{ $_->[1] } } @{ $self->{places}{$number} };
        $explained += $client_kills->{ $clients[($number - 1) % @clients] } // 0;
        $explained += $self->{again}{$number} // 0;
        push @unexplained, $number if $self->{runs}{$number} > 1 + $explained;
    }
    return @unexplained;
}

sub _ran {
    my ($self, $number, $pid, $worker) = @_;
    $self->{runs}{$number}++;
    push @{ $self->{places}{$number} }, [$pid, $worker];
    $self->{counts}{runs}++;
    $self->{runners}{$pid} = 1;
    $self->{last_runner} = $pid;
    return;
}

sub _ended {
    my ($self, $number, $value) = @_;
    return push @{ $self->{twice} }, $number if $self->{outcomes}{$number}++;
    $self->{counts}{outcomes}++;
    push @{ $self->{wrong} }, $number if $value ne Chaos::Client::value_of($number);
    # What an outcome says must have happened, and it was written down before the outcome was.
    push @{ $self->{unrun} }, $number if !$self->{runs}{$number} && !$self->_ran_meanwhile($number);
    return;
}

sub _ran_meanwhile {
    my ($self, $number) = @_;
    $self->_each_new('ran', sub { $self->_ran(@_) });
    return $self->{runs}{$number};
}

sub _each_new {
    my ($self, $name, $what) = @_;
    open my $file, '<', "$self->{folder}/$name" or return;
    seek $file, $self->{at}{$name} // 0, 0;
    while (my $line = <$file>) {
        last if $line !~ /\n\z/;
        $self->{at}{$name} = tell $file;
        $what->(split q{ }, $line);
    }
    return;
}

1;
