"""The runner's private socket: whole messages in and out, blocking.

It knows frames and CHUNK streams, nothing of tasks. Only the process that opened it may speak: a child that a task
forked must not.
"""

from __future__ import annotations

import _socket
import os
import struct

from .._wire import memory

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

    #: A whole message: its kind, its head up to the payload, and the payload. A list, so that who uses the payload can
    #: take it out, and it is not in memory for the time of a task.
    Message = list[Any]

RUN = 0x32
OUTCOME = 0x33
ASK = 0x3C
ANSWER = 0x3D
BLOB = 0x20
NEED_BLOB = 0x21
CHUNK = 0x22
READY = 0x40
OUTPUT_LEFT = 0x41
OUTPUT_TAKEN = 0x42
FORK = 0x45
FORKED = 0x46
LOG = 0x47

FRAME_BYTES_MAX = 1 << 20
PART_BYTES_MAX = 256 << 10
PAYLOAD_BYTES_MAX = 1 << 30
_READ_BYTES = 64 << 10
_BUFFERS_MAX = 64

_FRAME = struct.Struct(">IB")
_FRAME_BYTES = _FRAME.size
_CHUNK_HEAD = struct.Struct(">IBI")
_NUMBER = struct.Struct(">I")
#: stream, payload_length.
_STREAM = struct.Struct(">IQ")
#: In RUN: blob_count, meta_length, stream, payload_length.
_RUN_SIZES = struct.Struct(">39xB8xIIQ")
#: In BLOB: stream, length.
_BLOB_SIZES = struct.Struct(">32xIQ")
RUN_HEAD_BYTES = 64
BLOB_HEAD_BYTES = 44


class Closed(Exception):
    """The worker closed the socket: the runner's work is done."""


def frame(kind: int, body: bytes = b"") -> bytes:
    """A small message as it is sent."""
    return _FRAME.pack(1 + len(body), kind) + body


