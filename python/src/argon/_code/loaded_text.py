"""Checks that the file of a module still holds the text that this program has loaded.

A file that has not changed since the process began is right. Otherwise its text is compiled, and its functions and plain
values are compared with those of the module. No code of the module runs.
"""

from __future__ import annotations

import os
import struct
import time
import types
from collections.abc import Iterator
from typing import Any

from . import source_names

_MISSING = object()
_PLAIN = (int, float, complex, str, bytes, bool, type(None))


def _process_began() -> float:
    """Start of this process in seconds since 1970; the present time where that is not known."""
    try:
        with open("/proc/self/stat", "rb") as stat, open("/proc/uptime", "rb") as uptime:
            ticks = int(stat.read().rpartition(b")")[2].split()[19])
            since_boot = float(uptime.read().split()[0])
        return time.time() - since_boot + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.time()


#: Not the time of a forked child: its modules are its parent's.
_BEGAN = _process_began()


def is_text_of(module: types.ModuleType, text: str, file: str) -> bool:
    """True if the module was made of this text, as far as can be seen."""
    try:
        status = os.stat(file)
        if max(status.st_mtime, status.st_ctime) < _BEGAN:
            return True
        code = compile(text, file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return False
    # A value that is another may have been set by the program, if the file was compiled as it is now.
    return _has_functions_of(module, code) and (_has_values_of(module, text) or _is_compiled(module, status))


def _is_compiled(module: types.ModuleType, status: os.stat_result) -> bool:
    """True if the compiled text next to the file was made of the file as it is now."""
    cached = getattr(module.__spec__, "cached", None)
    try:
        with open(cached or "", "rb") as compiled:
            head = compiled.read(16)
    except OSError:
        return False
    time_and_size = int(status.st_mtime) & 0xFFFFFFFF, status.st_size & 0xFFFFFFFF
    return len(head) == 16 and struct.unpack_from("<III", head, 4) == (0, *time_and_size)


def _has_functions_of(module: types.ModuleType, code: types.CodeType) -> bool:
    written: dict[str, list[types.CodeType]] = {}
    for one in _inner(code):
        written.setdefault(one.co_name, []).append(one)
    return all(one in written.get(one.co_name, ()) for one in _codes_of(module))


def _has_values_of(module: types.ModuleType, text: str) -> bool:
    for name, value in source_names.of_text(text).items():
        held = vars(module).get(name, _MISSING)
        if value is source_names.FUNCTION:
            if held is _MISSING:
                return False
        elif value is source_names.UNKNOWN or isinstance(value, source_names.Names):
            continue
        elif held is _MISSING or (_is_plain(held) and (type(held) is not type(value) or held != value)):
            return False
    return True


def _inner(code: types.CodeType) -> Iterator[types.CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield constant
            yield from _inner(constant)


def _codes_of(module: types.ModuleType) -> Iterator[types.CodeType]:
    """The code of the functions and methods that the module has defined itself."""
    for value in list(vars(module).values()):
        if isinstance(value, type) and value.__module__ == module.__name__:
            for item in list(vars(value).values()):
                yield from _code_of(getattr(item, "__func__", item), module)
        else:
            yield from _code_of(value, module)


def _code_of(value: Any, module: types.ModuleType) -> Iterator[types.CodeType]:
    value = getattr(value, "__wrapped__", value) if not isinstance(value, type) else value
    is_function = type(value) is types.FunctionType and value.__globals__ is vars(module)
    if is_function and value.__code__.co_filename == getattr(module.__spec__, "origin", None):
        yield value.__code__


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain, value)))
