"""One call of `map` whose items may travel together as one task.

Its caller's thread drives it, as `lazy_map`. All tasks are watched, also those behind the next result: items of a chunk
that was cut short are offered again at once.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable

from .._code import shipping
from .._outcome import handover
from .._shown import progress
from ..deferred import Deferred
from ..errors import CannotTravel, OptionError
from ..remote import Named
from . import chunk
from .lazy_map import Map, Shown
from .pace import LIMIT_S, SHARE, Pace

if TYPE_CHECKING:
    from .._session.options import Options
    from ..client import Client
    from .call import Call

#: Chunks of items that are all there already: enough of them to keep workers busy, however many items they have.
_KNOWN_CHUNKS = 32
_KNOWN_MAX = 10_000
#: Tasks of one item that are made and offered together.
_BATCH = 128
#: Fewer items are a task each.
_ITEMS_MIN = 64


class _Part:
    """Items that are one task; once it has ended, what became of them."""

    __slots__ = ("items", "outcomes", "place", "rest", "task")

    def __init__(self, place: int, items: list[tuple[Any, ...]], task: Deferred[Any]) -> None:
        self.place = place
        self.items = items
        self.task = task
        self.outcomes: list[Any] | None = None
        self.rest: list[_Part] = []


class ChunkedMap(Map):
    """As `Map`, in order or as the results come, with several items in a task."""

    def __init__(
        self,
        client: Client,
        call: Call,
        items: Iterable[Any],
        ahead: int,
        shown: Shown,
        function: Callable[..., Any],
        chunksize: int | None,
        is_ordered: bool,
        is_known: bool,
    ):
        super().__init__(client, call, items, max(ahead, chunksize or 1), shown)
        self._has_shared = bool(client._shared)
        self._is_known = is_known
        self._pace: Pace | None = Pace(chunksize, _KNOWN_MAX if self._is_known else max(1, ahead // SHARE))
        self._is_ordered = is_ordered
        self._ended: queue.SimpleQueue[Deferred[Any]] = queue.SimpleQueue()
        self._parts: dict[Deferred[Any], _Part] = {}
        self._order: deque[_Part] = deque()
        # Pairs of place and value, or the task of one item.
        self._outcomes: deque[tuple[int, Any]] = deque()
        self._process = self._session.process
        # What it captures is that of now, as for the call of one item.
        self._chunk_call = self._calls.of(chunk.runner(function))

    def __next__(self) -> Any:
        try:
            while not self._outcomes:
                self._open_ended()
                self._offer_parts()
                if self._outcomes:
                    break
                if not self._parts:
                    raise _Over
                self._open(self._next_ended())
            place, outcome = self._outcomes.popleft()
            value = outcome.result() if type(outcome) is Deferred else outcome
            self._count()
            return value if self._is_ordered else (place, value)
        except _Over:
            pass
        except StopIteration as stop:
            # Of a task: it must not pass for the end of the results.
            self.close()
            raise handover.as_error(stop) from stop
        except BaseException:
            self.close()
            raise
        raise self._end()

    def close(self) -> None:
        """Cancels what is under way; there are no more results."""
        self._tasks.extend(self._parts)
        self._parts.clear()
        self._order.clear()
        self._outcomes.clear()
        super().close()

    def __del__(self) -> None:
        if not self._is_exhausted or self._parts:
            self._session.cancel_later(list(self._parts))

    def _next_ended(self) -> _Part:
        if self._process != self._session.process:
            # In a forked child: what its parent has under way ends here, and is not announced.
            self._process, self._ended = self._session.process, queue.SimpleQueue()
            for task in self._parts:
                task._session.watch(task, self._ended.put)
        if self._ended.empty():
            self._session.may_wait()
        with self._session.lending:
            task = self._ended.get()
        return self._parts.pop(task)

    def _open_ended(self) -> None:
        while not self._ended.empty():
            self._open(self._parts.pop(self._ended.get()))

    def _open(self, part: _Part) -> None:
        """Reads what became of the items of a task, and offers those that were not called."""
        called = 1
        has_failed = False
        if len(part.items) == 1:
            part.outcomes = [part.task]
        else:
            found = chunk.outcomes(part.task, self._client)
            part.outcomes, has_failed = found if found is not None else ([], False)
            called = len(part.outcomes)
        if not called:
            # Where such a task fails, its items are tasks of their own, as all after them.
            self._pace = None
        elif self._pace is not None:
            self._pace.learn(called, part.task._run_us)
        if called < len(part.items) and not has_failed:
            # The next of them may be slow, too: what was called in this time is the most that waits for it.
            size = min(called, self._pace.size()) if called and self._pace is not None else 1
            part.rest = self._made(part.place + called, part.items[called:], size)
            self._offer(part.rest)
        if not self._is_ordered:
            self._outcomes.extend(enumerate(part.outcomes, part.place))
            return
        while self._order and self._order[0].outcomes is not None:
            first = self._order.popleft()
            self._outcomes.extend(enumerate(first.outcomes, first.place))  # type: ignore[arg-type]
            self._order.extendleft(reversed(first.rest))

    def _offer_parts(self) -> None:
        """Takes items that there is room for, and offers them."""
        size = self._pace.size() if self._pace is not None else 1
        room = self._ahead - (self._taken - self._given)
        if self._is_known and size > 1 and len(self._parts) < _KNOWN_CHUNKS:
            room = max(room, size * (_KNOWN_CHUNKS - len(self._parts)))
        if self._is_exhausted or (self._parts and room < min(max(self._batch, size), self._ahead)):
            return
        items = self._items_for(room if size > 1 else min(room, _BATCH))
        parts: list[_Part] = []
        try:
            parts = self._made(self._taken, items, size)
        finally:
            self._taken += len(items)
        self._order.extend(parts)
        if self._shown.has_bar and self._bar is None:
            self._bar = progress.bar(self._shown.what, self._shown.total)
        self._offer(parts)

    def _items_for(self, room: int) -> list[tuple[Any, ...]]:
        # An iterator may be slow: what it has given is offered before it is asked for too much.
        until = monotonic() + LIMIT_S
        items: list[tuple[Any, ...]] = []
        try:
            for item in self._items:
                items.append(item)
                if len(items) >= room or monotonic() > until:
                    return items
            self._is_exhausted = True
        except Exception as problem:
            # Raised in its turn, behind the results of what came before.
            self._problem, self._is_exhausted = problem, True
        return items

    def _made(self, place: int, items: list[tuple[Any, ...]], size: int) -> list[_Part]:
        """The parts of items, not yet offered, with at most `size` each."""
        parts: list[_Part] = []
        session = self._session.here()
        for begin in range(0, len(items), size):
            some = items[begin : begin + size]
            if len(some) > 1:
                try:
                    args = (self._pace.limit if self._pace is not None else 0.0, self._has_shared, some)
                    task = self._calls.task(self._client, session, self._chunk_call, args, {})
                    parts.append(_Part(place + begin, some, task))
                    continue
                except CannotTravel:
                    # Each is refused, or not, in words of its own.
                    pass
            for at, item in enumerate(some, begin):
                try:
                    task = self._calls.task(self._client, session, self._call, item, {})
                except Exception as problem:
                    self._problem, self._is_exhausted = problem, True
                    self._taken -= len(items) - at
                    return parts
                parts.append(_Part(place + at, [item], task))
        return parts

    def _offer(self, parts: list[_Part]) -> None:
        if not parts:
            return
        tasks = [part.task for part in parts]
        self._parts.update(zip(tasks, parts))
        self._session.here().offer_many(tasks, self._ended.put)


class _Over(Exception):
    """There are no more results."""


def can_chunk(function: Any, options: Options, total: int | None, ahead: int, chunksize: int | None) -> bool:
    """True if items of a map may travel together. Raises OptionError if that was asked for, and they may not."""
    if chunksize == 1:
        return False
    one = next((name for name in _OF_ONE_ITEM if getattr(options, name)), None)
    if isinstance(function, Named) or one is not None:
        if chunksize is None:
            return False
        why = f"{one} is about one item" if one else "a function by its name is called for one"
        raise OptionError(f"Client: chunksize makes one task of several items, and {why}")
    if chunksize is not None:
        return True
    if ahead < 2 * SHARE or (total is not None and total <= _ITEMS_MIN):
        return False
    # Otherwise each task has the function anew, and what one item changes in it, the next does not see.
    return shipping.is_constant(function)


_OF_ONE_ITEM = ("never_twice", "retries", "timeout", "label", "memory", "capture")