class WorkerChannel:
    """The socket with what was read from it and is not yet used."""

    def __init__(self, descriptor: int) -> None:
        self._socket = _socket.socket(fileno=descriptor)
        self._process = os.getpid()
        self._buffer = bytearray(_READ_BYTES)
        self._view = memoryview(self._buffer)
        self._begin = 0
        self._end = 0
        self._kept: list[Message] = []
        # By stream: kind and head, what came of the payload, how much that is, and how long it will be.
        self._partial: dict[int, tuple[int, bytearray, bytearray, int, int]] = {}
        self._last_stream = 0

    def next(self) -> Message:
        """The next message. Raises Closed."""
        if self._kept:
            return self._kept.pop(0)
        return self._read_message()

    def next_of(self, kind: int) -> Message:
        """The next message of a kind, for who has asked for it; what comes before it is kept for its turn."""
        for at, message in enumerate(self._kept):
            if message[0] == kind:
                return self._kept.pop(at)
        while True:
            message = self._read_message()
            if message[0] == kind:
                return message
            self._kept.append(message)

    def is_coming(self, blob: bytes) -> bool:
        """True if a blob waits for its turn, or has begun to arrive: small messages overtake big ones."""
        heads = [message[1] for message in self._kept if message[0] == BLOB]
        heads += [head for kind, head, _, _, _ in self._partial.values() if kind == BLOB]
        return any(head[:32] == blob for head in heads)

    def send(self, kind: int, *parts: Any) -> None:
        """Sends a small message."""
        self._write([frame(kind, b"".join(parts))])

    def send_outcome(self, before: bytes, head: bytes, report: bytes, payload: list[Any]) -> None:
        """Sends an OUTCOME and the frame before it; ``head`` is what comes before its stream and payload_length."""
        length = sum(map(len, payload))
        if length <= PART_BYTES_MAX:
            head += _STREAM.pack(0, length) + report
            # One piece: to copy a little is cheaper than to hand the kernel a list.
            frame_head = _FRAME.pack(1 + len(head) + length, OUTCOME)
            self._write([b"".join([before, frame_head, head, *payload])])
            return
        self._last_stream = stream = self._last_stream % 0x7FFFFFFF + 1
        head += _STREAM.pack(stream, length) + report
        self._write([before + frame(OUTCOME, head)])
        for part in payload:
            view = memoryview(part).cast("B")
            for begin in range(0, len(view), PART_BYTES_MAX):
                piece = view[begin : begin + PART_BYTES_MAX]
                self._write([_CHUNK_HEAD.pack(5 + len(piece), CHUNK, stream), piece])

    def _write(self, buffers: list[Any]) -> None:
        if os.getpid() != self._process:
            raise RuntimeError("a forked child must not use the socket of its runner")
        try:
            if len(buffers) == 1:
                self._socket.sendall(buffers[0])
                return
            left = sum(map(len, buffers))
            while left:
                sent = self._socket.sendmsg(buffers[:_BUFFERS_MAX])
                left -= sent
                while left and sent >= len(buffers[0]):
                    sent -= len(buffers.pop(0))
                if left and sent:
                    buffers[0] = memoryview(buffers[0])[sent:]
        except OSError:
            raise Closed from None

    def _read_message(self) -> Message:
        while True:
            if self._end - self._begin < _FRAME_BYTES:
                self._receive_at_least(_FRAME_BYTES)
            length, kind = _FRAME.unpack_from(self._buffer, self._begin)
            self._begin += _FRAME_BYTES
            if not 1 <= length <= FRAME_BYTES_MAX:
                raise ValueError(f"argon runner: the worker sent a frame of {length} bytes")
            is_chunk = kind == CHUNK
            message = self._take_chunk(length - 5) if is_chunk else self._message_of(kind, self._take(length - 1))
            if message is not None:
                return message

    def _message_of(self, kind: int, body: bytearray) -> Message | None:
        if kind == RUN:
            blobs, meta, stream, length = _RUN_SIZES.unpack_from(body)
            head_bytes = RUN_HEAD_BYTES + 32 * blobs + meta
        elif kind == BLOB:
            stream, length = _BLOB_SIZES.unpack_from(body)
            head_bytes = BLOB_HEAD_BYTES
        else:
            return [kind, body, memoryview(b"")]
        view = memoryview(body)
        if not stream:
            return [kind, body, view[head_bytes:]]
        if length > PAYLOAD_BYTES_MAX:
            raise ValueError(f"argon runner: the worker announced a payload of {length} bytes")
        memory.expect(length)
        filled = len(body) - head_bytes
        payload = memory.room(length, filled)
        payload[:filled] = view[head_bytes:]
        if filled == length:
            return [kind, body, memoryview(payload)]
        self._partial[stream] = kind, body, payload, filled, length
        return None

    def _take_chunk(self, length: int) -> Message | None:
        (stream,) = _NUMBER.unpack(self._take(4))
        kind, head, payload, filled, whole = self._partial.pop(stream)
        end = filled + length
        if end > whole:
            raise ValueError("argon runner: the worker sent more of a payload than it had announced")
        payload = memory.grown(payload, filled, end, whole)
        view = memoryview(payload)
        self._fill(view[filled:end])
        if end == whole:
            return [kind, head, view]
        view.release()
        self._partial[stream] = kind, head, payload, end, whole
        return None

    def _take(self, count: int) -> bytearray:
        """The next bytes, as memory of their own."""
        begin, end = self._begin, self._begin + count
        if end <= self._end:
            self._begin = end
            return self._buffer[begin:end]
        if count > _READ_BYTES:
            taken = bytearray(count)
            self._fill(memoryview(taken))
            return taken
        self._receive_at_least(count)
        begin = self._begin
        self._begin += count
        return self._buffer[begin : self._begin]

    def _receive_at_least(self, count: int) -> None:
        """Receives until the buffer holds as many bytes, or more."""
        begin = self._begin
        have = self._end - begin
        if begin + count > _READ_BYTES or not have:
            self._view[:have] = self._view[begin : self._end]
            self._begin, self._end = 0, have
        while self._end - self._begin < count:
            self._end += self._receive(self._view[self._end :])

    def _fill(self, place: memoryview) -> None:
        """Fills the place: from the buffer first, then from the socket without a copy."""
        have = min(self._end - self._begin, len(place))
        place[:have] = self._view[self._begin : self._begin + have]
        self._begin += have
        while have < len(place):
            have += self._receive(place[have:])

    def _receive(self, place: memoryview) -> int:
        try:
            received = self._socket.recv_into(place)
        except OSError:
            received = 0
        if not received:
            raise Closed
        return received
