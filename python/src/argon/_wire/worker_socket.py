"""The way of a task to the pool: the socket of the worker that executes it, without address and key.

The rules are those of `spec/protocol.md`, section 9. The worker relays what follows the greeting to its manager.
"""

from __future__ import annotations

import os
import socket
from socket import socket as Socket
from time import monotonic
from typing import Any, NamedTuple

from . import protocol as wire
from . import text
from .connection import Connection
from .dial import HANDSHAKE_S
from .trouble import DialFailure

_ADVICE = "the task is over, or this process does not belong to it"


class TaskPlace(NamedTuple):
    """Identity of the running task, and its way to the worker."""

    path: str
    token: str
    task: str
    attempt: int

    @property
    def family(self) -> bytes:
        """The first bytes of the ids of its sessions."""
        return bytes.fromhex(self.task)[: wire.FAMILY_BYTES]


def of_environment() -> TaskPlace | None:
    """The task that this process executes, or was started by; None outside of tasks."""
    path, token, task, attempt = (
        os.environ.get(f"ARGON_{name}", "") for name in ("WORKER_SOCKET", "TASK_TOKEN", "TASK_ID", "ATTEMPT")
    )
    if not path or not token or len(task) != 2 * wire.ID_BYTES or not attempt.isdigit():
        return None
    return TaskPlace(path, token, task, int(attempt))


def dial_worker(place: TaskPlace) -> tuple[Connection, dict[str, Any]]:
    """A connection, and what the manager granted. Raises DialFailure."""
    sock = Socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(HANDSHAKE_S)
        try:
            sock.connect(place.path)
            greeting = {"token": place.token, "task": place.task, "attempt": place.attempt}
            sock.sendall(wire.json_frame(wire.CHILD, greeting))
        except OSError as error:
            sentence = f"The worker does not answer at {place.path} ({error.strerror or error}): {_ADVICE}."
            raise DialFailure(sentence) from None
        found = Connection(sock, "the worker of this task")
        granted = _granted(found)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return found, granted


def _granted(connection: Connection) -> dict[str, Any]:
    until = monotonic() + HANDSHAKE_S
    while True:
        if connection.end - connection.begin >= wire.FRAME.size:
            length, kind = wire.FRAME.unpack_from(connection.buffer, connection.begin)
            if kind not in (wire.CREDIT, wire.REFUSED) or not 1 <= length <= wire.FRAME_BYTES_MAX:
                raise DialFailure(f"The worker answered with a frame of kind 0x{kind:02x}.", for_good=True)
            if connection.end - connection.begin >= 4 + length:
                body = bytes(connection.view[connection.begin + wire.FRAME.size : connection.begin + 4 + length])
                connection.begin += 4 + length
                if kind == wire.REFUSED:
                    raise _refusal(body)
                if len(body) != wire.CREDIT_BODY.size:
                    raise DialFailure("The worker answered with a CREDIT that cannot be read.", for_good=True)
                tasks, size = wire.CREDIT_BODY.unpack(body)
                return {"credit_tasks": tasks, "credit_bytes": size}
        if not connection.read_some() and (connection.broken or monotonic() >= until):
            raise DialFailure(f"The worker closed the connection, or did not answer within {HANDSHAKE_S:.0f} s.")


def _refusal(body: bytes) -> DialFailure:
    code, message = text.field(body, "code", "unknown"), text.field(body, "message", "no reason given").rstrip(".")
    if code == "busy":
        return DialFailure(f"The worker has no manager now: {message}.")
    return DialFailure(f"The worker refused this client ({code}): {message}; {_ADVICE}.", for_good=True)
