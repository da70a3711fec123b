"""An outcome always ends its future, whatever is raised on the way, and on whichever way it comes."""

from __future__ import annotations

import asyncio
import builtins
import concurrent.futures
import dataclasses
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import argon
import argon.aio
from cluster import Cluster, wait_for

LIMIT_S = 30


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


class Picky(Exception):
    def __init__(self, first: int, *, second: int):
        super().__init__(f"{first} and {second}")


class Stubborn(Exception):
    def __setattr__(self, name: str, value: object) -> None:
        raise TypeError("nothing is set here")

    def add_note(self, note: str) -> None:
        raise TypeError("no notes")

    def __str__(self) -> str:
        raise StopIteration

    __repr__ = __str__


class Unreduced(Exception):
    def __reduce__(self) -> Any:
        raise KeyboardInterrupt


class Unset(Exception):
    def __init__(self) -> None:
        self.held = 1

    def __setstate__(self, state: object) -> None:
        raise SystemExit(3)


class Traceless(Exception):
    @property
    def __traceback__(self) -> Any:
        raise RuntimeError("no traceback")

    @__traceback__.setter
    def __traceback__(self, value: Any) -> None:
        raise RuntimeError("no traceback")


class ManyArguments(Exception):
    def __new__(cls, *args: Any) -> Any:
        assert len(args) == 2
        return super().__new__(cls, *args)

    def __init__(self, one: int, two: int):
        super().__init__(one)


class Group(getattr(builtins, "BaseExceptionGroup", Exception)):  # type: ignore[misc]
    pass


RAISED: dict[str, Callable[[], BaseException]] = {
    "stop": StopIteration,
    "stop_async": StopAsyncIteration,
    "generator_exit": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "cancelled_future": concurrent.futures.CancelledError,
    "interrupt": KeyboardInterrupt,
    "base": BaseException,
    "memory": MemoryError,
    "recursion": RecursionError,
    "timeout": TimeoutError,
    "frozen": lambda: Frozen(5),
    "picky": lambda: Picky(1, second=2),
    "stubborn": Stubborn,
    "unreduced": Unreduced,
    "unset": Unset,
    "traceless": Traceless,
    "many_arguments": lambda: ManyArguments(1, 2),
    "group": lambda: Group("several", [Frozen(1), StopIteration(), KeyboardInterrupt()]),
    "exit": lambda: SystemExit(4),
}


def raising(name: str) -> None:
    raise RAISED[name]()


class Unreadable:
    """A value that raises while it is read, here only."""

    def __init__(self, name: str):
        self.name = name

    def __reduce__(self) -> Any:
        return _read, (self.name,)


def _read(name: str) -> None:
    raise RAISED[name]()


def returning(name: str) -> Any:
    return Unreadable(name)


def caught(call: Callable[[], Any]) -> BaseException:
    try:
        raise AssertionError(f"it gave {call()!r}")
    except AssertionError:
        raise
    except BaseException as error:
        return error


class Callers:
    """One of each kind, for all exceptions of a test: a new one for each would start a runner for each."""

    def __init__(self, cluster: Cluster):
        self.client = cluster.client()
        self.executor = cluster.executor()
        self.aio = argon.aio.Client(cluster.address, key=cluster.key)

    def shutdown(self) -> None:
        self.client.shutdown()
        self.executor.shutdown()
        asyncio.run(self.aio.shutdown())


@pytest.fixture
def callers(cluster: Cluster) -> Iterator[Callers]:
    made = Callers(cluster)
    yield made
    made.shutdown()


def by_queue(callers: Callers, function: Any, name: str) -> BaseException:
    return caught(lambda: callers.client.queue(function, name))


def by_defer(callers: Callers, function: Any, name: str) -> BaseException:
    return caught(lambda: callers.client.defer(function, name).result(LIMIT_S))


def by_exception(callers: Callers, function: Any, name: str) -> BaseException:
    try:
        found = callers.client.defer(function, name).exception(LIMIT_S)
    except KeyboardInterrupt as interrupt:
        # While a value is read here it cannot be told from the caller's own.
        return interrupt
    assert isinstance(found, BaseException)
    return found


