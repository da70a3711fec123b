"""A task that waits for other tasks lends its slot: its client reports to the worker when it waits and when it continues.

The rules are those of `spec/protocol.md`, section 9. Outside of tasks nothing is sent.
"""

from __future__ import annotations

import concurrent.futures
import threading
from typing import TYPE_CHECKING, Any, Callable

from .._wire import protocol as wire

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .session import Session


class Lending:
    """The waits of one session. Use it in a `with` statement around a wait, or call `begin` and `end`."""

    def __init__(self, session: Session, is_on: bool):
        self._session = session
        self.is_on = is_on
        self._waits = 0

    def begin(self) -> None:
        """A wait for outcomes begins."""
        if self.is_on:
            with self._session.lock:
                self._waits += 1
                if self._waits == 1:
                    self._tell(1)

    def end(self) -> None:
        """A wait has ended."""
        if self.is_on:
            with self._session.lock:
                self._waits -= 1
                if self._waits == 0:
                    self._tell(0)

    def opened(self, connection: Connection) -> None:
        """A connection counts anew. With the lock held."""
        if self._waits > 0:
            connection.send(wire.frame(wire.WAITS, b"\1"))

    def _tell(self, waits: int) -> None:
        session = self._session
        connection = session.connection
        if connection is not None:
            connection.send(wire.frame(wire.WAITS, bytes([waits])))
            session.flush(connection)
            if connection.pending:
                session.leader.stir()

    def __enter__(self) -> None:
        self.begin()

    def __exit__(self, *_: object) -> None:
        self.end()


class LendingWaiters(list):  # type: ignore[type-arg]
    """Those who wait for a future by `concurrent.futures.wait` and `as_completed`: their waits lend the slot, too."""

    def __init__(self, lending: Lending):
        super().__init__()
        self._lending = lending

    def append(self, waiter: Any) -> None:
        """Called while all futures of the wait are locked, before anyone waits."""
        if type(getattr(waiter, "event", None)) is threading.Event:
            waiter.event = _LendingEvent(self._lending)
        super().append(waiter)


class _LendingEvent(threading.Event):
    def __init__(self, lending: Lending):
        super().__init__()
        self._lending = lending

    def wait(self, timeout: float | None = None) -> bool:
        with self._lending:
            return super().wait(timeout)


def is_of_asyncio(callback: Callable[..., Any]) -> bool:
    """True for a callback by which an event loop waits for a future of another kind."""
    return getattr(callback, "__module__", "") == "asyncio.futures"


def prepare(future: concurrent.futures.Future[Any], lending: Lending) -> None:
    """Lets all waits for a future lend the slot."""
    if lending.is_on:
        future._waiters = LendingWaiters(lending)
