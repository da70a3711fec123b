"""Values that plain pickle cannot carry: functions and classes that exist in one program only.

Owns the picklers built on cloudpickle, for client and runner. Imports cloudpickle when it is needed: a worker's machine
need not have it, its runner asks the client for the text. What would arrive as something else is refused.
"""

from __future__ import annotations

import functools
import importlib
import io
import sys
import types
import weakref

from .reducers import CannotTravel, is_found_by_name, reducer_of

TYPE_CHECKING = False  # As in typing, which would take a third of a runner's start.
if TYPE_CHECKING:
    from typing import Any, Callable

    from .payloads import Shared

_PROTOCOL = 5
#: The file name that cloudpickle gives to classes and functions without a file.
_NO_FILE = "<dynamic-code>"
#: Formats that ``memoryview.cast`` knows.
_CAST_FORMATS = frozenset("cbB?hHiIlLqQnNfdP")
_picklers: dict[Any, Any] = {}
#: Classes that this process made and sent, as opposed to those that it was sent.
_own: weakref.WeakSet[type] = weakref.WeakSet()


def dumps(
    value: object,
    keep: Callable[[Any], object],
    shared: Shared | None = None,
    hashes: set[bytes] | None = None,
    is_returning: bool = False,
) -> bytes:
    """The pickle of a value; ``keep`` takes its out-of-band buffers.

    With ``is_returning``, classes that came by value from the receiver are named instead of described, so that it
    finds its own. Raises CannotTravel.
    """
    file = io.BytesIO()
    pickler = _pickler(shared is not None)(file, _PROTOCOL, keep)
    pickler.shared, pickler.hashes, pickler.is_returning = shared, hashes, is_returning
    try:
        pickler.dump(value)
    except CannotTravel:
        raise
    except RecursionError:
        raise CannotTravel("it is nested too deeply") from None
    except Exception as error:
        raise CannotTravel(str(error) or type(error).__name__) from error
    return file.getvalue()


def _pickler(is_sharing: bool) -> Any:
    try:
        from cloudpickle import cloudpickle
    except ImportError:
        raise CannotTravel("plain pickle cannot carry it, and cloudpickle is not to be had here") from None
    if not hasattr(cloudpickle, "Pickler"):
        raise CannotTravel(
            "plain pickle cannot carry it, and the cloudpickle here is older than 3.0: pip install -U cloudpickle"
        )
    # By module: a runner that serves several clients may have several versions of it.
    found = _picklers.get(cloudpickle)
    if found is None:
        _picklers.clear()
        found = _picklers[cloudpickle] = _picklers_on(cloudpickle)
    return found[is_sharing]


def _picklers_on(cloudpickle: Any) -> tuple[Any, Any]:
    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        shared: Any
        hashes: Any
        is_returning: bool

        def reducer_override(self, value: Any) -> Any:
            reduce = _REDUCERS.get(type(value))
            if reduce is not None:
                return reduce(value)
            if type(value) is types.CodeType:
                return _with_file(value, cloudpickle._code_reduce(value))
            if isinstance(value, type):
                if _is_compiled(value) and not _is_known(value, cloudpickle):
                    return _compiled(value)
                known = _class_of_receiver(value, cloudpickle, self.is_returning)
                if known is not None:
                    return known
                return _with_slots(value, super().reducer_override(value))
            if issubclass(type(value), BaseException):
                reduce = reducer_of(type(value))
                if reduce is not None:
                    return reduce(value)
            return super().reducer_override(value)

    class SharingPickler(Pickler):
        # A class of its own, since this is asked for every object of a value.
        def persistent_id(self, value: object) -> Any:
            pid = self.shared(value)
            if pid is not None:
                self.hashes.add(pid)
            return pid

    return Pickler, SharingPickler


def _class_of_receiver(value: type, cloudpickle: Any, is_returning: bool) -> tuple[Any, ...] | None:
    """Finds a class that the receiver itself has sent, by the number under which cloudpickle tracks it."""
    number = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS.get(value)
    if number is None or value in _own or not is_returning:
        if not cloudpickle._should_pickle_by_reference(value):
            _own.add(value)
        return None
    return cloudpickle._lookup_class_or_track, (number, _Named(value))


def _is_compiled(value: type) -> bool:
    """True if a class comes from C code. Cloudpickle would make an empty class with its name."""
    if not value.__flags__ & _MADE_AT_RUN_TIME or _compiled_place(value):
        return True
    for item in vars(value).values():
        owner = item.__objclass__ if type(item) in _COMPILED_PARTS else None
        if type(item) is types.BuiltinFunctionType:
            owner = item.__self__
        if owner is value:
            return True
    return False


def _is_known(value: type, cloudpickle: Any) -> bool:
    """True if cloudpickle finds the class without making one: by its name, or as that of a builtin value."""
    return (
        cloudpickle._should_pickle_by_reference(value)
        or value in _SINGLETONS
        or value in getattr(cloudpickle, "_BUILTIN_TYPE_NAMES", ())
    )


