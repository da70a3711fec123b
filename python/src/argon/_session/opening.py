"""First messages of a client on a new connection: its session, and its unfinished tasks."""

from __future__ import annotations

import os
from collections import deque
from socket import gethostname
from time import monotonic
from typing import TYPE_CHECKING, Any

from .._version import VERSION
from .._wire import protocol as wire
from . import sending

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .session import Session


def opened(session: Session, connection: Connection, granted: dict[str, Any]) -> None:
    """A connection was made: opens the session on it and offers what is unfinished. With the lock held."""
    session.connections += 1
    session.in_flight = session.sent_tasks = session.sent_bytes = 0
    session.credit_tasks = int(granted.get("credit_tasks", 0))
    session.credit_bytes = int(granted.get("credit_bytes", 0))
    hello = {
        "session": session.identity.hex(),
        "secret": session.secret.hex(),
        "client": f"python/{VERSION}",
        "host": gethostname(),
        "pid": os.getpid(),
    }
    space = None if session.leaves_tasks else _pid_space()
    if space is not None:
        hello["pid_space"] = space
    if session.incarnation is not None:
        hello["previous"] = session.incarnation
    # Inside a task the worker answers, and names no incarnation.
    session.incarnation = granted.get("incarnation")
    connection.send(wire.json_frame(wire.OPEN, hello))
    session.lending.opened(connection)
    session.acks.clear()
    collected = [task for task in session.journal.values() if task._collects]
    tasks = [task for task in session.journal.values() if not task._collects]
    for task in tasks:
        task._output = None  # what is printed is counted anew on each connection
    again = [task for task in tasks if task._sent_on and not task._held_back]
    session.backlog = deque([*again, None, *(task for task in tasks if not task._sent_on and not task._held_back)])
    for task in collected:
        connection.send(task._frame)
    for request in session.requests.values():
        connection.send(request._frame)
    session.heard = monotonic()
    session.connection = connection
    session.waiting.has_connection()
    session.unreachable = None
    sending.send_backlog(session, connection)
    session.flush(connection)


def _pid_space() -> str | None:
    """What a process id is to be read in: with it, the manager of this machine sees that this process has ended."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None
