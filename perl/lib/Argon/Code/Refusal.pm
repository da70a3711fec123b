package Argon::Code::Refusal;

# The one exception of the sending half: something cannot travel. It carries what,
# where and advice; Argon::Code turns it into a sentence at the caller's own line.

use strict;
use warnings;

sub throw {
    my ($class, $what, $advice) = @_;
    die bless { what => $what, advice => $advice, where => undef }, $class;
}

# Adds the place once, at the innermost level that knows it.
sub at {
    my ($self, $where) = @_;
    $self->{where} = $where unless defined $self->{where};
    return $self;
}

sub sentence {
    my ($self) = @_;
    my $text = 'This code cannot travel to a worker: ';
    $text .= "in $self->{where}, " if defined $self->{where};
    $text .= $self->{what};
    $text .= " ($self->{advice})" if defined $self->{advice};
    return $text;
}

1;