def _compiled(value: type) -> Any:
    """By the name under which its module has it; plain pickle refuses a class that has none."""
    place = _compiled_place(value)
    return (getattr, (sys.modules[place], value.__qualname__)) if place else NotImplemented


def _compiled_place(value: type) -> str | None:
    """The compiled half of the module that a class names: `_ast` for classes of `ast`."""
    first, _, rest = value.__module__.partition(".")
    name = f"_{first}"
    spec = getattr(sys.modules.get(name), "__spec__", None)
    is_source = spec is None or rest or getattr(spec.loader, "get_source", lambda _: None)(name) is not None
    return None if is_source or vars(sys.modules[name]).get(value.__qualname__) is not value else name


def _with_file(value: types.CodeType, reduced: Any) -> Any:
    """Newer versions of cloudpickle keep the name of code's file to themselves, which a traceback needs."""
    make, arguments = reduced
    if _NO_FILE not in arguments:
        return reduced
    at = arguments.index(_NO_FILE)
    # A copy: the pickle does not depend on other references to that string.
    return make, (*arguments[:at], "".join(value.co_filename), *arguments[at + 1 :])


def _with_slots(value: type, reduced: Any) -> Any:
    """Cloudpickle makes the class first and sets its attributes then, which is too late for slots."""
    # A typing.NamedTuple makes its own.
    is_named_tuple = issubclass(value, tuple) and "__orig_bases__" in vars(value)
    if type(reduced) is tuple and len(reduced) > 2 and "__slots__" in reduced[2][0] and not is_named_tuple:
        make, about, (state, rest), *more = reduced
        about[3]["__slots__"] = state.pop("__slots__")
        for name, item in list(state.items()):
            if type(item) is types.MemberDescriptorType:
                del state[name]
        return (make, about, (state, rest), *more)
    return reduced


class _Named:
    """The class of this name in the main program of a receiver that did not send it itself, or None."""

    def __init__(self, value: type) -> None:
        self.name = value.__qualname__ if value.__module__ == "__main__" else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (_Main(), self.name, None)


class _Main:
    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, ("__main__",)


def _reduce_file(value: io.TextIOWrapper) -> Any:
    # Cloudpickle would send the rest of the file's text in its place.
    if value in (sys.stdin, sys.stdout, sys.stderr):
        return NotImplemented
    raise CannotTravel(f"cannot pickle the open file {value.name!r}")


def _reduce_memoryview(value: memoryview) -> Any:
    # Cloudpickle would make it bytes.
    flat = value.tobytes()
    plain = memoryview, (flat if value.readonly else bytearray(flat),)
    if value.format == "B" and value.ndim == 1:
        return plain
    if value.format.lstrip("@") not in _CAST_FORMATS:
        raise CannotTravel(f"a memoryview of the format {value.format!r} can be made only of the object that owns it")
    return memoryview.cast, (memoryview(plain[1][0]), value.format, *([value.shape] if value.ndim != 1 else []))


def _reduce_lru_cache(value: Any) -> Any:
    if _is_importable(value):
        return NotImplemented
    parameters = value.cache_parameters()
    # Said by a lambda of functools, which would go along with its code.
    state = {**vars(value), "cache_parameters": functools.partial(dict, **parameters)}
    about = (value.__wrapped__, parameters["maxsize"], parameters["typed"], functools._CacheInfo)
    return type(value), about, state


def _reduce_cached_property(value: functools.cached_property[Any]) -> Any:
    # Until Python 3.12 it holds a lock.
    state = {name: item for name, item in vars(value).items() if name != "lock"}
    return functools.cached_property, (value.func,), state


def _reduce_method(value: Any) -> Any:
    # A class method of a module stays one of that module: its function alone would travel with copies of its globals.
    if is_found_by_name(value):
        return getattr, (value.__self__, value.__name__)
    return NotImplemented


def _reduce_weak_dictionary(value: Any) -> Any:
    return type(value), (dict(value),)


def _is_importable(value: Any) -> bool:
    place: Any = sys.modules.get(value.__module__) if value.__module__ != "__main__" else None
    for name in value.__qualname__.split("."):
        place = getattr(place, name, None)
    return place is value


#: The flag of classes that are not part of a program's text: those of Python, and some of C.
_MADE_AT_RUN_TIME = 1 << 9
#: Attributes that only a class written in C has of its own.
_COMPILED_PARTS = (types.WrapperDescriptorType, types.MethodDescriptorType, types.ClassMethodDescriptorType)
#: Classes that cloudpickle makes from their only instance.
_SINGLETONS = (type(None), type(...), type(NotImplemented))
_REDUCERS: dict[type, Callable[[Any], Any]] = {
    io.TextIOWrapper: _reduce_file,
    memoryview: _reduce_memoryview,
    functools._lru_cache_wrapper: _reduce_lru_cache,
    types.MethodType: _reduce_method,
    functools.cached_property: _reduce_cached_property,
    weakref.WeakKeyDictionary: _reduce_weak_dictionary,
    weakref.WeakValueDictionary: _reduce_weak_dictionary,
}
