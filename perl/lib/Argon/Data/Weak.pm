package Argon::Data::Weak;

# Owns the weak references of data where it is read: which become weak again, and what keeps their targets. Both ends run
# this file.

use strict;
use warnings;

use Scalar::Util ();

# Something that only weak references of the message hold is held by what stayed where it came from. For a task that is its
# caller, who waits: it is kept until the task ends. A result has no such owner: there the reference stays strong.
my @held_for_task;

sub end_task { @held_for_task = (); return }

sub weaken_all {
    my ($graph, $built, @weak) = @_;
    my $is_held = _held($graph);
    my $is_task = $INC{'Argon/Runner.pm'};
    for my $reference (grep { ref ${ $_->[0] } } @weak) {
        my ($slot, $target) = @$reference;
        if (!$is_held->{$target}) {
            next if !$is_task;
            push @held_for_task, $built->[$target];
        }
        Scalar::Util::weaken($$slot);
    }
    return;
}

# The numbers of the nodes that are reached without a weak reference.
sub _held {
    my ($graph) = @_;
    my $nodes = $graph->{nodes};
    my @todo  = (0, map { $_ && $_->[0] eq 'code' && defined $_->[2] ? $_->[2] : () } values %{ $graph->{classes} });
    my %is_held;
    while (defined(my $number = pop @todo)) {
        next if $is_held{$number}++;
        my ($kind, undef, $data, $references) = @{ $nodes->[$number] };
        if    ($kind eq 'K') { push @todo, @{ $data->[2] } }
        elsif ($kind eq 'C') { push @todo, $data->[1] if defined $data->[1] }
        # Of the container only this element.
        elsif ($kind eq 'E') { push @todo, grep { defined && $_ >= 0 } ($nodes->[ $data->[0] ][3] || {})->{ $data->[1] } }
        push @todo, grep { $_ >= 0 } values %{ $references || {} };
    }
    return \%is_held;
}

1;
