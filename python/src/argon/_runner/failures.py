"""What a task raised, as bytes for the client. Loaded when the first task fails."""

from __future__ import annotations

import json
import traceback

from .. import _bundle
from . import results

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

#: Of a message, and of each half of a traceback.
TEXT_CHARACTERS_MAX = 100_000


def payload(error: BaseException, is_json: bool) -> list[_bundle.Buffer]:
    """The payload of an ``error``."""
    about: dict[str, Any] = {
        "class": _name(type(error)),
        "message": _message(error),
        "traceback": _traceback(error),
    }
    if is_json:
        return [json.dumps(about).encode()]
    pickled = _pickled(error)
    if pickled is not None:
        about["exception"] = pickled
    return _bundle.dumps(about)[0]


def _pickled(error: BaseException) -> bytes | None:
    """The bundle of an exception, or None if it cannot be written, or not be read again."""
    try:
        bundle = b"".join(_dumps(error))
        if type(error).__module__ != "builtins":
            # Many a class forgets that it is made again from its args.
            _bundle.loads(bundle)
    except Exception:
        return None
    return bundle


def _dumps(error: BaseException) -> list[_bundle.Buffer]:
    plain = _bundle.plain(error)
    return results.dumps(error) if plain is None else plain


def _traceback(error: BaseException) -> str:
    try:
        told = traceback.TracebackException.from_exception(error)
        _leave_out_own_steps(told, set())
        text = "".join(told.format())
    except Exception as trouble:  # A class whose str or repr fails.
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


def _message(error: BaseException) -> str:
    try:
        return str(error)[:TEXT_CHARACTERS_MAX]
    except Exception as trouble:
        return f"(its text cannot be had: {_name(type(trouble))})"


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
