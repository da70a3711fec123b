"""One call of `map` under way: offers items as there is room, hands on results in order or as they come.

It is an iterator that the caller's thread drives; `aio` and `executor` have their own.
"""

from __future__ import annotations

import itertools
import queue
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from .._outcome import handover
from .._shown import progress
from .._shown.facts import Facts, count, more, table
from ..deferred import Deferred

if TYPE_CHECKING:
    from ..client import Client
    from .call import Call

# So many tasks are made and offered together.
_BATCH = 128


class Shown(NamedTuple):
    """What people see of a map."""

    #: The function's name.
    what: str
    #: Number of results, if it is known.
    total: int | None
    has_bar: bool


class Map(Iterator[Any]):
    """Iterate over it for the results. Leaving it early, by an error too, cancels what is under way.

    What the input raises comes behind the results of what it gave before, as from the built-in `map`.
    """

    def __init__(self, client: Client, call: Call, items: Iterable[Any], ahead: int, shown: Shown):
        self._client = client
        self._session = client._session
        self._calls = client._calls
        self._call = call
        self._ahead = ahead
        self._batch = max(1, min(_BATCH, ahead // 2))
        self._is_exhausted = False
        # Exception of the input.
        self._problem: Exception | None = None
        self._tasks: deque[Deferred[Any]] = deque()
        self._items = iter(items)
        self._shown = shown
        self._bar: progress.Bar | None = None
        self._taken = self._given = 0

    def __reduce__(self) -> Any:
        raise TypeError("the results of a map cannot travel: pass list(…) of them")

    def __iter__(self) -> Map:
        return self

    def __next__(self) -> Any:
        try:
            self._offer_more(len(self._tasks))
            if self._tasks:
                value = self._tasks.popleft().result()
                self._count()
                return value
        except StopIteration as stop:
            # Of a task: it must not pass for the end of the results.
            self.close()
            raise handover.as_error(stop) from stop
        except BaseException:
            self.close()
            raise
        raise self._end()

    def __repr__(self) -> str:
        facts = dict(self._facts())
        return f"<argon map of {facts['function']}: {facts['results']}, {facts['state']}>"

    def _repr_html_(self) -> str:
        return table("argon map", [*self._facts(), *more(self._session)])

    def _facts(self) -> Facts:
        total = self._shown.total
        end = "" if total is None else f" of {total:,}"
        under_way = self._taken - self._given
        is_over = self._is_exhausted and not under_way
        return [
            ("function", self._shown.what),
            ("results", f"{self._given:,}{end} taken"),
            ("state", "ended" if is_over else count(under_way, "task") + " under way"),
        ]

    def _count(self) -> None:
        """One result more is about to be handed on."""
        self._given += 1
        if self._bar is not None:
            self._bar.update(1)

    def _end_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()

    def _end(self) -> BaseException:
        """Ends the results: raises the error of the input, once, then StopIteration."""
        problem, self._problem = self._problem, None
        self._end_bar()
        return StopIteration() if problem is None else problem

    def close(self) -> None:
        """Cancels what is under way; there are no more results."""
        self._is_exhausted = True
        self._end_bar()
        tasks, self._tasks = self._tasks, deque()
        for task in tasks:
            task._session.cancel(task)

    def __del__(self) -> None:
        if not self._is_exhausted or self._tasks:
            self._session.cancel_later(list(self._tasks))

    def _offer_more(self, under_way: int) -> list[Deferred[Any]]:
        room = self._ahead - under_way
        if self._is_exhausted or (room < self._batch and under_way):
            return []
        made = []
        session = self._session.here()
        try:
            # An iterator may be slow: what it has given is offered before it is asked for too much.
            for item in itertools.islice(self._items, room):
                made.append(self._calls.task(self._client, session, self._call, item, {}))
                if len(made) >= _BATCH:
                    break
            else:
                self._is_exhausted = len(made) < room
        except Exception as problem:
            # Raised in its turn, behind the results of what came before.
            self._problem, self._is_exhausted = problem, True
        self._tasks.extend(made)
        self._taken += len(made)
        if self._shown.has_bar and self._bar is None:
            self._bar = progress.bar(self._shown.what, self._shown.total)
        if made:
            session.offer_many(made)
        return made


class UnorderedMap(Map):
    """The same with pairs of position and result, as they come."""

    def __init__(self, client: Client, call: Call, items: Iterable[Any], ahead: int, shown: Shown):
        super().__init__(client, call, items, ahead, shown)
        self._ended: queue.SimpleQueue[Deferred[Any]] = queue.SimpleQueue()
        self._places: dict[Deferred[Any], int] = {}
        self._next_place = 0
        self._process = self._session.process

    def __next__(self) -> Any:
        try:
            for task in self._offer_more(len(self._places)):
                self._places[task] = self._next_place
                self._next_place += 1
                task._session.watch(task, self._ended.put)
            self._tasks.clear()
            if self._places:
                if self._process != self._session.process:
                    self._watch_after_fork()
                if self._ended.empty():
                    self._session.may_wait()
                with self._session.lending:
                    task = self._ended.get()
                pair = self._places.pop(task), task.result()
                self._count()
                return pair
        except StopIteration as stop:
            self.close()
            raise handover.as_error(stop) from stop
        except BaseException:
            self.close()
            raise
        raise self._end()

    def _watch_after_fork(self) -> None:
        """In a forked child: what its parent has under way ends here, and is not announced."""
        self._process, self._ended = self._session.process, queue.SimpleQueue()
        for task in self._places:
            task._session.watch(task, self._ended.put)

    def close(self) -> None:
        """Cancels what is under way; there are no more results."""
        self._tasks.extend(self._places)
        self._places.clear()
        super().close()
