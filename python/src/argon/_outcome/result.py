"""Turns a finished task into what the caller sees: the value, or the error raised as it was.

Decoding happens here, in the thread that asks for the value, once.
"""

from __future__ import annotations

import threading
from json import dumps as json_dumps
from typing import Any

from .._code import exceptions, payloads
from .._session.task import Task
from .._wire import protocol as wire
from .._wire import text
from .._wire.ticket import Ticket
from ..errors import BY_STATUS, Error, Lost, RemoteTraceback, TaskError
from . import lines

_CAPACITY = "the system is at capacity: the task was not accepted"


def deliver(task: Task) -> Any:
    """The value of a finished task, or raises its error."""
    if task._status == wire.OK and task._error is None:
        return value(task)
    raise error(task) or Error("the task has no outcome")


def value(task: Task) -> Any:
    """The value of a task that is ok. Raises what reading it raises."""
    payload = task._payload
    if payload is not None:
        try:
            task._value = text.read_json(payload) if task._codec == wire.CODEC_JSON else payloads.loads(payload)
        except Exception as problem:
            task._error = problem
            raise
        except BaseException as problem:
            if isinstance(problem, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                # The caller's own: who asks again gets the value.
                raise
            # A class that ends the program when it is read: not here.
            task._error = _unreadable(task, "what the task returned", problem)
            raise task._error from problem
        # Last, so that neither an interrupt nor another thread finds neither of the two.
        task._payload = None
    return task._value


def ticket(task: Task) -> str:
    """The ticket of a detached task that the manager has accepted."""
    if not isinstance(task._value, Ticket):
        raise Lost("the manager ended the task before it accepted it", task._id.hex())
    return str(task._value)


def error(task: Task) -> BaseException | None:
    """The exception of a finished task; None for one that is ok."""
    if task._error is None and task._status != wire.OK:
        task._error = _thrown(task) if task._status == wire.ERROR else _ended(task)
    return task._error


def report(task: Task) -> dict[str, Any]:
    """Report of the cluster on the last attempt."""
    if isinstance(task._report, bytes):
        task._report = text.report(task._report)
    return task._report if isinstance(task._report, dict) else {}


def _ended(task: Task) -> Error:
    facts = report(task)
    name = wire.STATUS_NAMES[task._status] if 0 <= task._status < len(wire.STATUS_NAMES) else "lost"
    message = str(facts.get("message") or f"the task ended as {name}")
    if task._status == wire.REJECTED:
        message = f"{_CAPACITY} ({message})"
    return BY_STATUS.get(name, Lost)(message, task._id.hex(), facts)


def _thrown(task: Task) -> BaseException:
    """The exception of the task itself, with its traceback there as the cause."""
    payload = task._payload
    try:
        told = text.read_json(payload) if task._codec == wire.CODEC_JSON else payloads.loads(payload)
        if not isinstance(told, dict) or "message" not in told:
            return _task_error(task, {"message": told if isinstance(told, str) else json_dumps(told)})
        thrown = _rebuilt(told)
        if thrown is None:
            return _task_error(task, told)
        if told.get("traceback"):
            exceptions.set_cause(thrown, RemoteTraceback(lines.filled(told["traceback"])))
    except KeyboardInterrupt:
        raise
    except BaseException as problem:
        return _unreadable(task, "what the task raised", problem)
    return thrown


def _rebuilt(told: dict[str, Any]) -> BaseException | None:
    """The exception itself, if its class is known here and its text is the same as on the worker."""
    for name in ("exception", "parts"):
        bundle = told.get(name)
        try:
            thrown = payloads.loads(bundle) if isinstance(bundle, bytes) else None
            if name == "parts" and thrown is not None:
                thrown = exceptions.together(thrown)
            if isinstance(thrown, BaseException) and exceptions.is_text(thrown, str(told["message"])):
                return thrown
        except KeyboardInterrupt:
            raise
        except BaseException:
            continue
    return None


def _task_error(task: Task, told: dict[str, Any]) -> TaskError:
    name, message = told.get("class"), str(told["message"]).strip()
    problem = TaskError(f"{name}: {message}" if name else message, task._id.hex(), report(task))
    problem.class_name, problem.traceback = name, lines.filled(told.get("traceback") or "") or None
    if problem.traceback:
        problem.__cause__ = RemoteTraceback(problem.traceback)
    return problem


def _unreadable(task: Task, what: str, problem: BaseException) -> TaskError:
    sentence = f"{what} cannot be read here ({type(problem).__name__}: {exceptions.text(problem)})"
    return TaskError(sentence, task._id.hex(), report(task))
