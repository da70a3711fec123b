"""`Executor.map`: calls in parallel, results in order, several calls in one task.

What the input raises comes in its turn, behind the results of what it gave before, as from the built-in `map`.
"""

from __future__ import annotations

import concurrent.futures
import itertools
from collections import deque
from collections.abc import Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from .._outcome import handover

if TYPE_CHECKING:
    Future = concurrent.futures.Future[Any]

T = TypeVar("T")


def submitted(
    executor: concurrent.futures.Executor, function: Callable[..., Any], calls: Iterator[tuple[Any, ...]]
) -> Iterator[Future]:
    """The futures of the calls; if the input raises, a last one that raises the same."""
    while True:
        try:
            arguments = next(calls)
        except StopIteration:
            return
        except Exception as problem:
            future: concurrent.futures.Future[Any] = concurrent.futures.Future()
            handover.fail(future, problem)
            yield future
            return
        yield executor.submit(function, *arguments)


def results(futures: Iterator[Future], until: float | None, ahead: int | None) -> Iterator[Any]:
    """The results in order; what is left is cancelled at the first error, and when the loop is left."""
    # Submitted here and now, not when the first result is asked for.
    pending = deque(itertools.islice(futures, ahead))

    def found() -> Iterator[Any]:
        try:
            while pending:
                yield _result_of(pending.popleft(), until)
                pending.extend(itertools.islice(futures, 1))
        finally:
            for future in pending:
                future.cancel()

    return found()


def chunk_runner(function: Callable[..., T]) -> Callable[[list[tuple[Any, ...]]], list[T]]:
    """Makes many calls. It is made in a function so that it travels by value: a worker needs no Argon."""

    def run_chunk(chunk: list[tuple[Any, ...]]) -> list[T]:
        return [function(*arguments) for arguments in chunk]

    return run_chunk


def chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    """Chunks of the items. What they raise comes behind the chunk that it cuts short."""
    while True:
        chunk: list[Any] = []
        try:
            for item in itertools.islice(items, size):
                chunk.append(item)
        except Exception:
            if chunk:
                yield chunk
            raise
        if not chunk:
            return
        yield chunk


def _result_of(future: concurrent.futures.Future[Any], until: float | None) -> Any:
    """The result, to which nothing here refers any more; a future that has none in time is cancelled."""
    try:
        return future.result(None if until is None else until - monotonic())
    finally:
        future.cancel()
        del future
