"""Functions whose blob can be used again: all that is in it is known, and cannot have changed unnoticed.

Owns the proof. It holds for functions whose captured variables, defaults and globals are unchangeable values, modules,
importable functions and classes, and functions for which it holds too; it is asked again at each call whether every one
of them is still the same. Where it does not hold, nothing is wrong: the function is pickled anew.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
import weakref
from typing import Any, Callable

#: Number of objects that one function may refer to.
WATCHED_MAX = 64
_MISSING = object()
_FIXED = (int, float, complex, bool, str, bytes, range, type(None), type(Ellipsis), type(NotImplemented))
_BUILTIN = (type(len), type)
#: Instructions that change what a function finds when it is called again in the same process.
_CHANGING = frozenset({"STORE_GLOBAL", "DELETE_GLOBAL", "STORE_ATTR", "DELETE_ATTR"})
_CHANGING_CAPTURED = frozenset({"STORE_DEREF", "DELETE_DEREF"})
#: Names by which a function may do so behind our back.
_REACHING = frozenset({"globals", "vars", "exec", "eval", "setattr", "delattr", "f_globals", "cell_contents"}).union(
    ("__dict__", "__globals__", "__defaults__", "__kwdefaults__", "__code__", "__closure__")
)

_Place = tuple[Callable[[Any, Any], Any], Any, Any]


class Watch:
    """The parts of one function, and where each came from."""

    __slots__ = ("_modules", "_places", "is_constant")

    def __init__(self, places: list[_Place], is_constant: bool) -> None:
        self._places = places
        self._modules = len(sys.modules)
        #: True if a run does not change it, so that a runner may read its blob once for many tasks.
        self.is_constant = is_constant

    def is_valid(self) -> bool:
        """True if no part has changed."""
        # Another module may be a part of a package that the function names.
        if self._modules != len(sys.modules):
            return False
        for look, name, value in self._places:
            if look(name, _MISSING) is not value:
                return False
        return True


def watch(function: Any, is_importable: Callable[[Any], bool]) -> Watch | None:
    """Looks at a function that is about to be pickled; None if one of its parts can change unnoticed."""
    watching = _Watching(is_importable)
    return Watch(watching.places, watching.is_constant) if watching.is_fixed(function) else None


class _Watching:
    """The walk through a function and those that it calls."""

    def __init__(self, is_importable: Callable[[Any], bool]) -> None:
        self.places: list[_Place] = []
        self.is_constant = True
        self._is_importable = is_importable
        self._seen: set[int] = set()

    def add(self, function: types.FunctionType) -> bool:
        self._seen.add(id(function))
        if function.__kwdefaults__:
            return False
        code = function.__code__
        if _changes_itself(code, frozenset(code.co_freevars)):
            self.is_constant = False
        look, count = _Attributes(function), _Count(function)
        found: list[_Place] = [(count, None, count(None, None))]
        found += [(look, name, getattr(function, name)) for name in ("__code__", "__defaults__", *vars(function))]
        for cell in function.__closure__ or ():
            captured = _Cell(cell)
            found.append((captured, None, captured(None, _MISSING)))
        variables = function.__globals__
        found += [(variables.get, name, variables.get(name, _MISSING)) for name in _names(code)]
        self.places += found
        return len(self.places) <= WATCHED_MAX and all(self.is_fixed(value) for _, _, value in found)

    def is_fixed(self, value: Any) -> bool:
        """True if a value cannot change, except in places that are then watched."""
        kind = type(value)
        if kind in _FIXED or value is _MISSING or kind is types.CodeType or id(value) in self._seen:
            return True
        if kind is tuple or kind is frozenset:
            return len(value) <= WATCHED_MAX and all(map(self.is_fixed, value))
        if kind is types.ModuleType:
            return self._is_importable(value)
        if kind is types.FunctionType:
            return self._is_importable(value) or self.add(value)
        if kind is functools._lru_cache_wrapper:
            # Its cache saves time and changes no result.
            return self._is_importable(value) or self.is_fixed(value.__wrapped__)
        return kind in _BUILTIN and self._is_importable(value)


class _Cell:
    """Looks into the cell of a captured variable as ``dict.get`` looks into a dict."""

    __slots__ = ("_cell",)

    def __init__(self, cell: types.CellType) -> None:
        self._cell = cell

    def __call__(self, name: None, default: object) -> object:
        try:
            return self._cell.cell_contents
        except ValueError:
            return default


class _Attributes:
    """The same for a function's attributes; does not keep the function alive."""

    __slots__ = ("_function",)

    def __init__(self, function: types.FunctionType) -> None:
        self._function = weakref.ref(function)

    def __call__(self, name: str, default: object) -> object:
        return getattr(self._function(), name, default)


class _Count:
    """The same for the number of a function's own attributes: a small number, of which Python has one object."""

    __slots__ = ("_function",)

    def __init__(self, function: types.FunctionType) -> None:
        self._function = weakref.ref(function)

    def __call__(self, name: None, default: object) -> object:
        return min(len(vars(self._function())), WATCHED_MAX)


def _codes(code: types.CodeType) -> list[types.CodeType]:
    """The code of a function and of the functions in it."""
    found = [code]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found += _codes(constant)
    return found


def _names(code: types.CodeType) -> set[str]:
    return {name for one in _codes(code) for name in one.co_names}


def _changes_itself(code: types.CodeType, captured: frozenset[str]) -> bool:
    """True if a run of the code may change what the next run finds. Variables of an inner function do not count."""
    if not _REACHING.isdisjoint(code.co_names):
        return True
    for step in dis.get_instructions(code):
        if step.opname in _CHANGING or (step.opname in _CHANGING_CAPTURED and step.argval in captured):
            return True
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return any(_changes_itself(one, captured.intersection(one.co_freevars) - set(code.co_cellvars)) for one in inner)
