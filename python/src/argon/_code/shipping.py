"""Prepares a callable so that a worker can run it.

Owns the choice: by name, when its module can be imported (on the worker, or from here through the runner's import
hook), else by value, as a blob. A blob always holds what the callable refers to *now*; one is used again only when
every value in it is known to be the same and cannot have changed.
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
import weakref
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from ..errors import OptionError
from . import changed_modules, explain, modules, own_modules, payloads
from .fingerprint import Watch, watch
from .payloads import CannotTravel

if TYPE_CHECKING:
    from .payloads import Shared

__all__ = ["CannotTravel", "Prepared", "dumps_call", "prepare"]

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"

_KEPT = (types.FunctionType, functools._lru_cache_wrapper)
#: Functions that were pickled before, and what has to be the same for their blob to be right.
_kept: weakref.WeakKeyDictionary[Any, tuple[bytes, Watch]] = weakref.WeakKeyDictionary()


class Prepared(NamedTuple):
    """A callable on its way to a worker."""

    #: The bundle of the callable, or None if ``meta`` names it.
    blob: bytes | None
    #: Fields of the task's meta.
    meta: dict[str, Any]
    #: The blobs of shared values that the code refers to.
    shared: frozenset[bytes] = frozenset()


def prepare(function: Callable[..., Any], shared: Shared | None = None) -> Prepared:
    """Makes a callable ready to travel. Raises CannotTravel, naming what cannot."""
    changed_modules.look(function, _is_sent_by_value)
    name = _importable_name(function)
    if name is not None:
        return Prepared(None, {**_meta(), "call": name})
    can_be_kept = type(function) in _KEPT
    kept = _kept.get(function) if can_be_kept else None
    if kept is not None and kept[1].is_valid():
        return Prepared(kept[0], _meta(kept[1].is_constant))
    if not callable(function):
        advice = f"; a function by its name is argon.python({function!r})" if isinstance(function, str) else ""
        raise CannotTravel(f"a task is a function or another callable, not {explain.named(function)}{advice}")
    try:
        buffers, hashes = payloads.dumps(function, shared)
    except CannotTravel as error:
        raise CannotTravel(explain.of_callable(function, error)) from error
    blob = b"".join(buffers)
    watched = watch(function, _is_importable) if can_be_kept else None
    if watched is not None:
        _kept[function] = blob, watched
    return Prepared(blob, _meta(watched is not None and watched.is_constant), frozenset(hashes))


def is_constant(function: Callable[..., Any]) -> bool:
    """True if no call of the function, which was prepared before, changes what the next one finds in it."""
    if _importable_name(function) is not None:
        return True
    kept = _kept.get(function) if type(function) in _KEPT else None
    return kept is not None and kept[1].is_constant


def dumps_call(
    args: tuple[Any, ...], kwargs: dict[str, Any], shared: Shared | None = None
) -> tuple[list[payloads.Buffer], set[bytes]]:
    """The bundle of a call's arguments. Raises CannotTravel, naming the argument that cannot."""
    try:
        return payloads.dumps((args, kwargs), shared)
    except CannotTravel as error:
        raise CannotTravel(explain.of_arguments(args, kwargs, error)) from error


def _meta(is_constant: bool = False) -> dict[str, Any]:
    meta: dict[str, Any] = {"python": PYTHON}
    if is_constant:
        meta["constant"] = True
    own = own_modules.names()
    if own:
        meta["own"] = own
    generation = modules.generation()
    if generation:
        meta["modules"] = generation
    return meta


def _is_importable(value: Any) -> bool:
    if type(value) is types.ModuleType:
        return getattr(value, "__spec__", None) is not None and not _is_sent_by_value(value.__name__)
    return _importable_name(value) is not None


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


def send_by_value(module: types.ModuleType | str) -> None:
    """From now on functions and classes of the module, and what they refer to in it, are sent as they are here."""
    if not isinstance(module, (types.ModuleType, str)):
        raise OptionError(f"Client: by_value takes a module or its name, not {explain.named(module)}")
    name = module if isinstance(module, str) else module.__name__
    if name == "__main__":
        # It travels by value anyway.
        return
    from cloudpickle import cloudpickle

    cloudpickle.register_pickle_by_value(importlib.import_module(name) if isinstance(module, str) else module)
    # Earlier payloads name the module.
    _kept.clear()


def _is_sent_by_value(module: str) -> bool:
    """True for a module that the program registered (``cloudpickle.register_pickle_by_value``)."""
    cloudpickle = sys.modules.get("cloudpickle.cloudpickle")
    names = getattr(cloudpickle, "_PICKLE_BY_VALUE_MODULES", None)
    if not names:
        return False
    parts = module.split(".")
    return any(".".join(parts[: end + 1]) in names for end in range(len(parts)))