def by_map(callers: Callers, function: Any, name: str) -> BaseException:
    return caught(lambda: list(callers.client.map(function, [name])))


def by_unordered_map(callers: Callers, function: Any, name: str) -> BaseException:
    return caught(lambda: list(callers.client.map(function, [name], ordered=False)))


def by_callback(callers: Callers, function: Any, name: str) -> BaseException:
    ended, found = threading.Event(), []

    def callback(deferred: Any) -> None:
        found.append(deferred.exception())
        ended.set()

    callers.client.defer(function, name).add_done_callback(callback)
    assert ended.wait(LIMIT_S)
    return found[0]


def by_executor(callers: Callers, function: Any, name: str) -> BaseException:
    return caught(lambda: callers.executor.submit(function, name).result(LIMIT_S))


def by_as_completed(callers: Callers, function: Any, name: str) -> BaseException:
    (future,) = concurrent.futures.as_completed([callers.executor.submit(function, name)], LIMIT_S)
    found = future.exception()
    assert isinstance(found, BaseException)
    return found


def by_executor_map(callers: Callers, function: Any, name: str) -> BaseException:
    return caught(lambda: list(callers.executor.map(function, [name], timeout=LIMIT_S)))


def in_asyncio(wait: Callable[[], Awaitable[Any]]) -> BaseException:
    async def main() -> BaseException:
        try:
            await wait()
        except BaseException as error:
            return error
        raise AssertionError("it raised nothing")

    return asyncio.run(asyncio.wait_for(main(), LIMIT_S))


def by_aio_queue(callers: Callers, function: Any, name: str) -> BaseException:
    return in_asyncio(lambda: callers.aio.queue(function, name))


def by_aio_defer(callers: Callers, function: Any, name: str) -> BaseException:
    return in_asyncio(lambda: callers.aio.defer(function, name))


def by_aio_map(callers: Callers, function: Any, name: str) -> BaseException:
    async def whole() -> None:
        assert [value async for value in callers.aio.map(function, [name])] == "nothing"

    return in_asyncio(whole)


def by_awaited_deferred(callers: Callers, function: Any, name: str) -> BaseException:
    async def whole() -> None:
        await callers.client.defer(function, name)

    return in_asyncio(whole)


def by_run_in_executor(callers: Callers, function: Any, name: str) -> BaseException:
    async def whole() -> None:
        await asyncio.get_running_loop().run_in_executor(callers.executor, function, name)

    return in_asyncio(whole)


WAYS = [
    *(by_queue, by_defer, by_exception, by_map, by_unordered_map, by_callback, by_executor),
    *(by_as_completed, by_executor_map, by_aio_queue, by_aio_defer, by_aio_map, by_awaited_deferred),
    by_run_in_executor,
]
#: Where a StopIteration would pass for the end of a loop, or end no future of asyncio's.
GUARDED = [way for way in WAYS if way not in (by_queue, by_defer, by_exception, by_callback)]


# kind: an outcome ends its future | any exception of a task, by every way of waiting | right | each way ends, with
#    this exception or with one that names it
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_a_task_raises_ends_its_future(callers: Callers, way: Callable[..., BaseException]) -> None:
    for name, make in RAISED.items():
        error = way(callers, raising, name)
        expected = {type(make()), argon.TaskError, argon.Died, RuntimeError}
        assert type(error) in expected or type(error).__name__ == type(make()).__name__, (name, repr(type(error)))


# kind: an outcome ends its future | a result whose class raises while it is read | loud | the error of reading it
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whatever_reading_a_result_raises_ends_its_future(callers: Callers, way: Callable[..., BaseException]) -> None:
    for name in RAISED:
        assert isinstance(way(callers, returning, name), BaseException), name


