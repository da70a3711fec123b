"""One connection to a manager after the handshake: its socket and what was read and is to be written.

It never waits: `read_some` and `flush` do what the socket allows now. The session decides what is sent, `inbox` takes
apart what was read. A caller holds the session's lock, but for `read_some`, which only the session's leader calls.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import Any

from . import memory
from . import protocol as wire

# Room for the longest frame and a good read beyond it.
_BUFFER_BYTES = wire.FRAME_BYTES_MAX + 4 * wire.PART_BYTES_MAX
_READ_BYTES_MIN = wire.PART_BYTES_MAX
#: Bytes that a peer may leave unread of the answers to its own frames.
UNREAD_BYTES_MAX = 1 << 26
UNREAD_STREAMS_MAX = 65_536


class Connection:
    """Hot paths append whole frames to `out` and read `buffer` from `begin` to `end`."""

    __slots__ = (
        "begin",
        "blobs",
        "broken",
        "buffer",
        "closed",
        "end",
        "expected",
        "foreign_streams",
        "is_turn_of_first",
        "out",
        "out_bytes",
        "partial",
        "pending",
        "refused",
        "sock",
        "stream",
        "streaming",
        "streams",
        "view",
        "where",
    )

    def __init__(self, sock: socket.socket, where: str):
        self.sock = sock
        self.where = where
        self.buffer = bytearray(_BUFFER_BYTES)
        self.view = memoryview(self.buffer)
        self.begin = self.end = 0
        self.out: list[bytes] = []
        self.out_bytes = 0
        # The rest of frames that the kernel did not take whole.
        self.pending: deque[memoryview] = deque()
        # Payloads that follow in chunks: the stream's number, what is left of it and how many bytes that is.
        self.streams: list[tuple[int, deque[memoryview], int]] = []
        self.is_turn_of_first = False
        self.stream = 0
        # Payloads that arrive in chunks: by stream the bytes, how many are here, and what to do with them.
        self.partial: dict[int, list[Any]] = {}
        # The tasks whose payloads these are, and how many are only counted.
        self.streaming: set[bytes] = set()
        self.foreign_streams = 0
        # The hashes of the blobs that were sent.
        self.blobs: set[bytes] = set()
        self.broken: str | None = None
        # The code with which the manager refused this client.
        self.refused = ""
        self.closed = False

    def __del__(self) -> None:
        # After `shut_down`, a reader that has not begun to wait does not close the socket.
        self.sock.close()

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self.sock.fileno()

    @property
    def wants_write(self) -> bool:
        """True if bytes wait for the socket."""
        return bool(self.out or self.pending or self.streams)

    @property
    def is_unread(self) -> bool:
        """True if the peer leaves more unread than it may."""
        if len(self.streams) > UNREAD_STREAMS_MAX:
            return True
        return bool(self.pending) and self.out_bytes + sum(part.nbytes for part in self.pending) > UNREAD_BYTES_MAX

    def send(self, frame: bytes) -> None:
        """Puts a whole frame behind those that wait."""
        self.out.append(frame)
        self.out_bytes += len(frame)

    def add_stream(self, parts: list[memoryview]) -> int:
        """Lets a payload follow in chunks; returns the number for the head that announces it."""
        left = sum(part.nbytes for part in parts)
        memory.expect(left)
        self.stream = self.stream % 0x7FFF_FFFF + 1
        self.streams.append((self.stream, deque(part for part in parts if part.nbytes), left))
        return self.stream

    def flush(self) -> bool:
        """Writes what the socket takes. True when nothing is left."""
        try:
            while True:
                if self.out:
                    data = self.out[0] if len(self.out) == 1 else b"".join(self.out)
                    self.out.clear()
                    self.out_bytes = 0
                    self._begin(data)
                elif not self.pending:
                    if not self.streams:
                        return True
                    self._begin_chunk()
                if self.pending and not self._write_pending():
                    return False
        except BlockingIOError:
            return False
        except OSError as error:
            self.broken = self.broken or f"the connection to {self.where} broke: {error.strerror or error}"
            return True

    def _begin(self, data: bytes) -> None:
        if self.pending:
            self.pending.append(memoryview(data))
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self.pending.append(memoryview(data)[sent:])

    def _write_pending(self) -> bool:
        pending = self.pending
        while pending:
            views = list(pending) if len(pending) <= 64 else [pending[place] for place in range(64)]
            left = self.sock.sendmsg(views)
            while left and left >= pending[0].nbytes:
                left -= pending.popleft().nbytes
            if left:
                pending[0] = pending[0][left:]
                return False
        return True

    def _begin_chunk(self) -> None:
        """Begins the next chunk; small frames get in between two.

        The stream that came first and the one with least left alternate. Those of one length so follow one another, and
        the first is worked on while the next is under way; a short one waits for none that is much longer, and none
        waits for ever.
        """
        self.is_turn_of_first = not self.is_turn_of_first
        streams = self.streams
        at = 0 if self.is_turn_of_first else min(range(len(streams)), key=lambda at: streams[at][2])
        number, parts, left = streams.pop(at)
        views: list[memoryview] = []
        room = wire.PART_BYTES_MAX
        while parts and room:
            part = parts.popleft()
            if part.nbytes > room:
                parts.appendleft(part[room:])
                part = part[:room]
            views.append(part)
            room -= part.nbytes
        length = wire.PART_BYTES_MAX - room
        head = wire.frame(wire.CHUNK, number.to_bytes(4, "big"))
        self.pending.append(memoryview(wire.FRAME.pack(5 + length, wire.CHUNK) + head[5:]))
        self.pending.extend(views)
        if parts:
            streams.insert(at, (number, parts, left - length))

    def read_some(self) -> int:
        """Reads what is there: how many bytes. The end of the connection sets `broken`."""
        if self.begin == self.end:
            self.begin = self.end = 0
        elif _BUFFER_BYTES - self.end < _READ_BYTES_MIN:
            rest = self.end - self.begin
            self.buffer[:rest] = self.buffer[self.begin : self.end]
            self.begin, self.end = 0, rest
        try:
            count = self._read_into(self.view[self.end :])
        except BlockingIOError:
            return 0
        except OSError as error:
            self.broken = self.broken or f"the connection to {self.where} broke: {error.strerror or error}"
            return 0
        if count == 0:
            self.broken = self.broken or f"the manager at {self.where} closed the connection"
        self.end += count
        return count

    def _read_into(self, room: memoryview) -> int:
        return self.sock.recv_into(room)

    def shut_down(self) -> None:
        """Ends the connection and wakes the thread that waits on it, which then closes the socket."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the socket; what was not written is dropped."""
        self.closed = True
        self.sock.close()
