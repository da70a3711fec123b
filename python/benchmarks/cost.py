"""What a call costs from Python to Python, beside `concurrent.futures.ProcessPoolExecutor` in the same run.

usage: python benchmarks/cost.py [--argon FILE] [--tasks N] [--trips N] [--manager HOST:PORT --key FILE] [--json]

Without --manager it starts a manager and a worker of two slots of its own. It prints one row for each measurement:
what, a figure and its unit.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Callable

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python" / "src"))

import argon  # noqa: E402

SLOTS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--argon", default=str(ROOT / "target" / "release" / "argon"))
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--trips", type=int, default=2_000)
    parser.add_argument("--manager")
    parser.add_argument("--key")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        address, key = given.manager, given.key
        if not address:
            address, key = stack.enter_context(cluster(given.argon))
        client = stack.enter_context(argon.Client(address, key=key))
        rows = list(measure(client, address, key, given.tasks, given.trips))
    if given.json:
        print(json.dumps([{"what": what, "value": value, "unit": unit} for what, value, unit in rows]))
        return
    for what, value, unit in rows:
        print(f"{what:<58} {value:>12,.3f} {unit}")


def measure(client: argon.Client, address: str, key: str, tasks: int, trips: int) -> Iterator[tuple[str, float, str]]:
    client.map(abs, range(1000))
    for number in range(200):
        client.queue(abs, number)

    times = sorted(timed(lambda: client.queue(abs, 1)) for _ in range(trips))
    yield "Python, round trip of an empty task, median", 1000 * statistics.median(times), "ms"
    yield "Python, round trip of an empty task, 99 %", 1000 * times[int(0.99 * trips)], "ms"
    seconds = timed(lambda: [deferred.result() for deferred in [client.defer(abs, n) for n in range(tasks)]])
    yield "Python, empty tasks deferred and awaited", tasks / seconds, "a second"
    seconds = timed(lambda: sum(client.map(abs, range(tasks))))
    yield "Python, empty tasks by map", tasks / seconds, "a second"
    with argon.Executor(address, key=key) as executor:
        executor.submit(abs, 1).result()
        yield "Python, empty tasks by argon.Executor.submit", tasks / futures(executor, tasks), "a second"
    data = os.urandom(1 << 20)
    seconds = timed(lambda: [client.queue(len, data) for _ in range(100)])
    yield "Python, 1 MiB as an argument", 100 / seconds, "MiB a second"
    big = os.urandom(64 << 20)
    yield "Python, 64 MiB as an argument", 64 / timed(lambda: client.queue(len, big)), "MiB a second"

    with concurrent.futures.ProcessPoolExecutor(SLOTS) as pool:
        pool.submit(abs, 1).result()
        times = sorted(timed(lambda: pool.submit(abs, 1).result()) for _ in range(trips))
        yield "ProcessPoolExecutor, round trip, median", 1000 * statistics.median(times), "ms"
        some = max(1000, tasks // 4)
        yield "ProcessPoolExecutor, empty tasks submitted", some / futures(pool, some), "a second"


def futures(executor: concurrent.futures.Executor, tasks: int) -> float:
    return timed(lambda: [future.result() for future in [executor.submit(abs, n) for n in range(tasks)]])


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


@contextmanager
def cluster(program: str) -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        key = os.path.join(folder, "key")
        manager, address = started([program, "manager", "--port", "0", "--key", key], "addr")
        worker, _ = started(
            [program, "worker", "--port", "0", "--manager", address, "--workers", str(SLOTS), "--key", key], "pid"
        )
        try:
            yield address, key
        finally:
            for process in (worker, manager):
                process.kill()
                process.wait()


def started(command: list[str], fact: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    return process, dict(pair.split("=", 1) for pair in line.split()[1:])[fact]


if __name__ == "__main__":
    main()
