"""Whether a value that came back is the one that was made here: same classes, same content, NaN like NaN."""

from __future__ import annotations

import collections
import itertools
import pickle
import re
import types
import typing
from collections.abc import Iterator
from typing import Any

_DEPTH_MAX = 40
_ITEMS_MAX = 1000
_ADDRESS = re.compile(r"0x[0-9a-f]{6,}")


def same(one: Any, other: Any, depth: int = 0) -> bool:
    """Compares by what a user can see."""
    if one is other or depth > _DEPTH_MAX:
        return True
    if type(one) is not type(other):
        # A class that a function makes anew at each call.
        is_twin = type(one).__qualname__ == type(other).__qualname__ and type(one).__module__ == type(other).__module__
        if not is_twin:
            return False
    if isinstance(one, BaseException):
        return same(one.args, other.args, depth + 1) and _text(one) == _text(other)
    if isinstance(one, (float, complex)):
        return repr(one) == repr(other)
    if type(one).__module__.split(".")[0] == "numpy":
        return _same_numpy(one, other, depth)
    if hasattr(one, "equals") and type(one).__module__.startswith("pandas"):
        return bool(one.equals(other))
    if isinstance(one, dict):
        return same(list(one), list(other), depth + 1) and all(
            map(same, one.values(), other.values(), itertools.repeat(depth + 1))
        )
    if isinstance(one, (list, tuple, collections.deque)):
        return len(one) == len(other) and all(map(same, one, other, itertools.repeat(depth + 1)))
    if isinstance(one, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
        return getattr(one, "__qualname__", one.__name__) == getattr(other, "__qualname__", other.__name__)
    if isinstance(one, Iterator):
        return same(_items(one), _items(other), depth + 1)
    if isinstance(one, typing.TypeVar):
        # Its module is that of the frame that made it.
        return same(
            (repr(one), one.__bound__, one.__constraints__), (repr(other), other.__bound__, other.__constraints__)
        )
    return _same_object(one, other, depth)


def _items(values: Iterator[Any]) -> list[Any]:
    """What an iterator gives, and the error that ends it."""
    found: list[Any] = []
    try:
        found.extend(itertools.islice(values, _ITEMS_MAX))
    except Exception as error:
        found.append(error)
    return found


def _same_numpy(one: Any, other: Any, depth: int) -> bool:
    import numpy

    if not isinstance(one, (numpy.ndarray, numpy.generic)):
        return _same_object(one, other, depth)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    if isinstance(one, numpy.ma.MaskedArray):
        return same(one.filled(), other.filled(), depth + 1) and same(
            numpy.ma.getmaskarray(one), numpy.ma.getmaskarray(other), depth + 1
        )
    if one.dtype.hasobject:
        return same(one.tolist(), other.tolist(), depth + 1)
    # Uninitialized memory differs between two calls here, too; the judge looks at that.
    return bool(numpy.array_equal(one, other, equal_nan=one.dtype.kind in "fcmM")) or one.tobytes() == other.tobytes()


def _same_object(one: Any, other: Any, depth: int) -> bool:
    for judge in (lambda: _is_true(one == other), lambda: pickle.dumps(one) == pickle.dumps(other)):
        try:
            if judge():
                return True
        except Exception:
            continue
    fields, others = _fields(one), _fields(other)
    if fields is not None and others is not None and (fields or others):
        return same(fields, others, depth + 1)
    return _text(one) == _text(other)


def _is_true(value: Any) -> bool:
    return value is True or (type(value).__name__ in ("bool", "bool_") and bool(value))


def _fields(value: Any) -> dict[str, Any] | None:
    slots = [name for kind in type(value).__mro__ for name in _names(getattr(kind, "__slots__", ()))]
    found = {name: getattr(value, name, None) for name in slots if not name.startswith("__")}
    return {**found, **getattr(value, "__dict__", {})} or None


def _names(slots: Any) -> list[str]:
    return [slots] if isinstance(slots, str) else list(slots)


def _text(value: Any) -> str:
    try:
        return _ADDRESS.sub("0x", repr(value))
    except Exception as error:
        return f"repr fails: {type(error).__name__}"
