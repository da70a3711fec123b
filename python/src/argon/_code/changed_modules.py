"""Notices that a module was changed in memory: a worker that imports it loads the unchanged file.

Looks at what a function that is about to be sent finds in modules of the user: plain values, functions, and what
`unittest.mock` put in their place, against the text of the file. A program that sends such a module by value is left in
peace. What the text does not say, as the value of a call, is not judged.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
import types
import warnings
import weakref
from collections.abc import Iterator
from typing import Any, Callable, NamedTuple, Union

from ..errors import ModuleChanged
from . import own_modules, source_names

_FUNCTIONS_MAX = 64
_ITEMS_MAX = 1000
_TEXT_MAX = 60
_MISSING = object()
_PLAIN = (int, float, complex, str, bytes, bool, type(None))
_OWN = os.path.dirname(os.path.dirname(__file__)) + os.sep

_Holder = Union[types.ModuleType, type]
#: A name in a module or class, and the value that was last found all right.
_Place = tuple[_Holder, str, Any]

#: By function, what it finds in the user's modules.
_places: weakref.WeakKeyDictionary[Any, list[_Place]] = weakref.WeakKeyDictionary()
_told: set[str] = set()


def look(function: Any, is_by_value: Callable[[str], bool]) -> None:
    """Warns, once for each name, if what the function finds in its modules is not what their files say."""
    if type(function) is not types.FunctionType:
        # The hot path of `map(abs, …)`.
        if type(function) is types.BuiltinFunctionType:
            return
        function = _innermost(function)
        if type(function) is not types.FunctionType:
            return
    places = _places.get(function)
    if places is None or not all(_is_as_it_was(place) for place in places):
        places = _places[function] = _judged(function, is_by_value)


def _is_as_it_was(place: _Place) -> bool:
    holder, name, value = place
    return vars(holder).get(name, _MISSING) is value and type(value) not in source_names.CONTAINERS


def _judged(function: types.FunctionType, is_by_value: Callable[[str], bool]) -> list[_Place]:
    places: list[_Place] = []
    seen: set[tuple[int, str]] = set()
    for found in _found_by(function, is_by_value):
        holder, name, module = found.holder, found.name, found.module
        if (id(holder), name) in seen:
            continue
        seen.add((id(holder), name))
        if not name:
            continue
        value = vars(holder).get(name, _MISSING)
        if isinstance(holder, type):
            path, texts = f"{module.__name__}.{holder.__qualname__}.{name}", source_names.of_class(holder, module)
        else:
            path, texts = (
                f"{module.__name__}.{name}",
                source_names.of_module(module) if own_modules.is_own(module) else source_names.Names(),
            )
        written = texts.get(name, source_names.UNKNOWN)
        if value is not _MISSING and path not in _told and _differs(module, name, value, written):
            _told.add(path)
            _warn(path, value, written, found.reader)
        places.append((holder, name, value))
    return places


class _Found(NamedTuple):
    """A name that a function reads; an empty name is the module itself."""

    holder: _Holder
    name: str
    module: types.ModuleType
    #: The module that has to be sent by value, for the worker to see what is here.
    reader: str


def _found_by(function: types.FunctionType, is_by_value: Callable[[str], bool]) -> Iterator[_Found]:
    """Names that a function, and those that it calls, read in modules of the user."""
    left, seen = [(function, False)], {id(function)}
    # Classes that were met, and all names that are read: which of them are a class's is not known.
    kinds: dict[type, tuple[types.ModuleType, str]] = {}
    read = {"__init__", "__call__"}
    while left:
        one, is_by_name = left.pop()
        names = set(_names(one.__code__))
        _note_imports(one.__code__, names)
        own = sys.modules.get(one.__module__) if isinstance(one.__module__, str) else None
        if own is not None and vars(own) is not one.__globals__:
            own = None
        # A worker that imports the function imports all that it reads, too, whatever the program sends by value.
        is_by_name = is_by_name or (own is not None and "<" not in one.__qualname__ and _is_imported(own, is_by_value))

        def is_judged(module: Any, is_by_name: bool = is_by_name) -> bool:
            is_module = isinstance(module, types.ModuleType) and own_modules.is_own(module)
            return is_module and (is_by_name or not is_by_value(module.__name__))

        def reader_of(module: types.ModuleType, own: Any = own) -> str:
            return own.__name__ if own is not None and is_by_value(module.__name__) else module.__name__

        called: list[Any] = []
        found = [(name, one.__globals__[name]) for name in names if name in one.__globals__]
        for cell in one.__closure__ or ():
            try:
                found.append(("", cell.cell_contents))
            except ValueError:
                continue
        if own is not None and is_by_name and is_judged(own):
            yield _Found(own, "", own, own.__name__)
            for name, _ in found:
                if name:
                    yield _Found(own, name, own, reader_of(own))
            found.append(("", getattr(own, one.__qualname__.partition(".")[0], None)))
        for _, value in found:
            if is_judged(value):
                yield _Found(value, "", value, value.__name__)
                inner = [name for name in names if name in vars(value)]
                yield from (_Found(value, name, value, reader_of(value)) for name in inner)
                called += [vars(value)[name] for name in inner]
            elif isinstance(value, types.ModuleType) and not own_modules.is_own(value):
                # Of modules that are installed only what the program put there is looked at.
                yield from (_Found(value, name, value, value.__name__) for name in names if name in vars(value))
            else:
                called.append(value)
        met: set[type] = set()
        for kind in (kind for item in called for kind in _classes(item)):
            home = sys.modules.get(kind.__module__)
            if kind in met or not isinstance(home, types.ModuleType):
                continue
            met.add(kind)
            if kind.__module__ == "__main__" or own_modules.is_own(home):
                # Looked at in turn, for what they are made of.
                called += [vars(kind)[name] for name in (*names, "__init__", "__call__") if name in vars(kind)]
                if is_judged(home):
                    kinds[kind] = home, reader_of(home)
        read |= names
        for further in map(_innermost, called):
            is_new = type(further) is types.FunctionType and id(further) not in seen
            if is_new and len(seen) < _FUNCTIONS_MAX:
                seen.add(id(further))
                left.append((further, is_by_name))
    for kind, (home, reader) in kinds.items():
        yield from (_Found(kind, name, home, reader) for name in source_names.of_class(kind, home) if name in read)


def _is_imported(module: types.ModuleType, is_by_value: Callable[[str], bool]) -> bool:
    return module.__name__ != "__main__" and not is_by_value(module.__name__)


def _classes(value: Any) -> Iterator[type]:
    kind = value if isinstance(value, type) else type(value)
    if kind.__module__ != "builtins":
        yield from (base for base in kind.__mro__ if base.__module__ != "builtins")


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


def _differs(module: types.ModuleType, name: str, value: Any, written: Any) -> bool:
    if any(kind.__module__ == "unittest.mock" for kind in type(value).__mro__):
        return True
    if type(value) is types.FunctionType and value.__module__ == "__main__" != module.__name__:
        return True
    if written is source_names.UNKNOWN:
        return False
    if written is source_names.FUNCTION:
        is_it = type(value) is types.FunctionType and value.__code__.co_name == name
        return not is_it or hasattr(value, "__wrapped__") or value.__module__ != module.__name__
    return _is_plain(value) and (type(value) is not type(written) or value != written)


def _is_plain(value: Any) -> bool:
    if type(value) in _PLAIN:
        return True
    if type(value) in (tuple, list, set, frozenset):
        return len(value) <= _ITEMS_MAX and all(map(_is_plain, value))
    return type(value) is dict and len(value) <= _ITEMS_MAX and all(map(_is_plain, [*value, *value.values()]))


def _is_of_standard_library(name: str) -> bool:
    return name.partition(".")[0] in _standard_library()


@functools.cache
def _standard_library() -> frozenset[str]:
    """Python lists its modules since 3.10; before, they are those that are built in and those of its folders."""
    if sys.version_info >= (3, 10):
        return sys.stdlib_module_names
    names = set(sys.builtin_module_names)
    folder = os.path.dirname(os.__file__)
    for place in (folder, os.path.join(folder, "lib-dynload")):
        if os.path.isdir(place):
            names.update(name.partition(".")[0] for name in os.listdir(place))
    return frozenset(names)


def _note_imports(code: types.CodeType, names: set[str]) -> None:
    """Notes `import` statements within a function that find a file of the user here: a worker takes it from here."""
    for name in filter(_is_of_standard_library, names):
        top = name.partition(".")[0]
        try:
            spec = sys.modules[top].__spec__ if top in sys.modules else importlib.util.find_spec(top)
        except (ValueError, ImportError, AttributeError):
            continue
        # Names of attributes are among these: what is imported takes longer to find out.
        if own_modules.is_own_file(getattr(spec, "origin", None) or "") and name in _imports(code):
            own_modules.add(top)


def _imports(code: types.CodeType) -> Iterator[str]:
    import dis

    yield from (str(one.argval) for one in dis.get_instructions(code) if one.opname == "IMPORT_NAME" and one.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant)


def _warn(path: str, value: Any, written: Any, reader: str) -> None:
    there = {id(source_names.FUNCTION): "another function", id(source_names.UNKNOWN): "something else"}.get(id(written))
    _tell(
        f"{path} is {_shown(value)} here, and {there or _shown(written)} in its file: a worker imports the module, and "
        f"finds what the file says. Send the module as it is, with client.by_value({reader!r}), or pass the value"
    )


def _tell(text: str) -> None:
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
