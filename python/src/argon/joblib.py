"""The joblib backend "argon": import this module, and joblib, and scikit-learn through it, can use the pool.

    import joblib
    import argon.joblib

    with joblib.parallel_config(backend="argon", address="mgrhost:8000", n_jobs=-1):
        joblib.Parallel()(joblib.delayed(pow)(number, 2) for number in range(100))

Further options are those of `argon.Client`. Without an address it is what ARGON_MANAGER names, else 127.0.0.1:8000.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from typing import Any, Callable

import joblib
from joblib.parallel import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend

from ._outcome import handover
from ._wire.address import Addresses
from ._wire.worker_socket import of_environment
from .client import Client, current_client
from .deferred import Deferred

__all__ = ["ArgonBackend"]


class ArgonBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """The backend that joblib calls. `n_jobs` counts slots of the pool; -1 is all of them."""

    supports_retrieve_callback = True
    supports_return_generator = True
    supports_timeout = True
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
        # Batches whose outcome joblib still wants, with the callback of each.
        self._under_way: dict[Deferred[Any], Any] = {}
        # Held while joblib is called back.
        self._telling = threading.RLock()
        self._parallels: weakref.WeakSet[Any] = weakref.WeakSet()
        self.parallel: Any = None
        if nesting_level:
            # In a task, only what asks for several jobs gets them.
            self.default_n_jobs = 1

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_: Any) -> int:
        """Called by joblib at the start of a `Parallel` call, or of a `with` block around several."""
        self.parallel = parallel
        if self.nesting_level and n_jobs == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if parallel is not None:
            self._parallels.add(parallel)
        return self.effective_n_jobs(n_jobs)

    def start_call(self) -> None:
        """Called before the first batch of a call: what an aborted call before it left is none of this one's.

        joblib keeps batches that it had made ready, and a batch that ended late passes for one of the next call.
        """
        for parallel in list(self._parallels):
            # joblib does not pass which of them calls: it is the one that has begun and has not come past this.
            if getattr(parallel, "_running", False) and not getattr(parallel, "_calling", False):
                self._start_afresh(parallel)

    def _start_afresh(self, parallel: Any) -> None:
        with self._telling, parallel._lock:
            with contextlib.suppress(queue.Empty):
                while True:
                    parallel._ready_batches.get(block=False)
            parallel._jobs.clear()
            parallel.n_dispatched_batches = parallel.n_dispatched_tasks = parallel.n_completed_tasks = 0
            parallel._exception = parallel._aborting = parallel._aborted = False

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Number of calls that run at once."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        slots = max(1, int(self._connected().status().get("slots_total") or 0))
        if n_jobs is None:
            return slots
        return max(1, slots + 1 + n_jobs) if n_jobs < 0 else n_jobs

    def submit(self, func: Any, callback: Callable[[Any], None]) -> Deferred[Any]:
        """Sends a batch of calls off."""
        client = self._connected()
        session = client._session.here()
        # joblib's own object would need joblib there: what it holds is sent instead.
        batch = (list(func.items), self.nesting_level or 0)
        task = client._calls.task(client, session, client._calls.of(_run_batch()), batch, {})
        self._under_way[task] = callback
        # joblib waits for it by looking again and again.
        session.lending.begin()
        # In its callback, joblib takes the next calls from the caller's iterator, which may block.
        session.offer(task, callback=lambda one: session.callbacks.call(self._tell, (callback, one), "joblib"))
        return task

    def _tell(self, what: tuple[Callable[[Any], None], Deferred[Any]]) -> None:
        callback, task = what
        with self._telling:
            if task not in self._under_way:
                # Its call was aborted. joblib may be about to begin the next, and would take it for one of that.
                return
            self._forget(task)
            try:
                callback(task)
            except BaseException as problem:
                # joblib would wait for ever for what its own callback has lost.
                self._fail(callback, problem)
                raise

    def _fail(self, callback: Any, problem: BaseException) -> None:
        register = getattr(callback, "_register_outcome", None)
        if register is not None:
            register({"status": joblib.parallel.TASK_ERROR, "result": problem})
            callback.parallel._exception = callback.parallel._aborting = True

    def apply_async(self, func: Any, callback: Callable[[Any], None] | None = None) -> Deferred[Any]:
        """The name of `submit` in joblib before 1.5."""
        return self.submit(func, callback or (lambda _: None))

    def retrieve_result_callback(self, out: Deferred[Any]) -> Any:
        """The results of a batch, or raises its error."""
        value, error = handover.outcome(out)
        if error is not None:
            raise handover.as_plain(handover.as_error(error))
        return value

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Called after an error or an interrupt: cancels what is under way."""
        for task, callback in list(self._under_way.items()):
            # Calls of another `Parallel` on this backend go on.
            if getattr(getattr(callback, "parallel", None), "_aborting", True):
                self._forget(task)
                task.cancel()

    def _forget(self, task: Deferred[Any]) -> None:
        if self._under_way.pop(task, None) is not None:
            task._session.lending.end()

    def terminate(self) -> None:
        """Ends a `Parallel` call: closes the client, unless it is the caller's or another call's."""
        if self._under_way:
            return
        client, self._client = self._client, None
        if client is not None and client is not self._given:
            client.shutdown()

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """The backend for calls within a call that joblib runs here itself."""
        return SequentialBackend(nesting_level=(self.nesting_level or 0) + 1), None

    def _connected(self) -> Client:
        if self._client is None:
            self._client = self._given or self._make()
        return self._client


def nested(level: int) -> Any:
    """In a task of this backend: the configuration by which joblib's calls in it are tasks of the task, too."""
    if of_environment() is None:
        # This worker offers its tasks no client.
        backend: ParallelBackendBase = SequentialBackend(nesting_level=level + 1)
    else:
        backend = ArgonBackend(nesting_level=level + 1, client=current_client())
    return joblib.parallel_config(backend=backend)


def _run_batch() -> Callable[[list[Any], int], list[Any]]:
    """Made in a function so that it travels by value: a worker needs neither Argon nor joblib."""

    def run_batch(calls: list[Any], level: int) -> list[Any]:
        import contextlib
        import importlib.util
        import sys

        def enter() -> None:
            configured.enter_context(importlib.import_module("argon.joblib").nested(level))

        class WhenLoaded:
            """Finds joblib as others do, and configures it once it is loaded."""

            def __init__(self, loader: Any = None) -> None:
                self.loader = loader

            def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
                if name == "joblib" and self in sys.meta_path:
                    self.remove()
                    found: Any = importlib.util.find_spec(name)
                    if found is not None:
                        found.loader = WhenLoaded(found.loader)
                    return found
                return None

            def remove(self) -> None:
                if self in sys.meta_path:
                    sys.meta_path.remove(self)

            def create_module(self, spec: Any) -> Any:
                return self.loader.create_module(spec)

            def exec_module(self, module: Any) -> None:
                module.__loader__ = module.__spec__.loader = self.loader
                self.loader.exec_module(module)
                enter()

        with contextlib.ExitStack() as configured:
            if "joblib" in sys.modules:
                enter()
            else:
                waiting = WhenLoaded()
                sys.meta_path.insert(0, waiting)
                configured.callback(waiting.remove)
            return [function(*args, **kwargs) for function, args, kwargs in calls]

    return run_batch


joblib.register_parallel_backend("argon", ArgonBackend)
