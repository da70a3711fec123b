"""The future of an `argon.Executor`: one of the standard library that can also end a call that runs."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from .._outcome import handover
from .._session.lending import is_of_asyncio

if TYPE_CHECKING:
    import threading

    from ..deferred import Deferred
    from ..executor import Executor

T = TypeVar("T")


class ExecutorFuture(concurrent.futures.Future[T]):
    """A future that can also end a task that runs; see `Executor(cancel_running=True)`."""

    _executor: Executor
    _condition: threading.Condition
    _waiters: list[Any]
    _done_callbacks: list[Callable[[Any], Any]]
    _deferred: Deferred[T]

    def cancel(self) -> bool:
        """Cancels the call: at once if it waits here, and one that runs if the executor was made so."""
        if super().cancel():
            self._executor._dropped(self)
            return True
        return not self.done() and self._executor._cancel_running and self.kill()

    def kill(self) -> bool:
        """Ends the call, also one that runs: its process gets TERM, and KILL 2 s later. False when it had ended."""
        if super().cancel():
            self._executor._dropped(self)
            return True
        return not self.done() and self._deferred.cancel()

    def result(self, timeout: float | None = None) -> T:
        """As in the standard library; in a task, the wait lends its slot."""
        if self.done():
            return super().result(timeout)
        with self._deferred._session.lending:
            return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The same for the exception."""
        if self.done():
            return super().exception(timeout)
        with self._deferred._session.lending:
            return super().exception(timeout)

    def add_done_callback(self, fn: Callable[[Any], object]) -> None:
        """As in the standard library; an event loop that waits for it in a task lends the slot."""
        session = self._deferred._session if not self.done() else None
        if session is not None and session.lending.is_on and is_of_asyncio(fn):
            session.lending.begin()
            super().add_done_callback(lambda _: session.lending.end())
        super().add_done_callback(fn)

    @property
    def report(self) -> dict[str, Any]:
        """Facts about the run; see `Deferred.report`."""
        return self._deferred.report

    def __reduce__(self) -> Any:
        raise TypeError("a future cannot travel: pass its result()")

    def _invoke_callbacks(self) -> None:
        """Called by the standard library once the future is done."""
        callbacks, self._done_callbacks = self._done_callbacks, []
        if callbacks and self._deferred._session.leader.is_own_thread():
            # Callbacks may block, and this thread must not.
            self._executor._call_back(self, callbacks)
            return
        for callback in callbacks:
            handover.call_back(callback, self, "a future")
