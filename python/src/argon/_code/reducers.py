"""Reductions of objects for plain pickle and cloudpickle, where their class gives none or a wrong one.

Owns the refusal of a value, ``CannotTravel``, which both of them raise.
"""

from __future__ import annotations

import copyreg
import sys

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any, Callable

#: Classes whose way to be pickled is remembered.
KINDS_MAX = 1000
_PROTOCOL = 5


class CannotTravel(TypeError):
    """A value cannot be sent to another process. The text names it and the reason."""


def is_found_by_name(method: Any) -> bool:
    """True if a bound method is what its object has under its name; with an alias or a decorator it may not be."""
    try:
        found = getattr(method.__self__, method.__name__)
        return type(found) is type(method) and bool(found == method)
    except Exception:  # Whatever a property raises.
        return False


def reducer_of(kind: type) -> Callable[[Any], Any] | None:
    """Reduction of instances of a class, unless the class defines its own."""
    registered = copyreg.dispatch_table.get(kind)
    if registered is None and issubclass(kind, BaseException):
        from . import exceptions

        if not exceptions.is_made_of_args(kind):
            return exceptions.reduced
    return registered


class Reducers(dict):  # type: ignore[type-arg]
    """Called by the C pickler for each object. Answers like ``copyreg``, except for exceptions that forget their parts."""

    def __missing__(self, kind: type) -> Callable[[Any], Any]:
        if issubclass(kind, type):
            raise KeyError(kind)
        reduce = reducer_of(kind)
        if reduce is not None:
            return reduce
        # A class that is in no module may be one task's.
        if getattr(sys.modules.get(kind.__module__), kind.__qualname__, None) is kind:
            if len(self) >= KINDS_MAX:
                self.clear()
            self[kind] = _reduce_as_its_class_says
        return _reduce_as_its_class_says


def _reduce_as_its_class_says(value: Any) -> Any:
    return value.__reduce_ex__(_PROTOCOL)
