"""Hands an outcome to the future that stands for it: the one place where a future is ended.

A task may raise anything, and what it returned may raise anything while it is read. `end` therefore has one duty before
all others: when it returns, the future is done. The executor, `argon.aio`, `await deferred` and joblib end their
futures here and nowhere else. It runs on the session's own thread or in an event loop, where no caller would see an
exception.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Callable, Union

from .._code import exceptions
from .._session.task import Task
from ..errors import TaskError
from . import result

if TYPE_CHECKING:
    import asyncio
    import concurrent.futures

    Future = Union[concurrent.futures.Future[Any], asyncio.Future[Any]]

#: Exceptions with a meaning of their own to the caller of a generator or a coroutine. A task's would end a loop in
#: silence, or pass for the cancellation of the caller.
_CONTROL = (StopIteration, StopAsyncIteration, GeneratorExit)


def outcome(task: Task) -> tuple[Any, BaseException | None]:
    """The value of a finished task, or its error. Never raises."""
    try:
        error = result.error(task)
        if error is None:
            return result.value(task), None
    except BaseException as problem:
        return None, problem
    return None, error


def end(future: Future, task: Task, value_of: Callable[[Task], Any] | None = None) -> None:
    """Ends the future of a finished task; with `value_of`, that is its value instead of the task's own. Never raises."""
    value, error = outcome(task)
    try:
        if error is not None:
            future.set_exception(as_error(error))
        else:
            future.set_result(value if value_of is None else value_of(task))
    except BaseException as problem:
        # A callback of the user raised, or the future was ended by someone else, or it refuses this exception.
        _end_all_the_same(future, task, problem)


def end_after_fork(future: Future, task: Task, value_of: Callable[[Task], Any] | None = None) -> None:
    """In a forked child, ends the future of a task of the parent. Never raises."""
    if not future.done():
        task._session.end_if_of_parent(task)
        end(future, task, value_of)


def fail(future: Future, error: BaseException) -> None:
    """Ends the future of a task that has no outcome and will get none. Never raises."""
    try:
        if not future.done():
            future.set_exception(as_error(error))
    except BaseException as problem:
        _end_all_the_same(future, None, problem)


def as_error(error: BaseException) -> BaseException:
    """The exception itself, or a RuntimeError from it where it would steer a loop or a coroutine, as in a generator."""
    if not isinstance(error, _CONTROL) and not _is_cancellation(error):
        return error
    raised = RuntimeError(f"the task raised {type(error).__name__}")
    raised.__cause__ = error
    return raised


def as_plain(error: BaseException) -> BaseException:
    """The exception itself, or a TaskError from it if it does not let its traceback be changed, which joblib does."""
    try:
        error.__traceback__ = None
    except BaseException as problem:
        text = f"{type(error).__name__}: {exceptions.text(error)} (its class forbids changes: {type(problem).__name__})"
        plain = TaskError(text)
        plain.class_name = f"{type(error).__module__}.{type(error).__qualname__}"
        plain.__cause__ = error
        return plain
    return error


def call_back(callback: Callable[[Any], Any], argument: Any, what: str) -> None:
    """Calls what the user gave; what it raises is logged, as the standard library does it. Never raises."""
    try:
        callback(argument)
    except BaseException:
        # Not even SystemExit may end the thread that all tasks depend on.
        logging.getLogger("argon").exception("a callback of %s raised", what)


def _is_cancellation(error: BaseException) -> bool:
    """True for asyncio's own CancelledError, without importing asyncio, which takes long."""
    return any(
        kind.__name__ == "CancelledError" and kind.__module__ == "asyncio.exceptions" for kind in type(error).__mro__
    )


def _end_all_the_same(future: Future, task: Task | None, problem: BaseException) -> None:
    for error in (problem, RuntimeError(f"the outcome could not be handed over: {type(problem).__name__}")):
        try:
            if future.done():
                return
            future.set_exception(as_error(error) if error is problem else error)
            return
        except BaseException:
            continue