# kind: an outcome ends its future | StopIteration and its kin in a task | loud | RuntimeError from it, as in
#    generators
@pytest.mark.parametrize("way", GUARDED, ids=lambda way: way.__name__)
def test_a_stop_of_a_task_is_an_error_where_it_would_end_a_loop(
    callers: Callers, way: Callable[..., BaseException]
) -> None:
    error = way(callers, raising, "stop")
    assert type(error) is RuntimeError and type(error.__cause__) is StopIteration


@pytest.mark.parametrize("raised", ["StopIteration()", "GeneratorExit()", "KeyboardInterrupt()", "OSError(2, 'no')"])
def test_whatever_a_submitted_task_raises_is_collected(client: Any, raised: str) -> None:
    task = client.submit(exec, f"raise {raised}")
    assert repr(caught(lambda: client.collect(task, LIMIT_S))) == repr(eval(raised))


# kind: an outcome ends its future | StopIteration in a function of `map` | loud | a loop over the results does not
#    end early
def test_a_map_is_not_cut_short_by_a_task(client: Any) -> None:
    results = client.map(lambda box: next(iter(box)), [["a"], ["b"], [], ["c"]])
    assert [next(results), next(results)] == ["a", "b"]
    with pytest.raises(RuntimeError):
        next(results)
    assert list(results) == []


# kind: an outcome ends its future | a done callback that raises | loud | logged; other futures go on
def test_a_callback_that_raises_harms_nobody(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    ended: list[str] = []

    def raise_from_callback(_: Any) -> None:
        ended.append("raised")
        raise SystemExit(7)

    client, executor = cluster.client(), cluster.executor()
    slow = lambda number: __import__("time").sleep(0.2) or abs(number)  # noqa: E731
    future, deferred = executor.submit(slow, -1), client.defer(slow, -1)
    for one in (future, deferred):
        one.add_done_callback(raise_from_callback)
        one.add_done_callback(lambda _: ended.append("second"))
    assert future.result(LIMIT_S) == deferred.result(LIMIT_S) == 1
    wait_for("both callbacks of both", lambda: len(ended) == 4)
    executor.shutdown()
    client.shutdown()
    assert "callback of" in caplog.text


def test_a_callback_may_wait_for_other_calls_and_shut_down(cluster: Cluster) -> None:
    executor, client, found = cluster.executor(), cluster.client(), []
    ended = threading.Event()

    def of_future(future: Any) -> None:
        found.append(executor.submit(pow, future.result(), 2).result(LIMIT_S))
        executor.shutdown()
        client.defer(abs, -4).on_done(of_deferred)

    def of_deferred(deferred: Any) -> None:
        found.append(client.queue(pow, deferred.result(), 2))
        client.shutdown()
        ended.set()

    executor.submit(abs, -3).add_done_callback(of_future)
    assert ended.wait(LIMIT_S) and found == [9, 16]


def test_a_client_serves_one_loop_after_another(client: Any) -> None:
    reconnect = client._session.reconnect
    other = argon.aio.Client(reconnect.addresses[0], key=reconnect.key)
    left: list[Any] = []

    async def leave_a_call() -> None:
        left.append(other.defer(__import__("time").sleep, 0.2))
        await other.queue(abs, -1)

    async def main() -> Any:
        return await asyncio.wait_for(other.queue(abs, -2), LIMIT_S)

    asyncio.run(leave_a_call())
    assert asyncio.run(main()) == 2
    # The call of the closed loop ends in between, and nobody waits for it.
    assert client.queue(__import__("time").sleep, 0.3) is None
    assert asyncio.run(main()) == 2
    asyncio.run(other.shutdown())


def test_one_submitted_task_can_be_collected_twice_at_once(client: Any) -> None:
    task = client.submit(pow, 3, 4)
    first, second, third = (client.collect_later(task) for _ in range(3))
    third.cancel()
    assert first.result(LIMIT_S) == second.result(LIMIT_S) == 81


def test_a_future_that_the_user_ended_stops_nothing(cluster: Cluster) -> None:
    with cluster.executor() as executor:
        future = executor.submit(__import__("time").sleep, 0.05)
        future.set_result("mine")
        assert executor.submit(abs, -1).result(LIMIT_S) == 1
        assert future.result() == "mine"
