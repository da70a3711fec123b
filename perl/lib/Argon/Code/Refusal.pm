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

# Remembers that only the text made for a sub is at fault, by the address of its code.
sub of_text {
    my ($self, $address) = @_;
    $self->{address} = $address;
    return $self;
}

sub address { return $_[0]{address} }

sub sentence {
    my ($self) = @_;
    my $text = 'This code cannot travel to a worker: ';
    $text .= "in $self->{where}, " if defined $self->{where};
    $text .= $self->{what};
    $text .= " ($self->{advice})" if defined $self->{advice};
    return $text;
}

1;
