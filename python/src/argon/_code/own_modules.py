"""Which modules are the program's own: files that are neither installed nor of the standard library.

A worker takes an own module from the client even if its machine has another of that name, because the program has found
its own. The meta of a task names them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
import types

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep
#: Bytes of names that a task's meta may hold.
NAMES_CHARACTERS_MAX = 16_000

#: By name, whether a module is one.
_known: dict[str, bool] = {}
#: Modules that a function imports when it is called: this program may not have loaded them.
_to_be_loaded: set[str] = set()


class _Seen:
    """The names as they were when a call last asked, and how many modules were loaded then."""

    count = -1
    names: tuple[str, ...] = ()


def names() -> tuple[str, ...]:
    """The top-level names of all own modules: the same object as long as they are the same."""
    count = len(sys.modules) + len(_to_be_loaded)
    if count != _Seen.count:
        _Seen.count = count
        found = {name.partition(".")[0] for name, module in list(sys.modules.items()) if _is_module(module, name)}
        listed = tuple(sorted(found | _to_be_loaded))
        if sum(map(len, listed)) > NAMES_CHARACTERS_MAX:
            # Only those that a worker is likely to have.
            listed = tuple(name for name in listed if name in getattr(sys, "stdlib_module_names", ()))
        if listed != _Seen.names:
            _Seen.names = listed
    return _Seen.names


def add(name: str) -> None:
    """A function imports this module, and would find an own one."""
    _to_be_loaded.add(name)


def is_own(module: types.ModuleType) -> bool:
    """True for a module that a worker takes from here."""
    name = module.__name__
    known = _known.get(name)
    if known is None:
        file = getattr(getattr(module, "__spec__", None), "origin", None) or ""
        known = _known[name] = isinstance(file, str) and is_own_file(file) and name != "__main__"
    return known


def is_own_file(file: str) -> bool:
    """The same for the file of a module."""
    return file.endswith(".py") and not os.path.realpath(file).startswith(_folders_of_others())


def _is_module(module: object, name: str) -> bool:
    return isinstance(module, types.ModuleType) and name != "__main__" and name == module.__name__ and is_own(module)


@functools.lru_cache(maxsize=1)
def _folders_of_others() -> tuple[str, ...]:
    """Folders of the standard library, of installed packages, and of this one."""
    paths = _paths_of_installation()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*(os.path.realpath(folder) + os.sep for folder in folders), os.path.realpath(_PACKAGE) + os.sep)


def _paths_of_installation() -> dict[str, str]:
    """Those of ``sysconfig``, read on a thread of its own: a signal handler that raises there would spoil that module."""
    found: list[dict[str, str]] = []

    def read() -> None:
        import sysconfig

        found.append(sysconfig.get_paths())

    thread = threading.Thread(target=read, name="argon-paths", daemon=True)
    with contextlib.suppress(RuntimeError):  # At the end of the interpreter, no thread begins any more.
        thread.start()
        thread.join()
    if not found:
        read()
    return found[0]
