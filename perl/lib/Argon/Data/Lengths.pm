package Argon::Data::Lengths;

# Owns one check before Storable reads bytes of others: that every count and length in them fits into the bytes that are
# there. Storable takes memory for what a length claims before it looks, and a perl that gets no memory ends. What plain data
# never has (classes, hooks, ties, code, patterns) is refused as well. It reads the stream item by item and builds nothing.

use strict;
use warnings;
# What would be read beyond the end is undef, and then the end is passed: that is the answer.
no warnings qw(substr uninitialized);

use Config   ();
use Storable ();

# The tags of Storable's stream that plain data has.
use constant {
    OBJECT => 0, LSCALAR => 1, ARRAY => 2, HASH => 3, REF => 4, UNDEF => 5, INTEGER => 6, DOUBLE => 7, BYTE => 8, NETINT => 9,
    SCALAR => 10, SV_UNDEF => 14, SV_YES => 15, SV_NO => 16, UTF8STR => 23, LUTF8STR => 24, FLAG_HASH => 25, WEAKREF => 27,
    VSTRING => 29, LVSTRING => 30, SVUNDEF_ELEM => 31, BOOLEAN_TRUE => 34, BOOLEAN_FALSE => 35,
};

# What Storable writes in front in native byte order: the version, then the order and sizes of this machine.
my $HEADER       = substr Storable::mstore([]), 0, -5;
my $HEADER_BYTES = length $HEADER;
my $VERSION_2    = substr $HEADER, 0, 1;
my $MACHINE      = substr $HEADER, 2;

# The bytes of items that have one size, by tag; -1 for those whose length is one byte behind the tag; 0 for all others.
my @SIZE = (0) x 256;
@SIZE[UNDEF, SV_UNDEF, SV_YES, SV_NO, SVUNDEF_ELEM, BOOLEAN_TRUE, BOOLEAN_FALSE] = (1) x 7;
@SIZE[OBJECT, BYTE, NETINT] = (5, 2, 5);
@SIZE[INTEGER, DOUBLE] = (1 + $Config::Config{ivsize}, 1 + $Config::Config{nvsize});
@SIZE[SCALAR, UTF8STR] = (-1, -1);

# Of these, many behind one another are passed over together.
my $MANY = 16;
my @RUN;
$RUN[$_] = do { my ($tag, $rest) = (chr, $SIZE[$_] - 1); qr/\G(?:\Q$tag\E.{$rest})+/s } for INTEGER, DOUBLE, BYTE;
my $STRINGS = do {
    my $any = join '|', map { sprintf '\x%02x.{%d}', $_, $_ } 0 .. 255;
    my $tag = sprintf '[\x%02x\x%02x]', SCALAR, UTF8STR;
    qr/\G(?:$tag(?:$any)){$MANY}/s;
};

# A list of one short value, the commonest answer, claims nothing.
my $ONE_SHORT = do {
    my $short = join q{}, map { sprintf '\x%02x', $_ } grep { $SIZE[$_] } 0 .. $#SIZE;
    my $list  = quotemeta(chr(ARRAY) . pack 'L', 1);
    qr/\A\Q$VERSION_2\E.\Q$MACHINE\E(?:$list)[$short]/s;
};

my $TOO_LONG = "These bytes are not Argon data: a length in them is beyond their end\n";
my $FOREIGN  = "These bytes are not Argon data: they hold a kind of value that plain data never has\n";

# Dies with one sentence if the bytes claim more than they have. What does not begin as on this machine is left to Storable,
# which refuses it.
sub check {
    my $bytes = \$_[0];
    return if ${$bytes} =~ $ONE_SHORT;
    # Big-endian, and the formats of old versions, have other lengths.
    die "These bytes are not Argon data: they do not begin like it\n" if substr(${$bytes}, 0, 1) ne $VERSION_2;
    return if substr(${$bytes}, 2, $HEADER_BYTES - 2) ne $MACHINE;
    my ($at, $end) = ($HEADER_BYTES, length ${$bytes});
    # Items that are left of the container that is read; bytes between a value and the length of its key, if it is a hash; and
    # the same of the containers around it.
    my ($left, $before_key, @outer) = (1, undef);
    while ($at < $end) {
        # All short ones but the last, for that ends the container.
        if    (!defined $before_key) { $at = _pass_items($bytes, $at, $left) if $left > $MANY }
        elsif (!$before_key) {
            while ($left > 1) {
                my $size = $SIZE[vec ${$bytes}, $at, 8] or last;
                $at += $size > 0 ? $size : 2 + vec ${$bytes}, $at + 1, 8;
                $at += 4 + (unpack('L', substr ${$bytes}, $at, 4) // $end);
                last if $at >= $end;
                $left--;
            }
            die $TOO_LONG if $at >= $end;
        }
        my $tag = vec ${$bytes}, $at, 8;
        if    (my $size = $SIZE[$tag]) { $at += $size > 0 ? $size : 2 + vec ${$bytes}, $at + 1, 8 }
        elsif ($tag == REF || $tag == WEAKREF) { $at++; next }
        elsif ($tag == ARRAY || $tag == HASH || $tag == FLAG_HASH) {
            $at++ if $tag == FLAG_HASH;
            my $count = unpack 'L', substr ${$bytes}, $at + 1, 4;
            $at += 5;
            # An element takes a byte, a pair five.
            my $bytes_min = $tag == ARRAY ? 1 : $tag == HASH ? 5 : 6;
            die $TOO_LONG if !defined $count || $count * $bytes_min > $end - $at;
            if ($count) {
                push @outer, $left, $before_key;
                ($left, $before_key) = ($count, $tag == ARRAY ? undef : $tag == HASH ? 0 : 1);
                next;
            }
        }
        elsif ($tag == LSCALAR || $tag == LUTF8STR) { $at += 5 + (unpack('L', substr ${$bytes}, $at + 1, 4) // $end) }
        elsif ($tag == VSTRING)  { $at += 2 + vec ${$bytes}, $at + 1, 8; next }
        elsif ($tag == LVSTRING) { $at += 5 + (unpack('L', substr ${$bytes}, $at + 1, 4) // $end); next }
        else                     { die $FOREIGN }
        # An item is whole; perhaps the containers around it are, too.
        while (1) {
            if (defined $before_key) {
                # A key that is itself a value is never plain.
                die $FOREIGN if $before_key && vec(${$bytes}, $at, 8) & 8;
                $at += $before_key;
                $at += 4 + (unpack('L', substr ${$bytes}, $at, 4) // $end);
            }
            die $TOO_LONG if $at > $end;
            last if --$left;
            return if !@outer;
            ($left, $before_key) = splice @outer, -2;
        }
    }
    die $TOO_LONG;
}

# Passes over short items of an array, but for the last; returns where the next begins, and lowers the number of those left.
sub _pass_items {
    my ($bytes, $at) = @_;
    while ($_[2] > $MANY) {
        my $tag = vec ${$bytes}, $at, 8;
        pos(${$bytes}) = $at;
        if ($RUN[$tag]) {
            ${$bytes} =~ /$RUN[$tag]/g or last;
            my $count = ($+[0] - $at) / $SIZE[$tag];
            $count = $_[2] - 1 if $count >= $_[2];
            $at   += $count * $SIZE[$tag];
            $_[2] -= $count;
        }
        elsif ($SIZE[$tag] < 0 && ${$bytes} =~ /$STRINGS/g) {
            $at = $+[0];
            $_[2] -= $MANY;
        }
        else { last }
    }
    pos(${$bytes}) = undef;
    return $at;
}

1;
