"""Ends of a session: by a goodbye, by a destructor, or in a forked child, which begins a session of its own.

All of it may be asked for by a signal handler or a destructor at any moment.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from .._wire import protocol as wire
from ..errors import Cancelled, Error, Lost

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .session import Session
    from .task import Task

GOODBYE_S = 1.0


def close(session: Session) -> None:
    """Says goodbye: the manager cancels what is unfinished. What still waits here ends as cancelled."""
    if session.is_inside():
        session.abandon()
        return
    aside = session.aside
    if aside is not None:
        aside.close()
    with session.lock:
        if session.closed:
            return
        session.closed = True
        connection, session.connection = session.connection, None
        if connection is not None and session.process == os.getpid():
            _say_goodbye(session, connection)
        _end_all(session, Cancelled, "the client was shut down before the task ended")
        # Before the session's own thread can see that it is over: it runs the callbacks of these, and ends.
        session.leader.wake_finished()
        session.leader.stir(at_once=True)
    session.leader.end()
    session.callbacks.end()


def abandon(session: Session) -> None:
    """Closes later, on the session's own thread: for a destructor, which must not wait for a lock."""
    aside = session.aside
    if aside is not None:
        aside.abandon()
    session.abandoned = True
    session.leader.wake()
    session.leader.end_unused()


def end_with_task(session: Session) -> None:
    """Lets the runner close the session of a task when the task ends."""
    runner = sys.modules.get("_argon._runner.current")
    if runner is not None:
        runner.at_end.add(session.close)


def begin_after_fork(session: Session) -> None:
    """In a child: it must not speak on its parent's connection, and has none of its tasks."""
    if session.aside is not None:
        begin_after_fork(session.aside)
    tasks = [*session.journal.values(), *session.requests.values(), *session.followers]
    session.parent = session.process
    connection = session.connection
    session.leader.close_wakers()
    session.reconnect.restart()
    session.begin()
    if connection is not None:
        connection.close()
    for task in tasks:
        _end_as_of_parent(session, task)


def end_if_of_parent(session: Session, task: Task) -> None:
    """In a forked child: ends a task of the parent that another thread had in its hands when the process was forked."""
    if task._done or session.parent is None:
        return
    with session.lock:
        held = (session.journal.get(task._id), *session.requests.values(), *session.followers)
        if not task._done and not any(one is task for one in held):
            _end_as_of_parent(session, task)


def _end_as_of_parent(session: Session, task: Task) -> None:
    """Those who wait for it in the parent are not here, and its callbacks are the parent's to call."""
    reason = f"the task belongs to the process {session.parent}, which made it before this one was forked"
    task._waiters, task._callbacks = (), None
    session.fail(task, Lost(reason))
    session.finished.remove(task)


def _say_goodbye(session: Session, connection: Connection) -> None:
    with contextlib.suppress(OSError):
        if session.acks:
            session.write_acks(connection)
        connection.send(wire.json_frame(wire.GOODBYE, {"reason": "the client is done"}))
        connection.streams.clear()
        connection.sock.settimeout(GOODBYE_S)
        connection.flush()
    # The thread that waits on the socket closes it now.
    connection.broken = connection.broken or "it was closed"
    if session.leader.is_led():
        connection.shut_down()
    else:
        connection.close()


def _end_all(session: Session, kind: type[Error], message: str) -> None:
    tasks = [*session.journal.values(), *session.requests.values()]
    session.journal.clear()
    session.requests.clear()
    session.backlog.clear()
    session.held_back.clear()
    for task in tasks:
        session.fail(task, kind(message))
