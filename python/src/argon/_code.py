"""How a callable becomes something that a worker can run.

Owns the choice: by name, when its module can be imported (on the worker, or from here through the runner's import
hook), else by value, as a blob. A blob always holds what the callable refers to *now*; one is used again only when
every value in it is known to be the same and cannot have changed.
"""

from __future__ import annotations

import sys
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from . import _bundle, _culprit, _modules
from ._bundle import CannotTravel

if TYPE_CHECKING:
    from ._bundle import Shared

__all__ = ["CannotTravel", "Prepared", "dumps_call", "prepare"]

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

#: A function that names more things than this is pickled anew at each call.
_WATCHED_MAX = 64
_MISSING = object()
_FIXED = (int, float, complex, bool, str, bytes, range, type(None), type(Ellipsis), type(NotImplemented))
_BUILTIN = (type(len), type)


class Prepared(NamedTuple):
    """A callable on its way to a worker."""

    #: The bundle of the callable, or None if ``meta`` names it.
    blob: bytes | None
    #: What the task's meta has to say.
    meta: dict[str, Any]
    #: The blobs of shared values that the code refers to.
    shared: frozenset[bytes] = frozenset()


def prepare(function: Callable[..., Any], shared: Shared | None = None) -> Prepared:
    """Makes a callable ready to travel. Raises CannotTravel, naming what cannot."""
    name = _importable_name(function)
    if name is not None:
        return Prepared(None, {**_meta(), "call": name})
    kept = _kept.get(function) if type(function) is types.FunctionType else None
    if kept is not None and shared is None and kept.is_valid():
        return Prepared(kept.blob, _meta())
    if not callable(function):
        raise CannotTravel(f"a task is a function or another callable, not {_culprit.named(function)}")
    try:
        buffers, hashes = _bundle.dumps(function, shared)
    except CannotTravel as error:
        raise CannotTravel(_culprit.of_callable(function, error)) from error
    blob = b"".join(buffers)
    if type(function) is types.FunctionType and not hashes:
        watched = _watch(function)
        if watched is not None:
            _kept[function] = _Kept(blob, watched)
    return Prepared(blob, _meta(), frozenset(hashes))


def dumps_call(
    args: tuple[Any, ...], kwargs: dict[str, Any], shared: Shared | None = None
) -> tuple[list[_bundle.Buffer], set[bytes]]:
    """The bundle of a call's arguments. Raises CannotTravel, naming the argument that cannot."""
    try:
        return _bundle.dumps((args, kwargs), shared)
    except CannotTravel as error:
        raise CannotTravel(_culprit.of_arguments(args, kwargs, error)) from error


def _meta() -> dict[str, Any]:
    generation = _modules.generation()
    return {"python": PYTHON, "modules": generation} if generation else {"python": PYTHON}


def _importable_name(function: Any) -> str | None:
    """``module:qualified.name`` if that is this very object in a module that is not the main program."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", None)
    if type(module) is not str or type(name) is not str or module == "__main__" or _is_sent_by_value(module):
        return None
    place: Any = sys.modules.get(module)
    if getattr(place, "__spec__", None) is None:
        # Nothing that could be imported elsewhere under this name.
        return None
    for part in name.split("."):
        place = getattr(place, part, None)
    return f"{module}:{name}" if place is function else None


def _is_sent_by_value(module: str) -> bool:
    """Whether the program told cloudpickle so (``cloudpickle.register_pickle_by_value``)."""
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    names = getattr(cloudpickle, "_PICKLE_BY_VALUE_MODULES", None)
    if not names:
        return False
    parts = module.split(".")
    return any(".".join(parts[: end + 1]) in names for end in range(len(parts)))


class _Kept:
    """A blob and what it was made of."""

    __slots__ = ("blob", "modules", "watched")

    def __init__(self, blob: bytes, watched: list[tuple[Any, Any, Any]]) -> None:
        self.blob = blob
        self.watched = watched
        self.modules = len(sys.modules)

    def is_valid(self) -> bool:
        # Another module may be a part of a package that the function names.
        if self.modules != len(sys.modules):
            return False
        for place, name, value in self.watched:
            if place(name, _MISSING) is not value:
                return False
        return True


_kept: weakref.WeakKeyDictionary[Any, _Kept] = weakref.WeakKeyDictionary()


def _watch(function: types.FunctionType) -> list[tuple[Any, Any, Any]] | None:
    """Every value that the function's blob holds, with where it came from; None unless all of them are unchangeable."""
    watched: list[tuple[Any, Any, Any]] = []
    return watched if _watch_function(function, watched, set()) else None


def _watch_function(function: types.FunctionType, watched: list[tuple[Any, Any, Any]], seen: set[int]) -> bool:
    seen.add(id(function))
    if vars(function):
        return False
    look = _Attributes(function)
    found: list[tuple[Any, Any, Any]] = [
        (look, name, getattr(function, name)) for name in ("__code__", "__defaults__", "__kwdefaults__")
    ]
    if function.__kwdefaults__:
        return False
    for cell in function.__closure__ or ():
        found.append((_Cell(cell), None, _Cell(cell)(None, _MISSING)))
    for name in _names(function.__code__):
        found.append((function.__globals__.get, name, function.__globals__.get(name, _MISSING)))
    watched.extend(found)
    return len(watched) <= _WATCHED_MAX and all(_is_fixed(value, watched, seen) for _, _, value in found)


def _is_fixed(value: Any, watched: list[tuple[Any, Any, Any]], seen: set[int]) -> bool:
    kind = type(value)
    if kind in _FIXED or value is _MISSING or kind is types.CodeType or id(value) in seen:
        return True
    if kind is tuple or kind is frozenset:
        return len(value) <= _WATCHED_MAX and all(_is_fixed(item, watched, seen) for item in value)
    if kind is types.ModuleType:
        return getattr(value, "__spec__", None) is not None
    if kind is types.FunctionType:
        return _importable_name(value) is not None or _watch_function(value, watched, seen)
    return kind in _BUILTIN and _importable_name(value) is not None


class _Cell:
    """Looks into the cell of a captured variable as ``dict.get`` looks into a dict."""

    __slots__ = ("cell",)

    def __init__(self, cell: types.CellType) -> None:
        self.cell = cell

    def __call__(self, _name: None, default: object) -> object:
        try:
            return self.cell.cell_contents
        except ValueError:
            return default


class _Attributes:
    """The same for a function's attributes; does not keep the function alive."""

    __slots__ = ("function",)

    def __init__(self, function: types.FunctionType) -> None:
        self.function = weakref.ref(function)

    def __call__(self, name: str, default: object) -> object:
        return getattr(self.function(), name, default)


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names
