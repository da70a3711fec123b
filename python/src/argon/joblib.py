"""The joblib backend "argon": import this module, and joblib, and scikit-learn through it, can use the pool.

    import joblib
    import argon.joblib

    with joblib.parallel_config(backend="argon", address="mgrhost:8000", n_jobs=-1):
        joblib.Parallel()(joblib.delayed(pow)(number, 2) for number in range(100))

Further options are those of `argon.Client`. Without an address it is what ARGON_MANAGER names, else 127.0.0.1:8000.
"""

from __future__ import annotations

from typing import Any, Callable

import joblib
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase

from ._address import Addresses
from .client import Client
from .deferred import Deferred

__all__ = ["ArgonBackend"]


class ArgonBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """What joblib calls. `n_jobs` counts the pool's slots; -1 is all of them."""

    supports_retrieve_callback = True
    supports_return_generator = True
    supports_inner_max_num_threads = False
    uses_threads = False
    supports_sharedmem = False
    default_n_jobs = -1

    def __init__(
        self,
        address: Addresses = None,
        *,
        nesting_level: int | None = None,
        client: Client | None = None,
        **options: Any,
    ):
        super().__init__(nesting_level=nesting_level)
        self._given = client
        self._make: Callable[[], Client] = lambda: Client(address, **options)
        self._client: Client | None = None
        self._under_way: set[Deferred[Any]] = set()
        self.parallel: Any = None

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Called by joblib at the start of a `Parallel` call."""
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many calls run at once."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        slots = max(1, int(self._connected().status().get("total_capacity") or 0))
        if n_jobs is None:
            return slots
        return max(1, slots + 1 + n_jobs) if n_jobs < 0 else n_jobs

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Deferred[Any]:
        """Sends a batch of calls off."""
        client = self._connected()
        # joblib's own object would need joblib there: what it holds is sent instead.
        task = client._calls.task(client, client._calls.of(_run_batch()), (list(func.items),), {})
        self._under_way.add(task)

        def ended(one: Deferred[Any]) -> None:
            self._under_way.discard(one)
            callback(one)

        client._session.offer(task, callback=ended)
        return task

    def apply_async(self, func: Any, callback: Callable[[Any], None] | None = None) -> Deferred[Any]:
        """The name of `submit` in joblib before 1.5."""
        return self.submit(func, callback or (lambda _: None))

    def retrieve_result_callback(self, out: Deferred[Any]) -> Any:
        """The results of a batch, or raises its error."""
        return out.result()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Called after an error or an interrupt: cancels what is under way."""
        for task in list(self._under_way):
            task.cancel()
        self._under_way.clear()

    def terminate(self) -> None:
        """Called at the end of a `Parallel` call: says goodbye, unless the client is the caller's."""
        client, self._client = self._client, None
        if client is not None and client is not self._given:
            client.shutdown()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """Calls of joblib inside of tasks run there, one after another."""
        return joblib.parallel.SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def _connected(self) -> Client:
        if self._client is None:
            self._client = self._given or self._make()
        return self._client


def _run_batch() -> Callable[[list[Any]], list[Any]]:
    """Made in a function so that it travels by value: a worker needs neither Argon nor joblib."""

    def run_batch(calls: list[Any]) -> list[Any]:
        return [function(*args, **kwargs) for function, args, kwargs in calls]

    return run_batch


joblib.register_parallel_backend("argon", ArgonBackend)
