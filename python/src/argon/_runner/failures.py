"""Encodes the exception of a task for the client. Loaded when the first task fails."""

from __future__ import annotations

import json
import os
import traceback

from .._code import payloads, exceptions
from . import results

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

#: Of each half of a traceback.
TEXT_CHARACTERS_MAX = 100_000
_READ_ONLY = "an array that client.share made is read-only, since other tasks use the same memory: change a copy of it"


def payload(error: BaseException, is_json: bool, has_shared: bool = False) -> list[payloads.Buffer]:
    """The payload of an ``error``."""
    _name_folder(error)
    note = _READ_ONLY if has_shared and _is_read_only(error) else ""
    about: dict[str, Any] = {
        "class": _name(type(error)),
        "message": exceptions.text(error),
        "traceback": _traceback(error) + (f"{note}\n" if note else ""),
    }
    if is_json:
        return [json.dumps(about).encode()]
    about.update(_pickled(error))
    return payloads.dumps(about)[0]


def _name_folder(error: BaseException) -> None:
    """Adds to an error about a file with a relative path where it was looked for."""
    if type(error) is not FileNotFoundError or len(error.args) != 2:
        return
    name, worker = error.filename, os.environ.get("ARGON_WORKER")
    if type(name) is not str or name.startswith("/") or not worker:
        return
    try:
        where = f"{error.strerror} in the folder {os.getcwd()} of worker {worker}"
    except OSError:
        return
    error.args, error.strerror = (error.errno, where), where


def payload_of_last_resort(error: BaseException, trouble: BaseException, is_json: bool) -> list[payloads.Buffer]:
    """The same when even that failed: what a class can do to its own exceptions is endless."""
    about = {
        "class": type.__dict__["__qualname__"].__get__(type(error)),
        "message": f"(its text cannot be read: {type.__dict__['__qualname__'].__get__(type(trouble))})",
        "traceback": "",
    }
    return [json.dumps(about).encode()] if is_json else payloads.dumps(about)[0]


def _is_read_only(error: BaseException) -> bool:
    words = exceptions.text(error).lower()
    return isinstance(error, (ValueError, TypeError, BufferError)) and ("read-only" in words or "readonly" in words)


def _pickled(error: BaseException) -> dict[str, bytes]:
    """The bundle of an exception, or of its parts, whichever gives the same when it is read; or neither."""
    for name, value, again in (("exception", error, _as_it_is), ("parts", None, exceptions.together)):
        try:
            bundle = b"".join(_dumps(exceptions.parts(error) if value is None else value))
            if type(error).__module__ == "builtins" and name == "exception" and not _has_members(error):
                return {name: bundle}
            # Many a class forgets that it is made again from its args.
            if exceptions.is_same(error, again(payloads.loads(bundle))):
                return {name: bundle}
        except BaseException:  # A class may raise what it likes from here.
            continue
    return {}


def _as_it_is(value: Any) -> Any:
    return value


def _has_members(error: BaseException) -> bool:
    return hasattr(error, "exceptions")


def _dumps(error: object) -> list[payloads.Buffer]:
    plain = payloads.plain(error)
    return results.dumps(error) if plain is None else plain


def _traceback(error: BaseException) -> str:
    try:
        told = traceback.TracebackException.from_exception(error)
        _leave_out_own_steps(told, set())
        text = "".join(told.format())
    except BaseException as trouble:  # A class whose str or repr fails.
        text = f"{_name(type(error))} (its traceback cannot be shown: {_name(type(trouble))})\n"
    if len(text) > 2 * TEXT_CHARACTERS_MAX:
        text = f"{text[:TEXT_CHARACTERS_MAX]}\n…\n{text[-TEXT_CHARACTERS_MAX:]}"
    return text


def _leave_out_own_steps(told: traceback.TracebackException | None, seen: set[int]) -> None:
    """The runner and the import system are none of the task's business."""
    if told is None or id(told) in seen:
        return
    seen.add(id(told))
    steps = [step for step in told.stack if not step.filename.startswith(("<argon ", "<frozen importlib"))]
    told.stack = traceback.StackSummary.from_list(steps)
    _leave_out_own_steps(told.__cause__, seen)
    _leave_out_own_steps(told.__context__, seen)


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
