"""Tasks that call the pool: they lend their slots while they wait, and end with those that they made."""

from __future__ import annotations

import concurrent.futures
import logging
import subprocess
import sys
import textwrap
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

import argon
from cluster import Cluster, wait_for


def fib(n: int) -> int:
    if n < 2:
        return n
    client = argon.current_client()
    one = client.defer(fib, n - 1)
    return client.queue(fib, n - 2) + one.result()


def sort(items: list[int]) -> list[int]:
    if len(items) < 50:
        return sorted(items)
    middle = items[len(items) // 2]
    parts = [one for one in items if one < middle], [one for one in items if one > middle]
    below, above = argon.current_client().map(sort, parts)
    return below + [one for one in items if one == middle] + above


def test_fib_by_tasks_ends_on_two_slots(cluster: Cluster) -> None:
    assert cluster.client().queue(fib, 6) == 8


def test_a_parallel_quicksort_ends_on_two_slots(cluster: Cluster) -> None:
    items = [(number * 7919) % 1009 for number in range(400)]
    assert cluster.client().queue(sort, items) == sorted(items)


def test_each_way_to_wait_lends_the_slot(own_cluster: Cluster) -> None:
    own_cluster.add_worker(1)

    def by_executor() -> Any:
        with argon.Executor() as executor:
            done, _ = concurrent.futures.wait([executor.submit(pow, 2, n) for n in range(3)])
            return sorted(one.result() for one in done)

    def by_asyncio() -> Any:
        import asyncio

        import argon.aio

        async def main() -> Any:
            client = argon.aio.Client()
            return await asyncio.gather(*(client.queue(pow, 2, n) for n in range(3)))

        return asyncio.run(main())

    def by_map() -> Any:
        return list(argon.Client().map(lambda n: 2**n, range(3)))

    def by_closure() -> Any:
        base = 2
        return [argon.current_client().defer(lambda n: base**n, n).result() for n in range(3)]

    client = own_cluster.client()
    for function in (by_executor, by_asyncio, by_map, by_closure):
        assert client.queue(function) == [1, 2, 4]


def test_the_tasks_of_a_task_end_with_it(cluster: Cluster) -> None:
    def leave() -> str:
        return argon.current_client().defer(time.sleep, 300).id

    with cluster.client() as client:
        left = client.queue(leave)
        assert len(left) == 48

        def is_over() -> bool:
            return not cluster.status()["tasks_running"]

        wait_for("the task of the task to be cancelled", is_over)


def test_modules_of_the_client_reach_the_tasks_of_tasks(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elders.py").write_text(
        "import argon\nfrom children import double\n"
        "def both(n):\n    return argon.current_client().queue(double, n) + double(n)\n"
    )
    (tmp_path / "children.py").write_text("def double(n):\n    return 2 * n\n")
    monkeypatch.syspath_prepend(tmp_path)
    import elders  # type: ignore[import-not-found]

    assert cluster.client().queue(elders.both, 5) == 20


def test_an_error_of_a_task_of_a_task_is_raised_in_it(cluster: Cluster) -> None:
    def fail() -> None:
        def deeper() -> None:
            raise LookupError("deep")

        argon.current_client().queue(deeper)

    with pytest.raises(LookupError, match="deep"):
        cluster.client().queue(fail)


def test_a_program_that_a_task_starts_reaches_the_pool(cluster: Cluster) -> None:
    def start(source: str) -> str:
        program = "import argon; print(argon.Client().queue(pow, 2, 5))"
        import os

        env = {**os.environ, "PYTHONPATH": source}
        return subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
        ).stdout

    assert cluster.client().queue(start, str(Path(argon.__file__).parents[1])) == "32\n"


def test_nested_joblib_runs_in_the_pool(own_cluster: Cluster) -> None:
    own_cluster.add_worker(2)
    program = textwrap.dedent(
        f"""
        import os, joblib, argon.joblib

        def inner(n):
            return os.getppid(), n * n

        def outer(n):
            from joblib import Parallel, delayed

            return Parallel(n_jobs=2)(delayed(inner)(one) for one in range(n))

        with joblib.parallel_config(backend="argon", address={own_cluster.address!r}, n_jobs=2):
            found = joblib.Parallel()(joblib.delayed(outer)(n) for n in (2, 3, 4))
        parents = {{parent for one in found for parent, _ in one}}
        print([[square for _, square in one] for one in found], len(parents), parents == {{{own_cluster.workers[0].pid}}})
        """
    )
    done = own_cluster.run_python(["-c", program])
    assert done.finish(60) == 0, done.stderr
    assert done.stdout == "[[0, 1], [0, 1, 4], [0, 1, 4, 9]] 1 True\n"


def test_records_and_settings_travel(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    def log() -> None:
        logging.getLogger("mine.part").info("told %d", 7)
        logging.getLogger("mine.part").debug("not told")
        warnings.warn("an error here", FutureWarning, stacklevel=1)

    def deeper() -> None:
        argon.current_client().queue(log)

    caplog.set_level(logging.INFO, "mine.part")
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        for function in (log, deeper):
            caplog.clear()
            with pytest.raises(FutureWarning, match="an error here"):
                cluster.client().queue(function)
            (record,) = [one for one in caplog.records if one.name == "mine.part"]
            assert (record.getMessage(), record.levelno, record.funcName) == ("told 7", logging.INFO, "log")
            assert record.pathname == __file__ and record.lineno == log.__code__.co_firstlineno + 1
