"""The environment of this program's Python, as its tasks name it: a worker that has the same folder runs them in it.

The mark is the fingerprint of `spec/runner.md`, section 9. In a task it is the environment that the task itself was
given, so that its own tasks run where it would.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from typing import Any, NamedTuple

from . import packages
from .task import Blob

_DIGITS = 32
_PREFIX_BYTES_MAX = 4096


class Environment(NamedTuple):
    """What tasks say of their environment."""

    #: The field `environment` of their meta.
    meta: dict[str, Any] | None
    #: Blobs that it names.
    blobs: tuple[Blob, ...] = ()


NONE = Environment(None)


def of_program() -> Environment:
    """The environment of this program, or of its task."""
    current = sys.modules.get("_argon._runner.current")
    if current is not None:
        given = getattr(current, "environment", None)
        if not isinstance(given, dict):
            return NONE
        # The task itself needed the list, so its runner has it.
        text = current.blob(given["packages"]) if isinstance(given.get("packages"), str) else None
        return Environment(given) if text is None else Environment(given, (_blob(text),))
    return Environment(_of_interpreter(sys.prefix, sys.executable))


@functools.lru_cache(maxsize=1)
def _of_interpreter(prefix: str, executable: str) -> dict[str, Any] | None:
    is_python = os.path.basename(executable or "").startswith("python")
    if not is_python or getattr(sys, "frozen", False) or not os.path.isabs(prefix):
        # A program that has a Python within it.
        return None
    try:
        if len(prefix.encode()) > _PREFIX_BYTES_MAX:
            return None
        folder = os.stat(prefix).st_ino
        python = _facts(executable)
    except (OSError, UnicodeError):
        return None
    try:
        config = _facts(os.path.join(prefix, "pyvenv.cfg"))
    except OSError:
        config = None
    return {"python": _version(), "prefix": prefix, "mark": mark(prefix, folder, python, config)}


def with_packages(wanted: packages.Packages) -> Environment:
    """The environment with these packages, which a worker makes."""
    text = "\n".join(packages.requirements(wanted)).encode()
    return Environment(_meta_of(hashlib.sha256(text).digest()), (_blob(text),))


def _meta_of(name: bytes) -> dict[str, Any]:
    return {"python": _version(), "packages": name.hex()}


def _blob(text: bytes) -> Blob:
    return Blob(hashlib.sha256(text).digest(), [memoryview(text)], len(text))


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def mark(prefix: str, folder: int, python: tuple[int, ...], config: tuple[int, ...] | None) -> str:
    """The fingerprint of a folder: its inode, and inode, size and time of its interpreter and its pyvenv.cfg."""
    shown = "-" if config is None else " ".join(map(str, config))
    text = f"argon environment 1\n{prefix}\n{folder}\n{' '.join(map(str, python))}\n{shown}\n"
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _facts(path: str) -> tuple[int, int, int]:
    facts = os.stat(path)
    return facts.st_ino, facts.st_size, facts.st_mtime_ns // 1_000_000_000
