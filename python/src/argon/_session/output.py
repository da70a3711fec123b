"""Writes output of tasks to the caller's own sys.stdout and sys.stderr, so that redirections and notebooks see it.

The inbox hands over the OUTPUT frames under the session's lock; they are written by `write`, without it.
"""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .._outcome import log_records
from .._shown import progress
from .._wire import protocol as wire

if TYPE_CHECKING:
    import contextvars

    from .._wire.connection import Connection
    from .session import Session

GRANT_EVERY_BYTES = 262_144
#: Attempts of one task whose output is counted, and tasks whose last character may be a half.
ATTEMPTS_MAX = 64
DECODERS_MAX = 10_000
#: An OUTPUT frame with it holds a log record.
LOG_DESCRIPTOR = 3


class Print(NamedTuple):
    """Bytes to print, in the context of the call that they belong to."""

    task: bytes
    descriptor: int
    text: bytes
    context: contextvars.Context | None


def on_output(session: Session, connection: Connection, body: bytes) -> None:
    """Remembers what to print, and grants the task more when it has printed a good deal."""
    task_id, attempt, descriptor = wire.OUTPUT_HEAD.unpack_from(body)
    text = body[wire.OUTPUT_HEAD.size :]
    task = session.journal.get(task_id)
    session.prints.append(Print(task_id, descriptor, text, task._context if task else None))
    if task is None:
        return
    if task._output is None:
        task._output = {}
    if len(task._output) > ATTEMPTS_MAX:
        task._output.clear()
    count = task._output.setdefault(attempt, [0, 0])
    count[0] += len(text)
    if count[0] - count[1] >= GRANT_EVERY_BYTES:
        count[1] = count[0]
        connection.send(wire.frame(wire.OUTPUT_CREDIT, wire.OUTPUT_CREDIT_BODY.pack(task_id, attempt, count[0])))


class Printer:
    """Writes to the standard streams as they are at that moment."""

    def __init__(self) -> None:
        # For a stream that takes only text: characters that a frame cut in two.
        self._decoders: dict[tuple[bytes, int], codecs.IncrementalDecoder] = {}

    def write(self, one: Print) -> None:
        """Prints now. A stream that is closed or fails takes nothing; the tasks go on."""
        if one.descriptor == LOG_DESCRIPTOR:
            log_records.hand_over(one.text, one.task, one.context)
            return
        if one.descriptor not in (1, 2):
            return
        stream = sys.stderr if one.descriptor == 2 else sys.stdout
        if stream is None:
            return
        with progress.aside():
            if one.context is not None:
                one.context.copy().run(self._write_to, stream, one)
            else:
                self._write_to(stream, one)

    def end_of_task(self, task: bytes) -> None:
        """Forgets a character whose end never came."""
        for descriptor in (1, 2):
            self._decoders.pop((task, descriptor), None)

    def _write_to(self, stream: Any, one: Print) -> None:
        try:
            raw = getattr(stream, "buffer", None)
            if raw is not None:
                stream.flush()
                raw.write(one.text)
                raw.flush()
                return
            key = (one.task, one.descriptor)
            decoder = self._decoders.get(key)
            if decoder is None:
                if len(self._decoders) > DECODERS_MAX:
                    self._decoders.clear()
                decoder = self._decoders[key] = codecs.getincrementaldecoder("utf-8")("replace")
            stream.write(decoder.decode(one.text))
            flush = getattr(stream, "flush", None)
            if flush is not None:
                flush()
        except KeyboardInterrupt:
            raise
        except BaseException:  # A stream of the user's may raise what it likes; the tasks go on.
            return
