"""Memory for big payloads, in the client and in a runner: it grows with what comes, and freed it stays at hand."""

from __future__ import annotations

#: The GNU C library adjusts itself to nothing bigger,
_PIECE_BYTES_MAX = (32 << 20) - 65536
#: and this number of payloads is under way at a time, with a copy of each.
_PIECES = 8

_expected = 0


def expect(size: int) -> None:
    """Prepares for payloads of `size` bytes.

    By itself the library gives the end of the heap back to the system after nearly every one, and the system clears the
    same pages again for the next: half of what a big payload costs. But it learns from what is freed: when a piece that
    came from the system by itself is freed, pieces of that size stay with the heap from then on, and twice as much
    of what is free. So such a piece is asked for, never touched, and freed.
    """
    global _expected
    if size > _expected:
        _expected = size
        try:
            bytearray(min(_PIECES * size, _PIECE_BYTES_MAX))
        except MemoryError:
            pass


#: Bytes that are allocated at first, whatever length was announced.
FIRST_BYTES_MAX = 1 << 20
_GROWTH = 4


def room(length: int, needed: int) -> bytearray:
    """Buffer for a payload of this length that begins to arrive, with room for ``needed`` bytes."""
    return bytearray(min(length, max(needed, FIRST_BYTES_MAX)))


def grown(buffer: bytearray, filled: int, needed: int, length: int) -> bytearray:
    """The same with room for ``needed`` bytes: an announcement alone takes no memory, only what came."""
    if needed <= len(buffer):
        return buffer
    bigger = bytearray(min(length, max(needed, _GROWTH * len(buffer))))
    bigger[:filled] = memoryview(buffer)[:filled]
    return bigger
