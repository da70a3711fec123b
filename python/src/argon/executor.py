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
import weakref
from collections import deque
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from ._calls import in_order
from ._calls.future import ExecutorFuture
from ._outcome import handover
from ._session import lending
from ._session.durations import Duration, seconds
from ._shown import facts
from ._shown import progress as bars
from ._wire.address import Addresses
from .client import Client
from .deferred import Deferred
from .errors import CannotTravel, Closed, OptionError, Unreachable

if TYPE_CHECKING:
    from ._session.session import Session

__all__ = ["Executor", "ExecutorFuture"]

T = TypeVar("T")

# Next to those that run, tasks for about this time are handed over.
AHEAD_S = 0.1
AHEAD_MAX = 512
# Tasks handed over while no worker is known.
UNDER_WAY_MIN = 4
LOOK_EVERY_S = 1.0
# Seconds that the end of the program waits for calls before it prints for what it waits.
EXIT_S = 2.0

_alive: weakref.WeakSet[Executor] = weakref.WeakSet()


class Executor(concurrent.futures.Executor):
    """Runs calls on the pool, as `concurrent.futures.ProcessPoolExecutor` does on this machine's processes.

    `max_workers` bounds how many calls are under way; without it, it follows the number of slots that the pool has.
    A number in the place of the address is `max_workers` too: `Executor(4)` is what `ProcessPoolExecutor(4)` was, and
    the address is what ARGON_MANAGER names, else 127.0.0.1:8000, else a pool of this machine with so many slots if there
    are fewer CPUs. With `cancel_running=True` a future's `cancel` also
    ends a call that runs. Everything else is as for `Client`, `give_up_after` among it.

    `mp_context`, `max_tasks_per_child` and `thread_name_prefix` are taken and have no effect: they are about processes
    and threads of this program. An `initializer` is refused, because runners come and go.
    """

    def __init__(
        self,
        address: Addresses | int = None,
        max_workers: int | None = None,
        mp_context: object = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
        thread_name_prefix: str = "",
        cancel_running: bool = False,
        **options: Any,
    ):
        if isinstance(address, int):
            if max_workers is not None:
                raise TypeError(f"max_workers was given twice: {address!r} and {max_workers!r}")
            address, max_workers = None, address
        if max_workers is not None and (
            not isinstance(max_workers, int) or isinstance(max_workers, bool) or max_workers < 1
        ):
            raise ValueError(f"max_workers must be a whole number greater than 0, not {max_workers!r}")
        if initializer is not None or initargs:
            raise OptionError(
                "Executor: there is no initializer, because runners come and go. Put what is expensive "
                "to make into a function of a module behind functools.lru_cache, or hand over a value with client.share"
            )
        self._client = Client(address, **options)
        choice = self._client._session.reconnect.local
        if choice is not None and max_workers is not None:
            choice.at_least(max_workers)
        self._cancel_running = cancel_running
        self._max_workers = max_workers
        self._begin()
        _alive.add(self)

    def _begin(self) -> None:
        self._process = os.getpid()
        # A signal handler or a destructor may come back here in the middle of a step of its own thread: each step
        # leaves the collections whole.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[ExecutorFuture[Any]] = deque()
        self._under_way: dict[Deferred[Any], ExecutorFuture[Any]] = {}
        # Futures that are done and whose callbacks are not.
        self._calling_back = 0
        # Threads that are in the middle of `submit`, once for each time.
        self._submitting: list[int] = []
        self._is_shut_down = False
        self._slots = 0
        self._looked_at = 0.0
        # The measured time of a call, smoothed.
        self._call_s = AHEAD_S

    def _begin_after_fork(self) -> None:
        """In a child: the calls are its parent's, and their futures end here as `Lost`, without callbacks."""
        is_shut_down, futures = self._is_shut_down, [*self._under_way.values(), *self._waiting]
        self._begin()
        self._is_shut_down = is_shut_down
        for future in futures:
            # Another thread of the parent may have held the lock, and those who wait are its threads.
            future._condition, future._waiters, future._done_callbacks = threading.Condition(), [], []
            handover.end_after_fork(future, future._deferred)

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> ExecutorFuture[T]:
        """Schedules the call and returns its future. What cannot travel is refused there, as `CannotTravel`."""
        client = self._client
        session = client._session.here()
        if not session.connections and not self._is_shut_down:
            session.connect()
        future: ExecutorFuture[T] = ExecutorFuture()
        future._executor = self
        try:
            future._deferred = client._calls.task(client, session, client._calls.of(function), args, kwargs)
            lending.prepare(future, session.lending)
        except CannotTravel as problem:
            future.set_exception(problem)
            return future
        own = threading.get_ident()
        try:
            self._submitting.append(own)
            self._start_or_keep(future)
        finally:
            if own in self._submitting:
                self._submitting.remove(own)
        return future

    def _start_or_keep(self, future: ExecutorFuture[Any]) -> None:
        with self._lock:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._waiting or len(self._under_way) >= self._room():
                self._waiting.append(future)
                return
            future.set_running_or_notify_cancel()
            self._under_way[future._deferred] = future
        try:
            future._deferred._session.offer(future._deferred, callback=self._ended)
        except BaseException:
            with self._lock:
                self._under_way.pop(future._deferred, None)
                self._changed.notify_all()
            raise

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: Duration | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
        progress: bool = False,
    ) -> Iterator[T]:
        """As the built-in `map`, with calls in parallel and results in order.

        `chunksize` calls travel together as one task. With `buffersize` at most that number of chunks are submitted whose
        results were not yielded yet; without it all are at once, as in the standard library. What an iterable raises
        comes behind the results of what it gave before. `progress=True` counts the results with a bar.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        until = None if timeout is None else monotonic() + _limit(timeout)
        calls = zip(*iterables)
        if chunksize == 1:
            found = in_order.results(in_order.submitted(self, fn, calls), until, buffersize)
        else:
            chunks = ((chunk,) for chunk in in_order.chunks(calls, chunksize))
            futures = in_order.submitted(self, in_order.chunk_runner(fn), chunks)
            found = itertools.chain.from_iterable(in_order.results(futures, until, buffersize))
        return bars.over(found, facts.name_of(fn), bars.total(iterables)) if progress else found

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls. Waits for those that were submitted and their callbacks, unless `wait` is False.

        It does not wait in a signal handler that interrupted `submit`, which goes on only after it; nor in a callback
        for the other callbacks. What was submitted goes on there, as with `wait=False`.
        """
        with self._lock:
            self._is_shut_down = True
            dropped = list(self._waiting) if cancel_futures else []
        for future in dropped:
            future.cancel()
        wait = wait and threading.get_ident() not in self._submitting and not self._client._session.is_inside()
        is_callback = self._client._session.callbacks.is_current()
        with self._changed:
            while wait and (self._waiting or self._under_way or (self._calling_back and not is_callback)):
                with self._client._session.lending:
                    self._changed.wait()
            is_done = not self._waiting and not self._under_way and not self._calling_back
        if is_done and threading.get_ident() not in self._submitting:
            self._client.shutdown()

    def __exit__(self, kind: type[BaseException] | None, error: object, traceback: object) -> None:
        """Waits for all calls; an interrupt ends them instead, as Ctrl-C does with the processes of a local pool."""
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            with self._lock:
                unfinished = [*self._waiting, *self._under_way.values()]
            for future in unfinished:
                future.kill()
        self.shutdown(wait=True)

    def __repr__(self) -> str:
        shown = dict(self._facts())
        return f"<argon.Executor {shown['manager']}: {shown['state']}, {shown['calls']}>"

    def _repr_html_(self) -> str:
        return facts.table("argon.Executor", [*self._facts(), *facts.more(self._client._session, "")])

    def _facts(self) -> facts.Facts:
        session = self._client._session
        state = "shut down" if self._is_shut_down else facts.state(session)
        calls = f"{len(self._under_way):,} under way, {len(self._waiting):,} waiting"
        slots = [("slots", str(self._slots))] if self._slots else []
        return [("manager", facts.manager(session)), ("state", state), ("calls", calls), *slots]

    def __reduce__(self) -> Any:
        raise TypeError("an argon.Executor cannot travel: make one where it is needed")

    def _room(self) -> int:
        """Number of calls that may be under way."""
        now = monotonic()
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
        if self._max_workers is None and not session.is_inside():
            with contextlib.suppress(Closed):
                session.request("status", self._on_status)

    def _on_status(self, request: Any) -> None:
        status = request._value or {}
        with self._lock:
            self._slots = int(status.get("slots_total") or 0)
        self._go_on()

    def _ended(self, deferred: Deferred[Any]) -> None:
        """Called on the client's own thread when a task has ended."""
        future = self._under_way.get(deferred)
        if future is not None:
            handover.end(future, deferred)
        # Only now, so that shutdown returns when all futures are done.
        with self._lock:
            self._under_way.pop(deferred, None)
            given_up: list[ExecutorFuture[Any]] = []
            if isinstance(deferred._error, Unreachable):
                # Those behind it would look for a manager for as long again.
                given_up, self._waiting = list(self._waiting), deque()
            self._call_s += (max(deferred._run_us / 1e6, 1e-5) - self._call_s) * 0.05
            is_quiet = bool(self._under_way) and not self._waiting
        for one in given_up:
            if one.set_running_or_notify_cancel():
                handover.fail(one, Unreachable(str(deferred._error)))
        if not is_quiet:
            self._go_on()

    def _go_on(self) -> None:
        """Hands over what there is room for, a good number together, and ends when all has ended."""
        with self._lock:
            room = self._room() if self._waiting else 0
            started: list[ExecutorFuture[Any]] = []
            if room - len(self._under_way) >= min(len(self._waiting), room // 4 + 1):
                while self._waiting and len(self._under_way) < room:
                    future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        self._under_way[future._deferred] = future
                        started.append(future)
            is_over = self._tell_if_idle() and self._is_shut_down
        if started:
            self._offer(started)
        if is_over:
            self._client.shutdown()

    def _offer(self, futures: list[ExecutorFuture[Any]]) -> None:
        """Offers the calls together; what cannot be offered ends its futures."""
        by_session: dict[Session, list[Deferred[Any]]] = {}
        for future in futures:
            by_session.setdefault(future._deferred._session, []).append(future._deferred)
        for session, tasks in by_session.items():
            try:
                session.offer_many(tasks, self._ended)
            except Exception as problem:
                with self._lock:
                    dropped = [self._under_way.pop(task, None) for task in tasks]
                for one in dropped:
                    if one is not None:
                        handover.fail(one, problem)
        with self._lock:
            self._tell_if_idle()

    def _tell_what_is_left(self, seconds: float) -> None:
        """At the end of the program: takes no more calls, and prints what it waits for if that takes long."""
        until = monotonic() + seconds
        session = self._client._session
        with self._changed:
            self._is_shut_down = True
            while (self._waiting or self._under_way) and monotonic() < until:
                self._changed.wait(until - monotonic())
            count = len(self._waiting) + len(self._under_way)
        if count:
            with session.lock:
                session.waiting.tell_at_exit(count)

    def _tell_if_idle(self) -> bool:
        """True if all has ended, which those who wait for it learn. With the lock held."""
        is_idle = not self._waiting and not self._under_way and not self._calling_back
        # In a callback, `shutdown` waits for the futures only.
        if is_idle or not (self._waiting or self._under_way):
            self._changed.notify_all()
        return is_idle

    def _call_back(self, future: ExecutorFuture[Any], callbacks: list[Callable[[Any], Any]]) -> None:
        """Runs the callbacks of a future that is done, on the thread for callbacks."""
        with self._lock:
            self._calling_back += 1
        self._client._session.callbacks.call(self._run_callbacks, (future, callbacks), "a future")

    def _run_callbacks(self, what: tuple[ExecutorFuture[Any], list[Callable[[Any], Any]]]) -> None:
        future, callbacks = what
        try:
            for callback in callbacks:
                handover.call_back(callback, future, "a future")
        finally:
            with self._lock:
                self._calling_back -= 1
            self._go_on()

    def _dropped(self, future: ExecutorFuture[Any]) -> None:
        """A future was cancelled while it waited here: wakes those who wait for it."""
        with self._lock:
            with contextlib.suppress(ValueError):
                self._waiting.remove(future)
                future.set_running_or_notify_cancel()
            self._changed.notify_all()


def _limit(timeout: Duration) -> float:
    """A number may be negative, as in the standard library."""
    return timeout if isinstance(timeout, (int, float)) else seconds("timeout", timeout)


def _wait_for_all() -> None:
    """At the end of the program: what was submitted is finished first, as the standard library does it."""
    for executor in list(_alive):
        if executor._process == os.getpid():
            executor._tell_what_is_left(EXIT_S)
            executor.shutdown(wait=True)


def _begin_all_after_fork() -> None:
    for executor in list(_alive):
        executor._begin_after_fork()


if hasattr(os, "register_at_fork"):
    # After what `client` does there, which was registered first.
    os.register_at_fork(after_in_child=_begin_all_after_fork)

# Before the threads that the interpreter waits for, as concurrent.futures does.
_register: Callable[..., Any] | None = getattr(threading, "_register_atexit", None)
if _register is not None:
    _register(_wait_for_all)
