"""Takes apart what a connection has read: frame after frame into the session's journal, or to one small handler.

The way of an outcome is the hot path of the client and is written out here. It never waits, runs no code of the user
and is called with the session's lock held; what there is to print, to answer and to wake it leaves in the session.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from .._wire import memory, text
from .._wire import protocol as wire
from .._wire.ticket import Ticket
from . import output, sending
from .task import Task

#: Unfinished payloads of tasks that are not ours, which are passed over.
FOREIGN_STREAMS_MAX = 65_536

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .session import Session


def take(session: Session, connection: Connection) -> None:
    """Takes every whole frame out of the connection, but stops behind one that has to be printed first."""
    journal, buffer, acks, finished = session.journal, connection.buffer, session.acks, session.finished
    begin, end = connection.begin, connection.end
    read_frame, read_outcome = wire.FRAME.unpack_from, wire.OUTCOME_FRAME.unpack_from
    while end - begin > 4:
        length, kind = read_frame(buffer, begin)
        after = begin + 4 + length
        if not 1 <= length <= wire.FRAME_BYTES_MAX:
            connection.broken = connection.broken or f"the manager sent a frame of {length} bytes"
            break
        if after > end:
            break
        if kind == wire.OUTCOME and length > wire.OUTCOME_HEAD_BYTES:
            _, _, task_id, attempt, status, codec, _, run_us, meta_length, stream, _ = read_outcome(buffer, begin)
            report_at = begin + 5 + wire.OUTCOME_HEAD_BYTES
            begin = after
            payload_at = report_at + meta_length
            if payload_at > after:
                connection.broken = (
                    connection.broken or "the manager sent an outcome whose report is longer than its frame"
                )
                break
            task = journal.get(task_id)
            if stream or status or task is None:
                head = wire.read_outcome(buffer[report_at - 61 : report_at])
                report = bytes(buffer[report_at:payload_at])
                _on_outcome(session, connection, head, report, buffer[payload_at:after])
                continue
            del journal[task_id]
            task._status, task._codec = status, codec
            task._attempt, task._run_us = attempt, run_us
            if meta_length:
                task._report = bytes(buffer[report_at:payload_at])
            task._payload = buffer[payload_at:after]
            if task._sent_on == session.connections:
                # Not for one that was not sent on this connection yet, or is collected.
                session.in_flight -= 1
            acks.append(task_id)
            if task._waiters or task._callbacks is not None or task._output is not None:
                finished.append(task)
            task._frame, task._parts = b"", None
            task._done = True
            continue
        if kind == wire.CHUNK and length >= 5:
            _on_chunk(session, connection, begin + 5, after)
            begin = after
            continue
        body = bytes(buffer[begin + 5 : after])
        begin = after
        _on_frame(session, connection, kind, body)
        if connection.broken or session.prints:
            break
    connection.begin = begin


def _on_frame(session: Session, connection: Connection, kind: int, body: bytes) -> None:
    """Every frame but OUTCOME and CHUNK."""
    try:
        _handle(session, connection, kind, body)
    except (struct.error, ValueError) as problem:
        connection.broken = (
            connection.broken or f"the manager sent a frame of kind 0x{kind:02x} that cannot be read: {problem}"
        )


def _handle(session: Session, connection: Connection, kind: int, body: bytes) -> None:
    if kind == wire.PING:
        connection.send(wire.frame(wire.PONG, body))
    elif kind == wire.OUTPUT:
        output.on_output(session, connection, body)
    elif kind == wire.CREDIT:
        session.credit_tasks, session.credit_bytes = wire.CREDIT_BODY.unpack(body)
    elif kind == wire.ACCEPTED:
        if len(body) % (wire.ID_BYTES + wire.TOKEN_BYTES):
            raise ValueError("it has no tokens of tickets")
        for ticket in _split(body, wire.ID_BYTES + wire.TOKEN_BYTES):
            _on_accepted(session, Ticket(ticket[: wire.ID_BYTES], ticket[wire.ID_BYTES :]))
    elif kind == wire.NEED_BLOB:
        for blob in _split(body, 32):
            sending.send_blob_again(session, connection, blob)
    elif kind == wire.ASK:
        session.asks.append(body)
    elif kind == wire.REPLY:
        _on_reply(session, body)
    elif kind == wire.GOODBYE:
        connection.broken = connection.broken or f"the manager said goodbye: {_field(body, 'reason')}"
    elif kind == wire.REFUSED and connection.refused:
        pass  # What follows on this connection is refused, too, and says nothing.
    elif kind == wire.REFUSED:
        connection.refused = _field(body, "code")
        reason = f"the manager refused ({connection.refused}): {_field(body, 'message')}"
        connection.broken = connection.broken or reason
    elif kind != wire.PONG:
        connection.broken = connection.broken or f"the manager sent a frame of kind 0x{kind:02x}"


def _on_outcome(
    session: Session, connection: Connection, head: wire.OutcomeHead, report: bytes, payload: bytearray
) -> None:
    """An outcome that is not plain: in a stream, not ok, or not ours any more."""
    if head.stream and len(payload) < head.payload_length:
        if head.payload_length > wire.PAYLOAD_BYTES_MAX:
            connection.broken = connection.broken or f"the manager announced a payload of {head.payload_length} bytes"
            return
        _begin_stream(session, connection, head, report, payload)
        return
    _settle(session, head, report, payload)


def _begin_stream(
    session: Session, connection: Connection, head: wire.OutcomeHead, report: bytes, payload: bytearray
) -> None:
    """A payload that comes in chunks. Of a task that is not ours, or that has one coming, bytes are only counted."""
    if head.stream in connection.partial:
        connection.broken = connection.broken or "the manager began a payload under the number of another"
        return
    if head.id in session.journal and head.id not in connection.streaming:
        connection.streaming.add(head.id)
        memory.expect(head.payload_length)
        whole = memory.room(head.payload_length, len(payload))
        whole[: len(payload)] = payload
        connection.partial[head.stream] = [whole, len(payload), head, report]
        return
    connection.partial[head.stream] = [None, len(payload), head, b""]
    connection.foreign_streams += 1
    if connection.foreign_streams > FOREIGN_STREAMS_MAX:
        connection.broken = (
            connection.broken or "the manager began too many payloads of tasks that are not of this client"
        )


def _on_chunk(session: Session, connection: Connection, begin: int, after: int) -> None:
    stream = int.from_bytes(connection.buffer[begin : begin + 4], "big")
    partial = connection.partial.get(stream)
    if partial is None:
        connection.broken = connection.broken or "the manager sent a chunk of an unknown stream"
        return
    whole, have, head, report = partial
    now = have + after - begin - 4
    if now > head.payload_length:
        connection.broken = connection.broken or "the manager sent more of a payload than it had announced"
        return
    partial[1] = now
    if whole is not None:
        try:
            whole = partial[0] = memory.grown(whole, have, now, head.payload_length)
            whole[have:now] = connection.view[begin + 4 : after]
        except MemoryError:
            # Offered again it would only come again: the task ends, and the rest of its payload is passed over.
            _settle_without_room(session, head, report)
            partial[0] = whole = None
            partial[3] = report = None
    if now == head.payload_length:
        del connection.partial[stream]
        if whole is not None:
            connection.streaming.discard(head.id)
            _settle(session, head, report, whole)
        elif report is None:
            connection.streaming.discard(head.id)
        else:
            connection.foreign_streams -= 1
            # One that was only counted is not the outcome of a task of ours.
            if head.id not in session.journal:
                _settle(session, head, report, bytearray())


def _settle_without_room(session: Session, head: wire.OutcomeHead, report: bytes) -> None:
    task = session.journal.get(head.id)
    if task is not None:
        task._error = MemoryError(f"this process has no room for the outcome of the task: {head.payload_length} bytes")
    _settle(session, head._replace(status=wire.ERROR), report, bytearray())


def _settle(session: Session, head: wire.OutcomeHead, report: bytes, payload: bytearray) -> None:
    task = session.journal.get(head.id)
    if task is None:
        if head.id in session.unwanted:
            session.unwanted.remove(head.id)
        else:
            session.acks.append(head.id)
        return
    if task._sent_on == session.connections:
        session.in_flight -= 1
    if head.status == wire.REJECTED and sending.hold_back(session, task):
        session.waiting.is_full(text.report(report))
        return
    del session.journal[head.id]
    task._status, task._codec, task._attempt = head.status, head.codec, head.attempt
    task._run_us = head.run_us
    task._report = report or None
    task._payload = payload
    # Of a task that it did not take, or does not know under this ticket, the manager holds nothing for this session.
    is_unknown = task._collects and head.status == wire.LOST and not head.attempt
    if head.status != wire.REJECTED and not is_unknown:
        session.acks.append(head.id)
    session.settle(task)


def _on_accepted(session: Session, ticket: Ticket) -> None:
    """The manager has the detached task on its store: it is no longer ours. The task's value is its ticket."""
    task = session.journal.get(ticket.id)
    if task is None or task._collects:
        # Said twice: meanwhile its outcome may be what is waited for.
        return
    del session.journal[ticket.id]
    if task._sent_on == session.connections:
        session.in_flight -= 1
    task._status, task._value = wire.OK, ticket
    session.settle(task)


def _on_reply(session: Session, body: bytes) -> None:
    try:
        reply = text.read_json(body)
        if session.waiting.take(reply):
            return
        request: Task = session.requests.pop(reply["request"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    request._value = reply
    request._status = wire.OK
    session.settle(request)


def _split(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body) - size + 1, size)]


def _field(body: bytes, name: str) -> str:
    return text.field(body, name, "no reason given")
