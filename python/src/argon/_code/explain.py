"""Finds the part of a value that cannot travel, for the error message.

Looks only after something was refused, so it may take its time: it tries the parts of the value one by one.
"""

from __future__ import annotations

import types

from . import payloads
from .payloads import CannotTravel

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

_DEPTH_MAX = 6
_PARTS_MAX = 1000


def of_arguments(args: tuple[Any, ...], kwargs: dict[str, Any], error: CannotTravel) -> str:
    """The sentence about a call's arguments."""
    parts = [(f"argument {number}", value) for number, value in enumerate(args, 1)]
    parts += [(f"argument {name}", value) for name, value in kwargs.items()]
    return _sentence(parts, "an argument of the task", error)


def of_callable(function: Any, error: CannotTravel) -> str:
    """The sentence about a callable and what it captured."""
    return _sentence([(_title(function), function)], "the code of the task", error)


def of_result(value: object, error: CannotTravel) -> str:
    """The sentence about what a task returned."""
    if isinstance(value, types.CoroutineType):
        value.close()
        return "the task returned a coroutine, which cannot travel: run it in the task, as with asyncio.run(…)"
    if isinstance(value, (types.GeneratorType, types.AsyncGeneratorType)):
        return "the task returned a generator, which cannot travel: return list(…) of it"
    return _sentence([("what the task returned", value)], "what the task returned", error)


def named(value: object) -> str:
    """A value as a sentence calls it: by its type."""
    kind = type(value)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{'an' if name.lstrip('_')[0] in 'aeiouAEIOU' else 'a'} {name}"


def _sentence(parts: list[tuple[str, Any]], whole: str, error: CannotTravel) -> str:
    for path, value in parts:
        reason = _refusal(value)
        if reason is not None:
            path, value, reason = _deepest(path, value, reason)
            return f"{path} ({named(value)}) cannot travel to another process: {reason}"
    return f"{whole} cannot travel to another process: {error}"


def _deepest(path: str, value: Any, reason: str) -> tuple[str, Any, str]:
    seen: set[int] = set()
    for _ in range(_DEPTH_MAX):
        seen.add(id(value))
        for step, part in _parts(path, value):
            deeper = None if id(part) in seen else _refusal(part)
            if deeper is not None:
                path, value, reason = step, part, deeper
                break
        else:
            break
    return path, value, reason


def _refusal(value: object) -> str | None:
    try:
        payloads.dumps(value)
    except CannotTravel as error:
        return str(error)
    return None


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Parts of a value, each with a name that a person would use."""
    if isinstance(value, types.FunctionType):
        yield from _captures(value)
    elif isinstance(value, types.MethodType):
        yield f"the object of {_title(value)}", value.__self__
    elif isinstance(value, dict):
        yield from ((f"{path}[{key!r}]", item) for key, item in list(value.items())[:_PARTS_MAX])
    elif isinstance(value, (list, tuple, set, frozenset)):
        yield from ((f"{path}[{number}]", item) for number, item in enumerate(list(value)[:_PARTS_MAX]))
    elif hasattr(value, "func") and hasattr(value, "args") and hasattr(value, "keywords"):
        yield f"the function of {path}", value.func
        yield f"the arguments of {path}", value.args
        yield f"the arguments of {path}", value.keywords
    elif isinstance(value, type):
        yield from ((f"{value.__qualname__}.{name}", item) for name, item in vars(value).items() if name[:2] != "__")
    elif not isinstance(type(value).__reduce__, types.FunctionType):  # Such a class gives the reason itself.
        yield from ((f"{path}.{name}", item) for name, item in getattr(value, "__dict__", {}).items())


def _captures(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    title = _title(function)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            yield f"the variable {name} that {title} captured", cell.cell_contents
        except ValueError:
            continue
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f"the global variable {name} that {title} uses", function.__globals__[name]
    for number, value in enumerate(function.__defaults__ or (), 1):
        yield f"default {number} of {title}", value
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f"the default of {name} of {title}", value
    for name, value in vars(function).items():
        yield f"{title}.{name}", value


def _global_names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _title(value: Any) -> str:
    name = getattr(value, "__qualname__", None) or type(value).__qualname__
    return f"the lambda in {name[:-9]}" if name.endswith(".<lambda>") else name.replace("<lambda>", "the lambda")
