"""Decides what may be sent, and in which order: credit, blobs before the tasks that name them, held back tasks.

All of it is called with the session's lock held, and only appends to the connection's buffer.
"""

from __future__ import annotations

from random import random
from time import monotonic
from typing import TYPE_CHECKING

from .._wire import protocol as wire
from .task import Blob, Task

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .session import Session

BUFFER_BYTES_MAX = 1_048_576
HOLD_BACK_S = 0.05
HOLD_BACK_S_MAX = 2.0


def has_credit(session: Session, task: Task) -> bool:
    """True if the manager has granted room for it. A single task may exceed the bytes."""
    return session.sent_tasks < session.credit_tasks and (
        session.sent_bytes + task._size <= session.credit_bytes or not session.in_flight
    )


def send_task(session: Session, connection: Connection, task: Task) -> None:
    """Puts a task on its way on this connection."""
    if session.acks and session.sent_bytes + task._size > session.credit_bytes:
        # Alone it may exceed the bytes, but alone it is only once the manager knows that what was before is in hand.
        session.write_acks(connection)
    for blob in task._blobs:
        if blob.hash not in connection.blobs:
            send_blob(connection, blob)
    if task._sent_on and task._sent_on != session.connections:
        _set_offered_again(task)
    if task._parts is not None:
        stream = connection.add_stream(task._parts)
        frame = bytearray(task._frame)
        frame[wire.STREAM_AT : wire.STREAM_AT + 4] = stream.to_bytes(4, "big")
        task._frame = bytes(frame)
    task._sent_on = session.connections
    connection.out.append(task._frame)
    connection.out_bytes += len(task._frame)
    session.sent_tasks += 1
    session.sent_bytes += task._size
    session.in_flight += 1


def _set_offered_again(task: Task) -> None:
    at = wire.FLAGS_AT
    flags = int.from_bytes(task._frame[at : at + 2], "big") | wire.OFFERED_AGAIN
    task._frame = task._frame[:at] + flags.to_bytes(2, "big") + task._frame[at + 2 :]


def send_blob(connection: Connection, blob: Blob) -> None:
    """Sends a blob: small in its frame, big in a stream."""
    connection.blobs.add(blob.hash)
    if blob.size <= wire.PART_BYTES_MAX:
        body = b"".join((wire.BLOB_HEAD.pack(blob.hash, 0, blob.size), *blob.parts))
        connection.send(wire.frame(wire.BLOB, body))
        return
    stream = connection.add_stream(blob.parts)
    connection.send(wire.frame(wire.BLOB, wire.BLOB_HEAD.pack(blob.hash, stream, blob.size)))


def send_blob_again(session: Session, connection: Connection, name: bytes) -> None:
    """Answers NEED_BLOB for a blob of a task that is still under way."""
    for task in session.journal.values():
        for blob in task._blobs:
            if blob.hash == name:
                send_blob(connection, blob)
                return


def send_backlog(session: Session, connection: Connection) -> None:
    """Tasks that could not be sent yet. The entry that is None stands for OFFERED."""
    backlog = session.backlog
    while backlog and connection.out_bytes < BUFFER_BYTES_MAX and not connection.pending:
        task = backlog[0]
        if task is None:
            connection.send(wire.frame(wire.OFFERED, b""))
        elif task._done:
            pass
        elif has_credit(session, task):
            send_task(session, connection, task)
            if task._cancelled:
                connection.send(wire.frame(wire.CANCEL, task._id))
        else:
            return
        backlog.popleft()


def hold_back(session: Session, task: Task) -> bool:
    """Keeps a task that the manager did not take, to offer it later. False when it shall not wait."""
    if task._cancelled or task._collects or not task._options.wait:
        return False
    task._tries += 1
    pause = min(HOLD_BACK_S * 2 ** min(task._tries - 1, 6), HOLD_BACK_S_MAX)
    task._held_back = True
    if not wire.read_submit(task._frame).flags & wire.OFFERED_AGAIN:
        # It was not sent on another connection before: no one has it.
        task._sent_on = 0
    session.held_back.append((monotonic() + pause * (0.5 + random() / 2), task))
    return True


def offer_held_back(session: Session) -> None:
    """Those whose time has come join the backlog."""
    now = monotonic()
    due = [task for at, task in session.held_back if at <= now]
    if due:
        session.held_back = [held for held in session.held_back if held[0] > now]
        for task in due:
            task._held_back = False
            session.backlog.append(task)
