"""The client for asyncio: everything that waits is awaited, and cancelling the awaiting task cancels the task there.

    import argon.aio
    import asyncio

    async def main():
        async with argon.aio.Client("mgrhost:8000") as client:
            print(await client.queue(pow, 2, 10))

    asyncio.run(main())

The other way is `loop.run_in_executor(argon.Executor(), ...)`, for programs that use both.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, Callable, TypeVar

from . import client
from ._outcome import handover, result
from ._shown import facts
from ._shown import progress as bars
from ._wire import protocol as wire
from ._wire.address import Addresses
from .client import AHEAD, Target
from .deferred import Deferred
from .errors import Closed, OptionError
from .shared import Shared

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """As `argon.Client`, whose options it takes. A future belongs to the event loop in which it was made."""

    def __init__(self, address: Addresses = None, *, key: str | os.PathLike[str] | None = None, **options: Any):
        self._client = client.Client(address, key=key, **options)
        self._outcomes: _Outcomes | None = None

    def with_options(self, **options: Any) -> Client:
        """The same client with other options for its tasks; see `argon.Client.with_options`."""
        other = Client.__new__(Client)
        other._client = self._client.with_options(**options)
        other._outcomes = None
        return other

    async def queue(self, function: Target[T], /, *args: Any, **kwargs: Any) -> T:
        """Calls the function on the pool and gives its value. `call` is another name of it."""
        future = self._offer(function, args, kwargs)
        return await _awaited(future)  # type: ignore[no-any-return]

    call = queue

    def defer(self, function: Target[T], /, *args: Any, **kwargs: Any) -> asyncio.Future[T]:
        """Sends the call off; the future can be awaited, gathered and cancelled, which cancels the task."""
        future = self._offer(function, args, kwargs)
        future.when_done(_cancel_if_cancelled)
        return future

    async def map(
        self,
        function: Target[T],
        items: Iterable[Any] | AsyncIterable[Any],
        *,
        ahead: int = AHEAD,
        ordered: bool = True,
        progress: bool = False,
    ) -> AsyncIterator[Any]:
        """Calls the function for each item and yields the results in order, or pairs of position and result.

        At most `ahead` items have been taken whose results were not yielded yet. Leaving the loop early cancels what
        is under way: use `contextlib.aclosing` for that to happen at once. `progress=True` counts the results with a bar.
        """
        if not isinstance(ahead, int) or ahead < 1:
            raise OptionError(f"Client: ahead must be a whole number from 1 on, not {ahead!r}")
        source = _iterated(items)
        under_way: deque[_TaskFuture] = deque()
        ended: asyncio.Queue[tuple[int, _TaskFuture]] = asyncio.Queue()
        taken = given = 0
        is_exhausted = False
        problem: Exception | None = None
        bar = bars.bar(facts.name_of(function), bars.total([items])) if progress else None
        try:
            while True:
                while not is_exhausted and taken - given < ahead:
                    try:
                        item = await source.__anext__()
                        future = self._offer(function, (item,), {})
                    except StopAsyncIteration:
                        is_exhausted = True
                        break
                    except Exception as error:
                        # Raised in its turn, behind the results of what came before.
                        problem, is_exhausted = error, True
                        break
                    under_way.append(future)
                    if not ordered:
                        future.when_done(_put_with_place(ended, taken))
                    taken += 1
                if given == taken:
                    if problem is not None:
                        raise problem
                    return
                if ordered:
                    value = await under_way[0]
                    under_way.popleft()
                    given += 1
                    if bar is not None:
                        bar.update(1)
                    yield value
                else:
                    with under_way[0].task._session.lending:
                        place, first = await ended.get()
                    under_way.remove(first)
                    given += 1
                    if bar is not None:
                        bar.update(1)
                    yield place, first.result()
        finally:
            if bar is not None:
                bar.close()
            for left in under_way:
                _cancel_task(left)

    async def submit(self, function: Target[Any], /, *args: Any, **kwargs: Any) -> str:
        """Hands over a task that outlives this program; gives its ticket once the manager has it safely."""
        return str(await _awaited(self._offer(function, args, kwargs, wire.DETACHED)))

    async def collect(self, ticket: str) -> Any:
        """The value of a submitted task, when it is there."""
        await asyncio.get_running_loop().run_in_executor(None, self._client.connect)
        return await self._client.collect_later(ticket)

    async def cancel(self, ticket: str) -> bool:
        """As `argon.Client.cancel`."""
        return await asyncio.get_running_loop().run_in_executor(None, self._client.cancel, ticket)

    async def status(self) -> dict[str, Any]:
        """The status of the manager: workers, queues and clients."""
        return await asyncio.get_running_loop().run_in_executor(None, self._client.status)

    def share(self, value: T) -> Shared[T]:
        """As `argon.Client.share`; it does not wait."""
        return self._client.share(value)

    async def shutdown(self) -> None:
        """Says goodbye; unfinished tasks are cancelled."""
        await asyncio.get_running_loop().run_in_executor(None, self._client.shutdown)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.shutdown()

    def __repr__(self) -> str:
        return repr(self._client).replace("argon.Client", "argon.aio.Client", 1)

    def _repr_html_(self) -> str:
        session = self._client._session
        return facts.table(
            "argon.aio.Client", [*facts.of_session(session), *facts.more(session, "await client.status()")]
        )

    def __reduce__(self) -> Any:
        raise TypeError("an argon.aio.Client cannot travel: make one where it is needed")

    def _offer(
        self, function: Target[Any], args: tuple[Any, ...], kwargs: dict[str, Any], flags: int = 0
    ) -> _TaskFuture:
        calls, session = self._client._calls, self._client._session.here()
        if session.closed:
            raise Closed("This client was shut down: make another to go on")
        task = calls.task(self._client, session, calls.of(function, flags), args, kwargs)
        outcomes = self._of_this_loop()
        future = outcomes.future(task, wants_ticket=bool(flags & wire.DETACHED))
        try:
            session.offer(task, callback=outcomes.put)
        except BaseException:
            outcomes.forget(task)
            raise
        return future

    def _of_this_loop(self) -> _Outcomes:
        loop = asyncio.get_running_loop()
        if self._outcomes is None or self._outcomes.loop is not loop:
            # Those of another loop, if that still runs, stay with its futures.
            self._outcomes = _Outcomes(loop)
        return self._outcomes


class _TaskFuture(asyncio.Future[Any]):
    """A future that knows its task."""

    task: Deferred[Any]
    wants_ticket: bool
    _lends = False

    def when_done(self, callback: Callable[[Any], Any]) -> None:
        """Adds a callback of this package, which is not a wait."""
        super().add_done_callback(callback)

    def add_done_callback(self, fn: Callable[[Any], object], *, context: contextvars.Context | None = None) -> None:
        """As in asyncio, which calls it for everyone who awaits the future: in a task, that wait lends the slot."""
        lending = self.task._session.lending
        if lending.is_on and not self._lends and not self.done():
            self._lends = True
            lending.begin()
            super().add_done_callback(lambda _: lending.end())
        super().add_done_callback(fn, context=context)


class _Outcomes:
    """Brings finished tasks from the client's own thread to one loop: many with one wake-up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._ended: deque[Deferred[Any]] = deque()
        self._futures: dict[Deferred[Any], _TaskFuture] = {}
        self._is_due = False
        _alive.add(self)

    def future(self, task: Deferred[Any], wants_ticket: bool = False) -> _TaskFuture:
        """The future of a task that is about to be offered."""
        future = self._futures[task] = _TaskFuture(loop=self.loop)
        future.task, future.wants_ticket = task, wants_ticket
        return future

    def forget(self, task: Deferred[Any]) -> None:
        """The task was not offered after all."""
        self._futures.pop(task, None)

    def end_all_after_fork(self) -> None:
        """In a child: the tasks are its parent's, and their futures end here as `Lost`."""
        futures, self._futures = self._futures, {}
        for task, future in futures.items():
            handover.end_after_fork(future, task, result.ticket if future.wants_ticket else None)
            if not future.cancelled():
                future.exception()  # read, so that asyncio does not warn of it

    def put(self, task: Deferred[Any]) -> None:
        """Called on the client's own thread."""
        self._ended.append(task)
        if not self._is_due:
            self._is_due = True
            # The loop may be closed already; then no coroutine waits.
            with contextlib.suppress(RuntimeError):
                self.loop.call_soon_threadsafe(self._hand_out)

    def _hand_out(self) -> None:
        self._is_due = False
        while self._ended:
            task = self._ended.popleft()
            future = self._futures.pop(task, None)
            if future is not None and not future.done():
                handover.end(future, task, result.ticket if future.wants_ticket else None)


_alive: weakref.WeakSet[_Outcomes] = weakref.WeakSet()


def _end_all_after_fork() -> None:
    for outcomes in list(_alive):
        outcomes.end_all_after_fork()


if hasattr(os, "register_at_fork"):
    # After what `client` does there, which was registered first.
    os.register_at_fork(after_in_child=_end_all_after_fork)


async def _awaited(future: Any) -> Any:
    try:
        return await future
    except asyncio.CancelledError:
        _cancel_task(future)
        raise


def _put_with_place(ended: asyncio.Queue[Any], place: int) -> Callable[[Any], None]:
    return lambda future: ended.put_nowait((place, future))


def _cancel_if_cancelled(future: Any) -> None:
    if future.cancelled():
        _cancel_task(future)


def _cancel_task(future: Any) -> None:
    future.task.cancel()
    if not future.done():
        future.cancel()
    elif not future.cancelled():
        future.exception()  # read, so that asyncio does not warn of it


async def _iterated(items: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
