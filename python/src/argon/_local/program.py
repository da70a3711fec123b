"""Finds the program `argon`: the one that ARGON_PROGRAM names, that of this package, or the first in PATH."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

#: The name of the module that the script of a package without a program imports.
_SCRIPT = b"argon._local.command"


def find() -> str | None:
    """The path of the program, or None."""
    named = os.environ.get("ARGON_PROGRAM")
    if named:
        return named
    for path in (*_of_this_package(), *_in_path()):
        if _is_program(path):
            return str(path)
    return None


def _of_this_package() -> Iterator[Path]:
    # site-packages of an environment, of the user or of `pip install --target`: the script's folder is `bin` beside it,
    # or next to `lib`.
    site = Path(__file__).resolve().parents[2]
    # `argon python-lib` puts a link to itself beside the package that it unpacks.
    yield site / "argon-program"
    for folder in (site, *list(site.parents)[:3]):
        yield folder / "bin" / "argon"
    yield Path(sysconfig.get_path("scripts")) / "argon"


def _in_path() -> Iterator[Path]:
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        if folder:
            yield Path(folder) / "argon"


def _is_program(path: Path) -> bool:
    """True if the file can be executed and is not the script that looks for the program."""
    if not os.access(path, os.X_OK) or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError:
        return True
    return not (start.startswith(b"#!") and _SCRIPT in start)
