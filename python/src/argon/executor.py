"""A `concurrent.futures.Executor` whose pool is the cluster.

Futures that were submitted wait here until the pool can start them soon, and can be cancelled as long as they do; from
then on they count as running. So the executor's bookkeeping is that of the standard library, and its tests apply.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Callable, TypeVar

from . import _protocol as wire
from . import _result
from ._address import Addresses
from .client import Client
from .deferred import Deferred
from .errors import CannotTravel, Closed

__all__ = ["Executor", "ExecutorFuture"]

T = TypeVar("T")

# Beside those that run, as many tasks are handed over as take about so long.
AHEAD_S = 0.1
AHEAD_MAX = 512
# Tasks handed over while no worker is known.
UNDER_WAY_MIN = 4
LOOK_EVERY_S = 1.0

_alive: weakref.WeakSet[Executor] = weakref.WeakSet()


class ExecutorFuture(concurrent.futures.Future[T]):
    """A future that can also end a task that runs; see `Executor(cancel_running=True)`."""

    _executor: Executor
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

    @property
    def report(self) -> dict[str, Any]:
        """What is known of how it ran; see `Deferred.report`."""
        return self._deferred.report


class Executor(concurrent.futures.Executor):
    """Runs calls on the pool, as `concurrent.futures.ProcessPoolExecutor` does on this machine's processes.

    `max_workers` bounds how many calls are under way; without it, it follows the number of slots that the pool has.
    With `cancel_running=True` a future's `cancel` also ends a call that runs. Everything else is as for `Client`.
    """

    def __init__(
        self,
        address: Addresses = None,
        max_workers: int | None = None,
        *,
        cancel_running: bool = False,
        **options: Any,
    ):
        if max_workers is not None and (not isinstance(max_workers, int) or max_workers < 1):
            raise ValueError(f"max_workers must be greater than 0, not {max_workers!r}")
        self._client = Client(address, **options)
        self._cancel_running = cancel_running
        self._max_workers = max_workers
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._begin()
        _alive.add(self)

    def _begin(self) -> None:
        self._process = os.getpid()
        self._waiting: deque[ExecutorFuture[Any]] = deque()
        self._under_way: dict[Deferred[Any], ExecutorFuture[Any]] = {}
        self._is_shut_down = False
        self._slots = 0
        self._looked_at = 0.0
        # The measured time of a call, smoothed.
        self._call_s = AHEAD_S

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> ExecutorFuture[T]:
        """Schedules the call and returns its future. What cannot travel is refused there, as `CannotTravel`."""
        client = self._client
        if self._process != os.getpid():
            self._lock = threading.Lock()
            self._changed = threading.Condition(self._lock)
            self._begin()
        if not client._session.connections and not self._is_shut_down:
            client.connect()
        future: ExecutorFuture[T] = ExecutorFuture()
        future._executor = self
        try:
            future._deferred = client._calls.task(client, client._calls.of(function), args, kwargs)
        except CannotTravel as problem:
            future.set_exception(problem)
            return future
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._waiting or len(self._under_way) >= self._room():
                self._waiting.append(future)
                return future
            future.set_running_or_notify_cancel()
            self._under_way[future._deferred] = future
        client._session.offer(future._deferred, callback=self._ended)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """As the built-in `map`, with calls in parallel and results in order.

        `chunksize` calls travel together as one task. With `buffersize` at most so many chunks are submitted whose
        results were not yielded yet; without it all are at once, as in the standard library.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        until = None if timeout is None else time.monotonic() + timeout
        calls = zip(*iterables)
        if chunksize == 1:
            pending = (self.submit(fn, *arguments) for arguments in calls)
            return self._results(pending, until, buffersize)
        run_chunk = chunk_runner(fn)
        chunks = (self.submit(run_chunk, chunk) for chunk in _chunks(calls, chunksize))
        return itertools.chain.from_iterable(self._results(chunks, until, buffersize))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. Waits for those that were submitted, unless told otherwise."""
        with self._lock:
            self._is_shut_down = True
            dropped = list(self._waiting) if cancel_futures else []
        for future in dropped:
            future.cancel()
        with self._changed:
            while wait and (self._waiting or self._under_way):
                self._changed.wait()
            is_done = not self._waiting and not self._under_way
        if is_done:
            self._client.shutdown()

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        """Waits for all calls; an interrupt ends them instead, as Ctrl-C does with the processes of a local pool."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            with self._lock:
                unfinished = [*self._waiting, *self._under_way.values()]
            for future in unfinished:
                future.kill()
        self.shutdown(wait=True)

    def _results(self, futures: Iterator[Any], until: float | None, ahead: int | None) -> Iterator[Any]:
        # Submitted here and now, not when the first result is asked for.
        pending = deque(itertools.islice(futures, ahead))

        def results() -> Iterator[Any]:
            try:
                while pending:
                    yield _result_of(pending.popleft(), until)
                    pending.extend(itertools.islice(futures, 1))
            finally:
                for future in pending:
                    future.cancel()

        return results()

    def _room(self) -> int:
        """How many calls may be under way."""
        now = time.monotonic()
        if now - self._looked_at > LOOK_EVERY_S:
            self._looked_at = now
            self._look()
        if self._max_workers is not None:
            return self._max_workers
        ahead = min(AHEAD_MAX, max(1, int(AHEAD_S / self._call_s)))
        return max(UNDER_WAY_MIN, self._slots * (1 + ahead))

    def _look(self) -> None:
        """Asks how many slots there are."""
        session = self._client._session
        if self._max_workers is None:
            with contextlib.suppress(Closed):
                session.request("status", self._on_status)

    def _on_status(self, request: Any) -> None:
        status = request._value or {}
        with self._lock:
            self._slots = int(status.get("total_capacity") or 0)
        self._go_on()

    def _ended(self, deferred: Deferred[Any]) -> None:
        """Called on the client's own thread when a task has ended."""
        future = self._under_way.get(deferred)
        if future is not None:
            _resolve(future, deferred)
        # Only now, so that shutdown returns when all futures are done.
        with self._lock:
            self._under_way.pop(deferred, None)
            self._call_s += (max(deferred._run_us / 1e6, 1e-5) - self._call_s) * 0.05
            is_quiet = bool(self._under_way) and not self._waiting
        if not is_quiet:
            self._go_on()

    def _go_on(self) -> None:
        """Hands over what there is room for, a good number together, and ends when all has ended."""
        with self._lock:
            room = self._room() if self._waiting else 0
            started: list[Deferred[Any]] = []
            if room - len(self._under_way) >= min(len(self._waiting), room // 4 + 1):
                while self._waiting and len(self._under_way) < room:
                    future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        self._under_way[future._deferred] = future
                        started.append(future._deferred)
            is_idle = not self._waiting and not self._under_way
            if is_idle:
                self._changed.notify_all()
            is_over = is_idle and self._is_shut_down
        if started:
            self._client._session.offer_many(started, self._ended)
        if is_over:
            self._client.shutdown()

    def _dropped(self, future: ExecutorFuture[Any]) -> None:
        """A future was cancelled while it waited here: tells those who wait for it."""
        with self._lock:
            if future in self._waiting:
                self._waiting.remove(future)
                future.set_running_or_notify_cancel()
            self._changed.notify_all()


def chunk_runner(function: Callable[..., T]) -> Callable[[list[tuple[Any, ...]]], list[T]]:
    """Makes many calls. It is made in a function so that it travels by value: a worker needs no Argon."""

    def run_chunk(chunk: list[tuple[Any, ...]]) -> list[T]:
        return [function(*arguments) for arguments in chunk]

    return run_chunk


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while True:
        chunk = list(itertools.islice(items, size))
        if not chunk:
            return
        yield chunk


def _result_of(future: concurrent.futures.Future[Any], until: float | None) -> Any:
    """The result, to which nothing here refers any more; a future that has none in time is cancelled."""
    try:
        return future.result(None if until is None else until - time.monotonic())
    finally:
        future.cancel()
        del future


def _resolve(future: ExecutorFuture[Any], deferred: Deferred[Any]) -> None:
    if deferred._status == wire.OK and deferred._error is None:
        try:
            value = _result.value(deferred)
        except Exception as problem:
            future.set_exception(problem)
        else:
            future.set_result(value)
        return
    future.set_exception(_result.error(deferred))


def _wait_for_all() -> None:
    """At the end of the program: what was submitted is finished first, as the standard library does it."""
    for executor in list(_alive):
        if executor._process == os.getpid():
            executor.shutdown(wait=True)


# Before the threads that the interpreter waits for, as concurrent.futures does.
_register: Callable[..., Any] | None = getattr(threading, "_register_atexit", None)
if _register is not None:
    _register(_wait_for_all)
