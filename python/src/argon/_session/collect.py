"""Detached tasks whose outcome this client asks for; one id may be asked for several times at once."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from ..errors import Closed

if TYPE_CHECKING:
    from .session import Session
    from .task import Task


def collect(session: Session, task: Task) -> None:
    """Asks for the outcome of a detached task, with the frame that the task has."""
    task._collects = True
    with session.changing() as connection:
        session.unwanted.discard(task._id)
        known = session.journal.setdefault(task._id, task)
        if known is not task:
            # It was asked for before: the outcome is for both, if both have the right to it.
            is_same = known._frame == task._frame
            session.followers.add(task)
            session.add_callback(known, lambda _: _follow(session, known, task, is_same))
            return
        if connection is not None:
            connection.send(task._frame)
            session.flush(connection)
        session.leader.stir()


def _follow(session: Session, known: Task, task: Task, is_same: bool) -> None:
    """Ends a task as another of the same ticket has ended, unless only that other was cancelled."""
    if (known._cancelled or not is_same) and not task._cancelled:
        with contextlib.suppress(Closed):
            session.collect(task)
            return
    with session.lock:
        if task._done:
            return
        task._status, task._codec, task._attempt = known._status, known._codec, known._attempt
        task._run_us, task._report, task._error = known._run_us, known._report, known._error
        task._payload = known._payload
        if task._payload is None:
            task._value = known._value
        session.settle(task)
        session.leader.wake_finished()
        session.leader.stir(at_once=True)
