"""The systems for Python behind one small interface: `call`, `submit` with `result` and `cancel`, `map`, `nested`.

Each is used as its documentation says, with two slots on this machine and without options that change what it does.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

SLOTS = 2
ROOT = Path(__file__).resolve().parents[3]


class ProcessPool:
    """`concurrent.futures.ProcessPoolExecutor`."""

    def __init__(self) -> None:
        import concurrent.futures

        self.pool: Any = concurrent.futures.ProcessPoolExecutor(SLOTS)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.pool.submit(function, *args)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.submit(function, *args).result()

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        return iter(self.pool.map(function, items))

    def cancel(self, future: Any) -> None:
        future.cancel()

    def nested(self) -> Callable[[int], int]:
        """A function that calls the pool again and waits; there is no way to name this pool in its workers."""
        raise NotImplementedError("a task cannot use the pool that runs it")


class Loky(ProcessPool):
    """loky's reusable executor, which joblib uses."""

    def __init__(self) -> None:
        import loky

        self.pool = loky.get_reusable_executor(SLOTS)


class Joblib(ProcessPool):
    """`joblib.Parallel` with its default backend."""

    def __init__(self) -> None:
        import joblib

        self.joblib = joblib

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        raise NotImplementedError("joblib has no single calls")

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.joblib.Parallel(n_jobs=SLOTS)([self.joblib.delayed(function)(*args), self.joblib.delayed(abs)(1)])[
            0
        ]

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        parallel = self.joblib.Parallel(n_jobs=SLOTS, return_as="generator")
        return iter(parallel(self.joblib.delayed(function)(item) for item in items))

    def nested(self) -> Callable[[int], int]:
        def task(number: int) -> int:
            import joblib

            return int(joblib.Parallel(n_jobs=2)(joblib.delayed(pow)(number, 2) for _ in range(2))[0])

        return task


class Dask(ProcessPool):
    """Dask distributed: a local cluster of two processes with a thread each."""

    def __init__(self) -> None:
        import dask.distributed

        # The local folder of workers belongs to the run.
        cluster = dask.distributed.LocalCluster(
            n_workers=SLOTS,
            threads_per_worker=1,
            dashboard_address=None,
            host="127.0.0.1",
            local_directory=tempfile.mkdtemp(),
        )
        self.pool = dask.distributed.Client(cluster)

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.pool.submit(function, *args, pure=False)

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        return iter(self.pool.gather(self.pool.map(function, list(items), pure=False)))

    def nested(self) -> Callable[[int], int]:
        def task(number: int) -> int:
            from dask.distributed import worker_client

            with worker_client() as client:
                return int(client.submit(pow, number, 2, pure=False).result())

        return task


class Ray(ProcessPool):
    """Ray: one node of two processors."""

    def __init__(self) -> None:
        import logging

        import ray

        ray.init(num_cpus=SLOTS, include_dashboard=False, logging_level=logging.ERROR, _node_ip_address="127.0.0.1")
        self.ray = ray

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        # A function that is not one (a bound method, a built-in) needs one around it.
        import types

        remote = function if isinstance(function, types.FunctionType) else lambda *given: function(*given)
        reference = self.ray.remote(remote).remote(*args)

        class Future:
            def result(_, timeout: float | None = None) -> Any:
                if hasattr(reference, "__next__"):
                    # What a generator function gives in Ray: references, each of which is asked for.
                    return [self.ray.get(one) for one in reference]
                return self.ray.get(reference, timeout=timeout)

            def cancel(_) -> None:
                self.ray.cancel(reference, force=True)

        return Future()

    def map(self, function: Callable[..., Any], items: Iterable[Any]) -> Iterator[Any]:
        remote = self.ray.remote(function)
        return iter(self.ray.get([remote.remote(item) for item in items]))

    def nested(self) -> Callable[[int], int]:
        def task(number: int) -> int:
            import ray

            return int(ray.get(ray.remote(lambda: number**2).remote()))

        return task


class Argon(ProcessPool):
    """Argon: a manager and a worker of two slots."""

    def __init__(self) -> None:
        sys.path[:0] = [str(ROOT / "python" / "src"), str(ROOT / "python" / "tests")]
        import atexit

        from cluster import Cluster

        cluster = Cluster(Path(tempfile.mkdtemp()))
        atexit.register(cluster.stop)
        cluster.start_manager()
        cluster.add_worker(SLOTS)
        self.place = (cluster.address, str(cluster.key))
        self.pool = cluster.client()

    def submit(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.pool.defer(function, *args)

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.pool.queue(function, *args)

    def nested(self) -> Callable[[int], int]:
        address, key = self.place

        def task(number: int) -> int:
            import argon

            with argon.Client(address, key=key) as client:
                return client.queue(pow, number, 2)

        return task


SYSTEMS = {"argon": Argon, "processpool": ProcessPool, "loky": Loky, "joblib": Joblib, "dask": Dask, "ray": Ray}


def start(name: str) -> Any:
    """The system of this name, ready for calls."""
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    return SYSTEMS[name]()
