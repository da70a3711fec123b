"""A task that calls a function for several items of a map: what a worker runs, and what its value says of each item.

Any other end than a value says nothing about an item: the map then makes a task of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from .._wire import protocol as wire
from ..deferred import Deferred

if TYPE_CHECKING:
    from ..client import Client


class Outcomes(NamedTuple):
    """What a chunk says of the items that were called, which are the first of it."""

    #: For each a value, or a task that has ended.
    values: list[Any]
    #: True if the last of them raised.
    has_failed: bool


def runner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Calls a function many times. It is made in a function so that it travels by value: a worker needs no Argon.

    What it returns is a list with an element for each item that was called: a plain value; the bundle of another one, in a
    tuple; and last, if the function raised, the payload of that error, in a list.
    """

    def run_chunk(limit: float, has_shared: bool, items: list[tuple[Any, ...]]) -> list[Any] | None:
        import os
        import sys
        from importlib import import_module
        from time import perf_counter

        payloads = import_module("_argon._code.payloads")
        plain = {int, float, str, bool, bytes, type(None)}

        def state(variables: Any, handler: Any) -> Any:
            # Of what a runner restores after a task, what tasks change.
            handlers = list(map(handler, (1, 2, 10, 12, 13, 14, 15, 17)))
            return variables.copy(), os.getcwd(), sys.stdout, sys.stderr, os.environ, sys.path.copy(), handlers

        data: Any = os.environ._data  # type: ignore[attr-defined]
        handler: Any = import_module("_signal").getsignal
        before, process, begun, outcomes = state(data, handler), os.getpid(), perf_counter(), []
        for item in items:
            try:
                value = function(*item)
                if os.getpid() != process:
                    return None
                if type(value) in plain:
                    outcomes.append(value)
                else:
                    parts = payloads.plain(value)
                    if parts is None:
                        parts = import_module("_argon._runner.results").returned(value)
                    outcomes.append((b"".join(parts),))
            except (SystemExit, MemoryError):
                raise
            except BaseException as error:
                if os.getpid() != process:
                    raise
                if error.__traceback__ is not None:
                    # Not by an assignment: a function that changes objects is read anew for each task.
                    error.with_traceback(error.__traceback__.tb_next)
                failures = import_module("_argon._runner.failures")
                try:
                    payload = failures.payload(error, False, has_shared)
                except BaseException as trouble:
                    payload = failures.payload_of_last_resort(error, trouble, False)
                outcomes.append([b"".join(payload)])
                break
            if state(data, handler) != before or (limit and perf_counter() - begun > limit):
                break
        return outcomes

    return run_chunk


def outcomes(task: Deferred[Any], client: Client) -> Outcomes | None:
    """What a chunk that has ended says of its items; None if nothing."""
    try:
        given = task.result()
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None
    if type(given) is not list:
        return None
    values = [_ended(task, client, value) if type(value) in (tuple, list) else value for value in given]
    return Outcomes(values, bool(given) and type(given[-1]) is list)


def _ended(chunk: Deferred[Any], client: Client, given: Any) -> Deferred[Any]:
    """The task of one item as if it had been one."""
    task: Deferred[Any] = Deferred(client, chunk._session, chunk._id, b"", 0, chunk._options)
    task._status = wire.OK if type(given) is tuple else wire.ERROR
    task._codec = wire.CODEC_RUNTIME
    task._payload = given[0]
    task._attempt = chunk._attempt
    task._done = True
    return task
