package WordCount;

# A task class: new(@arguments) keeps what it is given, run does the work and returns it. This one counts
# the words of a text. simple.pl runs it on a worker.

use strict;
use warnings;

sub new {
    my ($class, @lines) = @_;
    return bless {lines => \@lines}, $class;
}

sub run {
    my ($self) = @_;
    my %count;
    $count{lc $_}++ for map { /(\w+)/g } @{$self->{lines}};
    return \%count;
}

1;
