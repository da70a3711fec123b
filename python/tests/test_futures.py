"""One changed line from `concurrent.futures` is enough; what an input raises comes in its turn."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import pickle
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import argon
import argon.aio
from cluster import Cluster


# kind: a drop-in replacement | `Executor(4)` | right | a number is `max_workers`, the address comes from the
#    environment
def test_a_number_in_the_place_of_the_address_is_max_workers(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARGON_MANAGER", cluster.address)
    monkeypatch.setenv("ARGON_KEY", str(cluster.key))
    for executor in (argon.Executor(2), argon.Executor(max_workers=2), argon.Executor(2, mp_context=None)):
        with executor:
            assert list(executor.map(pow, [1, 2, 3], [2, 2, 2], timeout=30, chunksize=2)) == [1, 4, 9]
            assert executor._max_workers == 2


def test_what_an_executor_cannot_mean_is_refused_in_words() -> None:
    with pytest.raises(argon.OptionError, match=r"no initializer.*functools\.lru_cache"):
        argon.Executor(2, initializer=print)
    with pytest.raises(TypeError, match="given twice"):
        argon.Executor(2, 3)
    for options in ({"give_up_after": "x"}, {"give_up_after": -1}, {"on_waiting": "print"}, {"address": 8000}):
        with pytest.raises(argon.OptionError, match=next(iter(options))):
            argon.Client(**options)  # type: ignore[arg-type]
    for wrong in (0, -1, True, 2.5):
        with pytest.raises(ValueError, match="max_workers must be a whole number"):
            argon.Executor(max_workers=wrong)  # type: ignore[arg-type]


# kind: a drop-in replacement | `except TimeoutError` around a call with a timeout | right | `argon.TimedOut` is a
#    `TimeoutError`
def test_a_task_that_ran_too_long_is_a_timeout_error_of_every_kind(client: Any) -> None:
    for kind in (TimeoutError, concurrent.futures.TimeoutError, argon.TimedOut, argon.Error):
        with pytest.raises(kind):
            client.with_options(timeout=0.05).queue(time.sleep, 60)
    deferred = client.defer(time.sleep, 60)
    for kind in (TimeoutError, concurrent.futures.TimeoutError):
        with pytest.raises(kind):
            deferred.result(0.01)
    with pytest.raises(TimeoutError):
        deferred.exception(0.01)
    assert deferred.running() and deferred.cancel() and not client.defer(abs, 1).exception(30)
    again = pickle.loads(pickle.dumps(argon.TimedOut("late", "ab", {"host": "h"})))
    assert type(again) is argon.TimedOut and again.message == "late" and again.host == "h"


# kind: a drop-in replacement | `await client.defer(…)` | right | a deferred is awaitable
def test_a_deferred_can_be_awaited(client: Any) -> None:
    async def main() -> None:
        assert await client.defer(pow, 2, 10) == 1024
        assert await asyncio.wait_for(client.defer(abs, -1), 30) == 1
        assert await asyncio.gather(*(client.defer(abs, -number) for number in range(20))) == list(range(20))
        done = client.defer(abs, -2)
        done.result()
        assert await done == 2
        with pytest.raises(ZeroDivisionError):
            await client.defer(lambda: 1 // 0)
        slow = client.defer(time.sleep, 60)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(slow, 0.05)
        assert isinstance(slow.exception(30), argon.Cancelled)

    asyncio.run(main())


def test_clients_and_their_handles_say_that_they_cannot_travel(cluster: Cluster) -> None:
    client, executor = cluster.client(), cluster.executor()
    held = argon.aio.Client(cluster.address, key=cluster.key)
    for captured in (client, executor, client.defer(abs, 1), client.map(abs, [1]), held):
        with pytest.raises(argon.CannotTravel, match="cannot travel: "):
            client.queue(lambda one=captured: one)
        with pytest.raises(argon.CannotTravel, match="cannot travel: "):
            client.queue(repr, [captured])


def broken_off() -> Iterator[int]:
    yield -1
    yield -2
    raise LookupError("the third")


async def broken_off_later() -> AsyncIterator[int]:
    for number in broken_off():
        yield number


def drained(results: Iterator[Any]) -> list[Any]:
    found: list[Any] = []
    with pytest.raises(LookupError, match="the third"):
        for one in results:
            found.append(one)
    assert next(results, "nothing") == "nothing"
    return found


# kind: iterators that raise | the iterator of `map` raises on its third item | right | two results, then its error
def test_an_input_that_raises_comes_behind_the_results_before_it(client: Any, cluster: Cluster) -> None:
    assert drained(client.map(abs, broken_off())) == [1, 2]
    assert sorted(drained(client.map(abs, broken_off(), ordered=False))) == [(0, 1), (1, 2)]
    assert drained(client.map(abs, broken_off(), ahead=1)) == [1, 2]
    assert drained(client.map(pow, broken_off(), itertools.repeat(2))) == [1, 4]
    with cluster.executor() as executor:
        for more in ({}, {"chunksize": 2}, {"chunksize": 5}, {"buffersize": 1}):
            assert drained(executor.map(abs, broken_off(), **more)) == [1, 2]


# kind: iterators that raise | an item of `map` that cannot travel | loud | the results before it come first
def test_an_item_that_cannot_travel_comes_behind_the_results_before_it(client: Any) -> None:
    results = client.map(type, [1, threading.Lock()])
    assert next(results) is int
    with pytest.raises(argon.CannotTravel, match="lock"):
        next(results)


# kind: iterators that raise | the same with asyncio | right | two results, then its error
def test_an_input_that_raises_does_so_in_asyncio_too(cluster: Cluster) -> None:
    async def main() -> None:
        async with argon.aio.Client(cluster.address, key=cluster.key) as client:
            for items in (broken_off(), broken_off_later()):
                found = []
                with pytest.raises(LookupError, match="the third"):
                    async for value in client.map(abs, items):
                        found.append(value)
                assert found == [1, 2]

    asyncio.run(main())


def test_endless_inputs_are_taken_as_needed(client: Any, cluster: Cluster) -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    assert list(itertools.islice(client.map(abs, numbers(), ahead=10), 5)) == [0, 1, 2, 3, 4]
    assert len(taken) <= 20
    taken.clear()
    with cluster.executor() as executor:
        assert list(itertools.islice(executor.map(abs, numbers(), buffersize=4), 5)) == [0, 1, 2, 3, 4]
        assert len(taken) <= 12


# kind: a drop-in replacement | `concurrent.futures.wait` and `as_completed` of what `defer` gives | loud | it is no
#    future of the standard library, and the sentence names what makes them
def test_waiting_for_deferreds_with_the_standard_library_is_refused_in_words(client: Any) -> None:
    for wait in (concurrent.futures.wait, concurrent.futures.as_completed):
        with pytest.raises(TypeError, match=r"use argon\.Executor"):
            list(wait([client.defer(abs, -1)], timeout=10))


# kind: what cannot travel | a future as an argument | loud | the sentence says to pass its result
def test_a_future_cannot_travel(cluster: Any, client: Any) -> None:
    with cluster.executor() as executor, pytest.raises(argon.CannotTravel, match=r"pass its result\(\)"):
        client.queue(str, executor.submit(abs, -1))
