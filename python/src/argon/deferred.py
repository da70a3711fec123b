"""The handle of a task under way."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Callable, Generic, TypeVar

from ._outcome import handover, result
from ._session.durations import Duration, seconds
from ._session.task import Task
from ._shown import facts
from ._wire import protocol as wire
from .errors import Error, NotYet

if TYPE_CHECKING:
    import asyncio

__all__ = ["Deferred"]

T = TypeVar("T")


class Deferred(Task, Generic[T]):
    """A value that is on its way, made by `Client.defer`. Call it, or its `result`, or `await` it, for the value.

    It has the methods of a `concurrent.futures.Future` that a caller uses, and is as light as the client can make it.
    Where a true one is wanted, for `concurrent.futures.wait` and `as_completed`, use `argon.Executor`.
    """

    __slots__ = ()

    def __call__(self) -> T:
        """The same as `result()`."""
        return self.result()

    def __await__(self) -> Generator[Any, None, T]:
        import asyncio

        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def hand_over(_: Any) -> None:
            # The loop may be closed already; then no coroutine waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_end_unless_done, future, self)

        self._session.watch(self, hand_over)
        try:
            with self._session.lending:
                return (yield from future)
        except asyncio.CancelledError:
            self.cancel()
            raise

    def result(self, timeout: Duration | None = None) -> T:
        """Waits for the value and returns it, or raises what the task raised.

        Raises TimeoutError when it is not there after `timeout`; the task goes on. Leaving the wait by an
        exception, as by Ctrl-C or from the handler of a signal, cancels the task.
        """
        if not self._done:
            self._wait(timeout)
        if self._status == wire.OK and self._error is None:
            return result.value(self)  # type: ignore[no-any-return]
        raise result.error(self)  # type: ignore[misc]

    def exception(self, timeout: Duration | None = None) -> BaseException | None:
        """Waits and returns what `result` would raise; None when it would return the value."""
        if not self._done:
            self._wait(timeout)
        error = result.error(self)
        if error is None:
            try:
                result.value(self)
            except KeyboardInterrupt:
                raise
            except BaseException as problem:
                return problem
        return error

    def done(self) -> bool:
        """True if the outcome is here. Never waits."""
        return self._done or self._session.look(self)

    def running(self) -> bool:
        """True as long as there is no outcome: the pool has the task, waiting or running."""
        return not self.done()

    def cancelled(self) -> bool:
        """True if it ended by being cancelled."""
        return self._done and self._status == wire.CANCELLED

    def cancel(self) -> bool:
        """Ends the task, also one that runs; False when it had ended before."""
        return self._session.cancel(self)

    def on_done(self, callback: Callable[[Deferred[T]], Any]) -> None:
        """Calls back with this object when the outcome is here, on a thread of the client; at once if it is.

        The callback may call anything. What it raises is logged.
        """
        self._session.watch_for_user(self, callback)

    def add_done_callback(self, callback: Callable[[Deferred[T]], Any]) -> None:
        """The same as `on_done`, under the name that futures have for it."""
        self.on_done(callback)

    @property
    def _condition(self) -> Any:
        """The lock that `concurrent.futures.wait` and `as_completed` take first."""
        raise TypeError(
            "an argon.Deferred is not a concurrent.futures.Future: use argon.Executor, whose submit makes them, or map "
            "with ordered=False"
        )

    @property
    def id(self) -> str:
        """The task's id, 48 hexadecimal digits."""
        return self._id.hex()

    @property
    def report(self) -> dict[str, Any]:
        """Facts about the run of a task that has ended: worker, host, attempt and more."""
        if not self._done:
            return {}
        known = {"attempt": self._attempt, "run_us": self._run_us}
        return {**known, **result.report(self)}

    @property
    def output(self) -> str:
        """Its last output, if it was called with `capture=True`."""
        return str(result.report(self).get("output", "")) if self._done else ""

    def __repr__(self) -> str:
        return f"<argon.Deferred {self.id} {facts.state_of_task(self)}>"

    def _repr_html_(self) -> str:
        return facts.table("argon.Deferred", [*facts.of_task(self), *facts.more(self._session)])

    def __reduce__(self) -> Any:
        raise TypeError("an argon.Deferred cannot travel: pass its result()")

    def _wait(self, timeout: Duration | None) -> None:
        session = self._session
        # A number may be negative, as for the futures of the standard library: no wait.
        limit = timeout if timeout is None or isinstance(timeout, (int, float)) else seconds("timeout", timeout)
        try:
            has_ended = session.wait(self, limit)
        except Error:
            raise
        except BaseException:
            # Ctrl-C, or what another signal handler raised.
            session.cancel(self)
            raise
        if not has_ended:
            raise NotYet(f"the task {self.id} has no outcome after {limit} s; it goes on")


def _end_unless_done(future: asyncio.Future[Any], task: Task) -> None:
    if not future.done():
        handover.end(future, task)
