"""Names and values in the text of a module's file.

Nothing is run. Of a name that is assigned twice, computed or changed by the module itself, nothing is known.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ast

_FILE_BYTES_MAX = 1 << 20
#: Markers of a name whose value is not in the text, and of a plain function.
UNKNOWN = object()
FUNCTION = object()
CONTAINERS = (list, dict, set)
#: Functions in a class that Python wraps by itself.
_WRAPPED = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})


_known: dict[str, tuple[Any, Names]] = {}


class Names(dict):  # type: ignore[type-arg]
    """By name in a module or class: a plain value, FUNCTION, UNKNOWN, or the Names of a class."""


def of_module(module: types.ModuleType) -> Names:
    """Names in the file of a module; empty if it cannot be read."""
    spec, found = _known.get(module.__name__, (None, Names()))
    if spec is None or spec is not module.__spec__:
        # A module that was loaded again has another.
        found = _read(getattr(module.__spec__, "origin", None) or "")
        _known[module.__name__] = module.__spec__, found
    return found


def of_class(kind: type, module: types.ModuleType) -> Names:
    """Names in the body of a class of a module."""
    found: Any = of_module(module)
    for name in kind.__qualname__.split("."):
        found = found.get(name) if isinstance(found, Names) else None
    return found if isinstance(found, Names) else Names()


def _read(file: str) -> Names:
    try:
        with open(file, "rb") as source:
            return of_text(source.read(_FILE_BYTES_MAX))
    except OSError:
        return Names()


def of_text(text: bytes | str) -> Names:
    """Names in a text; empty if it cannot be parsed."""
    import ast

    try:
        tree = ast.parse(text)
        # An attribute set on anything but an instance may be a class's: `cls.count = 1`.
        set_later = {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and not (isinstance(node.value, ast.Name) and node.value.id == "self")
        }
        return _names(tree, frozenset(), set_later)
    except (SyntaxError, ValueError, RecursionError):
        return Names()


def _names(body: ast.Module | ast.ClassDef, left_out: Iterable[str], set_later: set[str]) -> Names:
    import ast

    # A name that is also assigned elsewhere, as in an `if` or after `global`, is not known from its first value.
    stored = [node.id for node in ast.walk(body) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    counts = collections.Counter(stored)
    found = Names()
    # A decorator or a metaclass may do what it likes with the methods.
    is_plain_class = isinstance(body, ast.Module) or not (body.decorator_list or body.keywords)
    for step in body.body:
        if isinstance(step, (ast.FunctionDef, ast.AsyncFunctionDef)):
            is_plain = is_plain_class and not step.decorator_list and step.name not in {*found, *left_out}
            found[step.name] = FUNCTION if is_plain else UNKNOWN
        elif isinstance(step, ast.ClassDef):
            found[step.name] = _names(step, _WRAPPED | set_later, set_later) if step.name not in found else UNKNOWN
        elif isinstance(step, (ast.Assign, ast.AnnAssign)):
            for target in step.targets if isinstance(step, ast.Assign) else [step.target]:
                if isinstance(target, ast.Name) and step.value is not None:
                    is_once = counts[target.id] == 1 and target.id not in {*found, *left_out}
                    found[target.id] = _literal(step.value) if is_once else UNKNOWN
    return found


def _literal(node: ast.expr) -> Any:
    import ast

    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN
    # An empty container is made to be filled, by the import as well.
    return UNKNOWN if isinstance(value, CONTAINERS) and not value else value
