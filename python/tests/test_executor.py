"""`argon.Executor` does what `concurrent.futures` documents."""

from __future__ import annotations

import asyncio
import concurrent.futures
import pickle
import threading
import time
from typing import Any

import pytest

import argon
from cluster import Cluster, wait_for


@pytest.fixture
def executor(cluster: Cluster) -> Any:
    with cluster.executor() as made:
        yield made


# kind: a drop-in replacement | `concurrent.futures.wait`, `as_completed` and `map` | right | futures are those of
#    the standard library
def test_it_is_an_executor_and_gives_futures(executor: Any) -> None:
    assert isinstance(executor, concurrent.futures.Executor)
    future = executor.submit(pow, 2, exp=5)
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(timeout=30) == 32
    assert future.done() and not future.cancelled() and future.exception() is None
    assert future.report["attempt"] == 1


def test_errors_come_from_result_and_exception(executor: Any) -> None:
    future = executor.submit(lambda: 1 // 0)
    assert isinstance(future.exception(timeout=30), ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        future.result()
    died = executor.submit(__import__("os")._exit, 5)
    with pytest.raises(argon.Died):
        died.result(timeout=30)
    assert executor.submit(abs, -1).result(timeout=30) == 1


def test_what_cannot_travel_is_told_by_the_future(executor: Any) -> None:
    for call in ((id, threading.Lock()), (threading.Lock().acquire,)):
        future = executor.submit(*call)
        assert isinstance(future.exception(), argon.CannotTravel)
        assert isinstance(future.exception(), pickle.PicklingError)


def test_wait_and_as_completed_work(executor: Any) -> None:
    futures = [executor.submit(time.sleep, 0.01 * number) for number in range(5)]
    assert set(concurrent.futures.as_completed(futures, timeout=30)) == set(futures)
    slow = executor.submit(time.sleep, 30)
    quick = executor.submit(abs, 1)
    done, rest = concurrent.futures.wait([slow, quick], timeout=30, return_when="FIRST_COMPLETED")
    assert (done, rest) == ({quick}, {slow})
    assert slow.kill()
    with pytest.raises(argon.Cancelled):
        slow.result(timeout=30)


def test_callbacks_are_called_once_with_the_future(executor: Any) -> None:
    called: list[Any] = []
    future = executor.submit(abs, -1)
    future.add_done_callback(called.append)
    wait_for("the callback", lambda: called == [future])
    future.add_done_callback(called.append)
    assert called == [future, future]


def test_a_result_may_time_out(executor: Any) -> None:
    future = executor.submit(time.sleep, 0.5)
    with pytest.raises(concurrent.futures.TimeoutError):
        future.result(timeout=0.05)
    assert future.result(timeout=30) is None


def test_what_waits_can_be_cancelled_and_what_runs_cannot(cluster: Cluster) -> None:
    with cluster.executor(max_workers=1) as executor:
        running = executor.submit(time.sleep, 0.3)
        waiting = executor.submit(abs, 1)
        assert running.running() and not waiting.running()
        assert waiting.cancel() and waiting.cancelled()
        assert not running.cancel()
        assert concurrent.futures.wait([waiting, running], timeout=30).not_done == set()
        with pytest.raises(concurrent.futures.CancelledError):
            waiting.result()
        assert running.result() is None


def test_what_runs_is_cancelled_when_asked(cluster: Cluster, tmp_path: Any) -> None:
    begun = tmp_path / "begun"

    def linger() -> None:
        open(str(begun), "w").close()
        time.sleep(60)

    with cluster.executor(cancel_running=True) as executor:
        future = executor.submit(linger)
        wait_for("the task to run", begun.exists)
        assert future.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(timeout=30)


def test_map_has_chunks_a_timeout_and_a_buffer(executor: Any) -> None:
    expected = [pow(number, 2) for number in range(100)]
    for options in ({}, {"chunksize": 7}, {"buffersize": 3}, {"chunksize": 9, "buffersize": 2}):
        assert list(executor.map(pow, range(100), [2] * 100, **options)) == expected
    with pytest.raises(concurrent.futures.TimeoutError):
        list(executor.map(time.sleep, [0, 0, 2], timeout=0.3))
    with pytest.raises(ValueError, match="chunksize"):
        executor.map(abs, [1], chunksize=0)
    with pytest.raises(ZeroDivisionError):
        list(executor.map(lambda number: 1 // number, [1, 0, 1]))


def test_thousands_of_futures_end(executor: Any) -> None:
    futures = [executor.submit(abs, -number) for number in range(3000)]
    assert [future.result(timeout=60) for future in futures] == list(range(3000))


def test_shutdown_waits_and_takes_no_more(cluster: Cluster) -> None:
    executor = cluster.executor()
    futures = [executor.submit(time.sleep, 0.1) for _ in range(6)]
    executor.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)
    executor.shutdown(wait=True)
    assert all(future.done() and future.exception() is None for future in futures)


def test_shutdown_may_cancel_what_waits(cluster: Cluster) -> None:
    executor = cluster.executor(max_workers=2)
    futures = [executor.submit(time.sleep, 0.2) for _ in range(20)]
    executor.shutdown(cancel_futures=True)
    assert all(future.done() for future in futures)
    assert sum(future.cancelled() for future in futures) >= 16
    assert all(future.result() is None for future in futures if not future.cancelled())


def test_what_was_submitted_is_finished_before_the_program_ends(cluster: Cluster) -> None:
    program = cluster.python(
        f"""
import time
executor = argon.Executor({cluster.address!r}, key={str(cluster.key)!r})
executor.submit(time.sleep, 0.3).add_done_callback(lambda future: print("finished", flush=True))
"""
    )
    assert program.finish(30) == 0, program.stderr
    assert program.stdout == "finished\n"


def test_an_event_loop_runs_calls_in_it(executor: Any) -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        return list(await asyncio.gather(*(loop.run_in_executor(executor, abs, -number) for number in range(20))))

    assert asyncio.run(main()) == list(range(20))


def test_submitting_from_a_callback_and_from_threads_works(executor: Any) -> None:
    chain: list[int] = []
    done = threading.Event()

    def again(future: Any) -> None:
        chain.append(future.result())
        if len(chain) < 5:
            executor.submit(abs, len(chain)).add_done_callback(again)
        else:
            done.set()

    executor.submit(abs, 0).add_done_callback(again)
    assert done.wait(30)
    assert chain == [0, 1, 2, 3, 4]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="max_workers"):
        argon.Executor(max_workers=0)
