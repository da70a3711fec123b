"""The client of a task: it needs neither address nor key, tells when it waits, and ends with the task."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import sys
import types
from pathlib import Path
from typing import Any, Callable

import pytest

import argon
import argon.aio
import argon.joblib
from argon._wire import protocol as wire
from cluster import wait_for
from fake_worker import TASK, TOKEN, FakeWorker


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Any:
    # What a runner offers to this package.
    runner = types.ModuleType("_argon._runner.current")
    runner.at_end = set()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "_argon._runner.current", runner)
    fake = FakeWorker(monkeypatch)
    yield fake
    end_of_task()
    fake.close()


def end_of_task() -> None:
    at_end = sys.modules["_argon._runner.current"].at_end  # type: ignore[attr-defined]
    while at_end:
        at_end.pop()()


def test_outside_of_a_task_there_is_none() -> None:
    with pytest.raises(argon.Unreachable, match=r"only a task has one.*argon\.Client\('HOST:PORT'\)"):
        argon.current_client()


@pytest.mark.parametrize("make", [argon.current_client, argon.Client])
def test_a_task_reaches_the_pool_through_its_worker(worker: FakeWorker, make: Callable[[], argon.Client]) -> None:
    assert make().queue(pow, 2, 10) == 1
    assert worker.first(wire.CHILD) == {"token": TOKEN, "task": TASK, "attempt": 1}
    session = worker.first(wire.OPEN)["session"]
    assert session[:16] == TASK[:16] and session != TASK[:32]
    assert worker.kinds()[:2] == [wire.CHILD, wire.OPEN]


def test_the_client_is_kept_for_the_task_and_ends_with_it(worker: FakeWorker) -> None:
    client = argon.current_client()
    assert argon.current_client() is client
    assert client.queue(abs, 1) == 1
    left = client.defer(abs, 2)
    end_of_task()
    with pytest.raises(argon.Cancelled):
        left.result()
    with pytest.raises(argon.Closed):
        client.queue(abs, 1)
    worker.enter(TASK[:-1] + "8")
    assert argon.current_client() is not client
    assert argon.current_client().queue(abs, 1) == 1
    # One that a module keeps works again in the next task.
    assert client.queue(abs, 1) == 1
    assert len({body for kind, body in worker.frames if kind == wire.CHILD}) == 2


def test_an_address_or_a_key_wins(worker: FakeWorker, tmp_path: Path) -> None:
    for client in (argon.Client("127.0.0.1:1"), argon.Client(key=str(tmp_path / "none"))):
        with pytest.raises(argon.Unreachable):
            client.queue(abs, 1)
    assert worker.connections == 0


def waits_of(worker: FakeWorker, action: Callable[[], object]) -> list[int]:
    before = len(worker.waits())
    action()

    def pairs() -> list[int] | None:
        found = worker.waits()[before:]
        if found and found[-1] == 1 and wire.GOODBYE in worker.kinds():
            # A connection that ends waits no more.
            return [*found, 0]
        return found if found and found[-1] == 0 else None

    return list(wait_for("the end of the wait to be told", pairs))


def by_result() -> None:
    argon.current_client().defer(abs, 1).result()


def by_exception() -> None:
    argon.current_client().defer(abs, 1).exception()


def by_map() -> None:
    assert list(argon.current_client().map(abs, range(3)))


def by_unordered_map() -> None:
    assert list(argon.current_client().map(abs, range(3), ordered=False))


def by_future() -> None:
    with argon.Executor() as executor:
        executor.submit(abs, 1).result()


def by_wait() -> None:
    with argon.Executor() as executor:
        assert not concurrent.futures.wait([executor.submit(abs, n) for n in range(3)]).not_done


def by_as_completed() -> None:
    with argon.Executor() as executor:
        assert len(list(concurrent.futures.as_completed([executor.submit(abs, n) for n in range(3)]))) == 3


def by_shutdown() -> None:
    executor = argon.Executor()
    executor.submit(abs, 1)
    executor.shutdown()


def by_executor_in_a_loop() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().run_in_executor(argon.Executor(), abs, 1)

    asyncio.run(main())


def by_await() -> None:
    async def main() -> None:
        client = argon.aio.Client()
        await client.queue(abs, 1)
        await asyncio.gather(*(client.defer(abs, n) for n in range(3)))

    asyncio.run(main())


def by_asynchronous_map() -> None:
    async def main() -> None:
        assert [pair async for pair in argon.aio.Client().map(abs, range(3), ordered=False)]

    asyncio.run(main())


def by_await_of_deferred() -> None:
    async def main() -> None:
        await argon.current_client().defer(abs, 1)

    asyncio.run(main())


def by_joblib() -> None:
    import joblib

    with joblib.parallel_config(backend="argon", n_jobs=2):
        joblib.Parallel()(joblib.delayed(abs)(n) for n in range(4))


ALL = [
    by_result,
    by_exception,
    by_map,
    by_unordered_map,
    by_future,
    by_wait,
    by_as_completed,
    by_shutdown,
    by_executor_in_a_loop,
    by_await,
    by_asynchronous_map,
    by_await_of_deferred,
]


@pytest.mark.parametrize("wait", ALL, ids=lambda wait: wait.__name__)
def test_every_wait_lends_the_slot(worker: FakeWorker, wait: Callable[[], None]) -> None:
    told = waits_of(worker, wait)
    assert told and told == [1, 0] * (len(told) // 2)


def test_a_task_that_does_not_wait_tells_nothing(worker: FakeWorker) -> None:
    client = argon.current_client()
    task = client.defer(abs, 1)
    wait_for("the outcome", task.done)
    assert task.result() == 1 and worker.waits() == []


def test_many_threads_count_as_one_wait(worker: FakeWorker) -> None:
    client = argon.current_client()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda n: client.queue(abs, n), range(4)))
    wait_for("the end", lambda: worker.waits()[-1:] == [0])
    assert worker.waits().count(1) == worker.waits().count(0)


def test_a_lost_connection_is_made_anew_with_the_same_session(worker: FakeWorker) -> None:
    worker.refusals = [{"code": "busy", "message": "no manager"}] * 2
    client = argon.current_client()
    assert client.queue(abs, 1) == 1
    assert worker.connections == 3


def test_a_refusal_for_good_is_told_in_words(worker: FakeWorker) -> None:
    worker.refusals = [{"code": "session", "message": "the attempt has ended"}]
    with pytest.raises(argon.Unreachable, match="the attempt has ended; the task is over"):
        argon.current_client().queue(abs, 1)


def test_a_forked_child_of_the_task_has_a_session_of_its_own(worker: FakeWorker) -> None:
    client = argon.current_client()
    assert client.queue(abs, 1)
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if argon.current_client().queue(abs, 1) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    sessions = {body for kind, body in worker.frames if kind == wire.OPEN}
    assert len(sessions) == 2 and worker.connections == 2
