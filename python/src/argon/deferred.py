"""The handle of a task under way."""

from __future__ import annotations

from typing import Any, Callable, Generic, TypeVar

from . import _protocol as wire
from . import _result
from ._task import Task

__all__ = ["Deferred"]

T = TypeVar("T")


class Deferred(Task, Generic[T]):
    """A value that is on its way, made by `Client.defer`. Call it, or its `result`, to wait for the value.

    It is as light as the client can make it. Where a true `concurrent.futures.Future` is wanted, use `argon.Executor`.
    """

    __slots__ = ()

    def __call__(self) -> T:
        """The same as `result()`."""
        return self.result()

    def result(self, timeout: float | None = None) -> T:
        """Waits for the value and returns it, or raises what the task raised.

        Raises TimeoutError when it is not there after `timeout` seconds; the task goes on. An interrupt of the wait
        (Ctrl-C) cancels the task.
        """
        if not self._done:
            self._wait(timeout)
        if self._status == wire.OK and self._error is None:
            return _result.value(self)  # type: ignore[no-any-return]
        raise _result.error(self)  # type: ignore[misc]

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Waits and returns what `result` would raise; None when the task is well."""
        if not self._done:
            self._wait(timeout)
        return _result.error(self)

    def done(self) -> bool:
        """Whether the outcome is here. Never waits."""
        return self._done or self._client._session.turns.look(self)  # type: ignore[union-attr]

    def cancelled(self) -> bool:
        """Whether it ended by being cancelled."""
        return self._done and self._status == wire.CANCELLED

    def cancel(self) -> bool:
        """Ends the task, also one that runs; False when it had ended before."""
        return self._client._session.cancel(self)  # type: ignore[union-attr]

    def on_done(self, callback: Callable[[Deferred[T]], Any]) -> None:
        """Calls back with this object when the outcome is here, on the client's own thread; at once if it is."""
        self._client._session.watch(self, callback)  # type: ignore[union-attr]

    @property
    def id(self) -> str:
        """The task's id, 48 hexadecimal digits."""
        return self._id.hex()

    @property
    def report(self) -> dict[str, Any]:
        """What is known of how it ran, for a task that ended: worker, host, attempt and more."""
        if not self._done:
            return {}
        known = {"attempt": self._attempt, "run_us": self._run_us}
        return {**known, **_result.report(self)}

    @property
    def output(self) -> str:
        """What it printed last, if it was called with `capture=True`."""
        return str(_result.report(self).get("output", "")) if self._done else ""

    def __repr__(self) -> str:
        state = wire.STATUS_NAMES[self._status] if self._done and self._status >= 0 else "under way"
        return f"<argon.Deferred {self.id} {state}>"

    def _wait(self, timeout: float | None) -> None:
        session = self._client._session  # type: ignore[union-attr]
        try:
            if not session.wait(self, timeout):
                raise TimeoutError(f"the task {self.id} has no outcome after {timeout} s; it goes on")
        except KeyboardInterrupt:
            session.cancel(self)
            raise
