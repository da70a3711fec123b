"""Cancelling a task: here, if it was not sent yet, or at the manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._wire import protocol as wire
from ..errors import Cancelled

if TYPE_CHECKING:
    from .session import Session
    from .task import Task


def cancel(session: Session, task: Task) -> bool:
    """Ends a task for its caller; what runs is killed. False when it had ended."""
    session.end_if_of_parent(task)
    if session.is_inside():
        if not task._done:
            session.later(lambda: session.cancel(task))
        return not task._done
    with session.lock:
        if task._done or session.closed:
            return False
        if task._cancelled:
            return True
        task._cancelled = True
        connection = session.connection
        if not task._sent_on or task._held_back or task._collects:
            if session.journal.get(task._id) is task:
                del session.journal[task._id]
                if task._collects:
                    session.unwanted.add(task._id)
            task._error = Cancelled("the task was cancelled before it was sent", task._id.hex())
            task._status = wire.CANCELLED
            session.settle(task)
            session.leader.wake_finished()
        elif connection is not None:
            connection.send(wire.frame(wire.CANCEL, task._id))
            session.flush(connection)
        session.leader.stir(at_once=True)
    return True
