"""Notices that a module was changed in memory: a worker that imports it finds what its file says.

Looks at what a function that is about to be sent finds in modules of the user: plain values, functions, and what
`unittest.mock` put in their place, against the text of the file. A program that sends such a module by value is left in
peace. What the text does not say, as the value of a call, is not judged.
"""

from __future__ import annotations

import collections
import functools
import os
import sys
import types
import warnings
import weakref
from collections.abc import Iterator
from typing import Any, Callable

from .errors import ModuleChanged

_FUNCTIONS_MAX = 64
_ITEMS_MAX = 1000
_FILE_BYTES_MAX = 1 << 20
_TEXT_MAX = 60
_MISSING = object()
_UNKNOWN = object()
_FUNCTION = object()
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_CONTAINERS = (list, dict, set)
_OWN = os.path.dirname(__file__) + os.sep

#: A name in a module, and the value that was last found all right.
_Place = tuple[types.ModuleType, str, Any]

#: By function, what it finds in the user's modules.
_places: weakref.WeakKeyDictionary[Any, list[_Place]] = weakref.WeakKeyDictionary()
_texts: dict[str, dict[str, Any]] = {}
_is_users: dict[str, bool] = {}
_told: set[tuple[str, str]] = set()


def look(function: Any, is_by_value: Callable[[str], bool]) -> None:
    """Warns, once for each name, if what the function finds in its modules is not what their files say."""
    function = _innermost(function)
    if type(function) is not types.FunctionType:
        return
    places = _places.get(function)
    if places is None or not all(_is_as_it_was(place) for place in places):
        places = _places[function] = _judged(function, is_by_value)


def _is_as_it_was(place: _Place) -> bool:
    module, name, value = place
    return vars(module).get(name, _MISSING) is value and type(value) not in _CONTAINERS


def _judged(function: types.FunctionType, is_by_value: Callable[[str], bool]) -> list[_Place]:
    places = []
    for module, name in _found_by(function, is_by_value):
        value = vars(module).get(name, _MISSING)
        written = _text_of(module).get(name, _UNKNOWN)
        if value is not _MISSING and (module.__name__, name) not in _told and _differs(module, name, value, written):
            _told.add((module.__name__, name))
            _warn(module, name, value, written)
        places.append((module, name, value))
    return places


def _found_by(
    function: types.FunctionType, is_by_value: Callable[[str], bool]
) -> Iterator[tuple[types.ModuleType, str]]:
    """The names in modules of the user that a function reads, and those that it calls."""
    left, seen = [function], {id(function)}
    while left:
        one = left.pop()
        names = set(_names(one.__code__))
        own = sys.modules.get(one.__module__) if isinstance(one.__module__, str) else None
        own_is_users = own is not None and vars(own) is one.__globals__ and _is_of_user(own, is_by_value)
        found = [(name, one.__globals__[name]) for name in names if name in one.__globals__]
        for cell in one.__closure__ or ():
            try:
                found.append(("", cell.cell_contents))
            except ValueError:
                continue
        for name, value in found:
            if name and own is not None and own_is_users:
                yield own, name
            if isinstance(value, types.ModuleType) and _is_of_user(value, is_by_value):
                yield from ((value, inner) for inner in names if inner in vars(value))
                called = [vars(value).get(inner) for inner in names]
            else:
                called = [value]
            for further in map(_innermost, called):
                is_new = type(further) is types.FunctionType and id(further) not in seen
                if is_new and len(seen) < _FUNCTIONS_MAX:
                    seen.add(id(further))
                    left.append(further)


def _innermost(function: Any) -> Any:
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif isinstance(function, types.MethodType):
            function = function.__func__
        elif type(function) is functools._lru_cache_wrapper:
            function = function.__wrapped__
        else:
            return function


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


@functools.lru_cache(maxsize=1)
def _not_of_user() -> tuple[str, ...]:
    """Folders of the standard library, of installed packages, and of this one."""
    import sysconfig

    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*(os.path.realpath(folder) + os.sep for folder in folders), os.path.realpath(_OWN) + os.sep)


def _is_of_user(module: types.ModuleType, is_by_value: Callable[[str], bool]) -> bool:
    """True for a module that a worker would import, and that is neither installed nor ours."""
    name = module.__name__
    known = _is_users.get(name)
    if known is None:
        file = getattr(getattr(module, "__spec__", None), "origin", None) or ""
        path = os.path.realpath(file)
        known = file.endswith(".py") and not path.startswith(_not_of_user()) and name != "__main__"
        _is_users[name] = known
    return known and not is_by_value(name)


def _text_of(module: types.ModuleType) -> dict[str, Any]:
    """What the file of a module says its names are, as far as that stands in it."""
    name = module.__name__
    if name not in _texts:
        try:
            file = getattr(module.__spec__, "origin", None)
            with open(file or "", "rb") as source:
                _texts[name] = _said(source.read(_FILE_BYTES_MAX))
        except (OSError, SyntaxError, ValueError, RecursionError):
            _texts[name] = {}
    return _texts[name]


def _said(text: bytes) -> dict[str, Any]:
    import ast

    tree = ast.parse(text)
    # What is assigned anywhere else, as in an `if` or behind `global`, is not known from its first value.
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    counts = collections.Counter(names)
    said: dict[str, Any] = {}
    for step in tree.body:
        if isinstance(step, (ast.FunctionDef, ast.AsyncFunctionDef)):
            is_plain = not step.decorator_list and step.name not in said
            said[step.name] = _FUNCTION if is_plain else _UNKNOWN
        elif isinstance(step, (ast.Assign, ast.AnnAssign)):
            for target in step.targets if isinstance(step, ast.Assign) else [step.target]:
                if isinstance(target, ast.Name) and step.value is not None:
                    is_once = counts[target.id] == 1 and target.id not in said
                    said[target.id] = _literal(step.value) if is_once else _UNKNOWN
    return said


def _literal(node: Any) -> Any:
    import ast

    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _UNKNOWN
    # An empty container is made to be filled, by the import as well.
    return _UNKNOWN if isinstance(value, _CONTAINERS) and not value else value


def _differs(module: types.ModuleType, name: str, value: Any, written: Any) -> bool:
    if any(kind.__module__ == "unittest.mock" for kind in type(value).__mro__):
        return True
    if written is _UNKNOWN:
        return False
    if written is _FUNCTION:
        is_it = type(value) is types.FunctionType and value.__code__.co_name == name
        return not is_it or hasattr(value, "__wrapped__") or value.__module__ != module.__name__
    return _is_plain(value) and (type(value) is not type(written) or value != written)


def _is_plain(value: Any) -> bool:
    if type(value) in _PLAIN:
        return True
    if type(value) in (tuple, list, set, frozenset):
        return len(value) <= _ITEMS_MAX and all(map(_is_plain, value))
    return type(value) is dict and len(value) <= _ITEMS_MAX and all(map(_is_plain, [*value, *value.values()]))


def _warn(module: types.ModuleType, name: str, value: Any, written: Any) -> None:
    there = "another function" if written is _FUNCTION else "something else" if written is _UNKNOWN else _shown(written)
    text = (
        f"{module.__name__}.{name} is {_shown(value)} here, and {there} in its file: a worker imports the module, and "
        f"finds what the file says. Send the module as it is, with client.by_value({module.__name__!r}), or pass the value"
    )
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OWN):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, ModuleChanged, stacklevel=level)


def _shown(value: Any) -> str:
    if type(value) is types.FunctionType:
        return f"the function {value.__module__}.{value.__qualname__}"
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__qualname__}"
    return text if len(text) <= _TEXT_MAX else text[:_TEXT_MAX] + "…"
