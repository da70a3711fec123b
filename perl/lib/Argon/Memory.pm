package Argon::Memory;

# Owns one thing: that the memory of big payloads is used again. It allocates nothing that lasts, and decides nothing about
# what is sent or kept.

use strict;
use warnings;

my $PIECES = 8;
# The GNU C library adjusts itself to nothing bigger.
my $BYTES_MAX = (32 << 20) - 65_536;

my $expected = 0;
my $is_limited;

# Announces payloads of this size. By itself the C library gives the end of the heap back to the system after nearly every
# one, and the system clears the same pages again for the next: that can cost more than all else. But it learns from what
# is freed: when a piece that came from the system by itself is freed, pieces of that size stay with the heap from then on,
# and twice as much of what is free. So such a piece is asked for, never touched, and freed.
sub expect {
    my ($bytes) = @_;
    return if $bytes <= $expected;
    my $is_first = !$expected;
    $expected = $bytes;
    return if $is_limited ||= $is_first && _is_limited();
    $bytes *= $PIECES;
    $bytes = $BYTES_MAX if $bytes > $BYTES_MAX;
    my $piece = q{};
    make_room(\$piece, $bytes);
    undef $piece;
    return;
}

# Makes room for $bytes in a string, without writing there: a later read behind it need not move it. A read makes
# room before it finds nothing. The handle is not kept: a task may close what it does not know.
sub make_room {
    my ($string, $bytes) = @_;
    open my $nothing, '<', '/dev/null' or return;
    sysread $nothing, ${$string}, $bytes - length ${$string}, length ${$string};
    return;
}

# Perl ends when it does not get memory, so where there is a limit none is asked for that is not needed.
sub _is_limited {
    open my $limits, '<', '/proc/self/limits' or return 1;
    my $free = grep {/\AMax (?:data size|address space) +unlimited /} <$limits>;
    return $free != 2;
}

1;

__END__

=encoding utf8

=head1 NAME

Argon::Memory - memory of big payloads that is used again

=head1 SYNOPSIS

  use Argon::Memory ();

  Argon::Memory::expect(1_048_576);

=head1 DESCRIPTION

Client and runner call it when an argument or a result is about to come or go that does not fit in one frame. You do not
call it yourself.

=head1 FUNCTIONS

=head2 expect($bytes)

Lets the GNU C library keep at hand what is freed of payloads of so many bytes: up to sixteen times as much, and never more
than 64 MiB. It does nothing when that was expected before, where the process has a limit of memory, and with other C
libraries.

=head2 make_room(\$string, $bytes)

Lets a string have memory for so many bytes at once, before they come piece by piece.

=cut
