package Argon::Code::Analyse::FoldedLists;

# Owns the lists that perl makes when it compiles a sub, such as 1 .. 5_000_000 and the values of a list constant. A long range
# is written and compared by its ends; another long list is refused, since its values would be written one by one.

use strict;
use warnings;

use B ();
use Scalar::Util ();
use Argon::Code::Refusal ();

# Up to this many values a list is written out, which takes 50 µs for each.
use constant VALUES_MAX => 20_000;

# The list that was looked at last, weak, and its ends: each is asked for by several.
my ($last_list, @last_ends);

# (first, last) of a long list (a B::AV) that counts up by one.
sub range {
    my ($values) = @_;
    return if $values->FILL < VALUES_MAX;
    my $list = $values->object_2svref;
    return @last_ends if $last_list && $last_list == $list;
    @last_ends = _ends($list);
    Scalar::Util::weaken($last_list = $list);
    return @last_ends;
}

sub _ends {
    my ($list) = @_;
    my $first = $list->[0];
    my $next = $first;
    # Combined with itself a number is 0, a string is not.
    no warnings;
    for my $value (@{$list}) {
        return if ref $value || !defined $value || ($value ^ $value) ne '0' || $value != $next++;
    }
    return $first =~ /\A-?[0-9]+\z/ ? ($first, $list->[-1]) : ();
}

# Why the constant cannot be written, in words; nothing if it can.
sub refuse_long {
    my ($constant) = @_;
    return if !$constant->isa('B::AV') || $constant->FILL < VALUES_MAX || range($constant);
    Argon::Code::Refusal->throw('it has a constant list of ' . ($constant->FILL + 1) . ' values', 'put them into an array outside of the sub');
    return;
}

1;
