"""The packages that tasks need: a list, or a file that names them, read here and sent as a list.

One requirement is one line, as `pip` reads it. A worker installs the list once (`spec/runner.md`, section 9).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, Union

from ..errors import OptionError

#: A list of requirements, or the path of a file that names them.
Packages = Union[str, "os.PathLike[str]", Iterable[str]]

LIST_BYTES_MAX = 64 << 10
_ADVICE = "give a list such as ['numpy==2.4'], or the path of a requirements.txt, pyproject.toml or uv.lock"
_REQUIREMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*([<>=!~;@(].*)?\Z")
_HASH_OPTION = re.compile(r"\s--hash[= ]\S+")
_DEPTH_MAX = 8


def requirements(packages: Packages) -> list[str]:
    """The requirements, sorted, each once."""
    if isinstance(packages, (str, os.PathLike)):
        found = list(_of_file(Path(packages)))
    else:
        found = [
            one if isinstance(one, str) else _refuse(f"has {one!r}, which is not text; {_ADVICE}") for one in packages
        ]
    lines = sorted({_checked(line) for line in found})
    if not lines:
        _refuse(f"names no package; {_ADVICE}")
    if len("\n".join(lines).encode()) > LIST_BYTES_MAX:
        _refuse(f"is longer than {LIST_BYTES_MAX} bytes")
    return lines


def _checked(line: str) -> str:
    line = line.strip()
    if not _REQUIREMENT.match(line) or not line.isprintable():
        _refuse(f"has {line!r}, which is not a requirement such as 'numpy==2.4'")
    return line


def _of_file(path: Path) -> Iterator[str]:
    if not path.is_file():
        _refuse(f"is {str(path)!r}, and there is no such file; {_ADVICE}")
    if path.name == "uv.lock":
        return _of_uv_lock(path)
    if path.suffix == ".toml":
        return _of_pyproject(path)
    return _of_requirements(path, 0)


def _of_requirements(path: Path, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        _refuse(f"names files within files, more than {_DEPTH_MAX} deep: {str(path)!r}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        _refuse(f"cannot be read from {str(path)!r}: {error}")
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = _HASH_OPTION.sub("", re.sub(r"(^|\s)#.*", "", line)).strip()
        option = re.match(r"(?:-r|--requirement)[ =]?\s*(.+)", line)
        if option:
            yield from _of_requirements(path.parent / option.group(1).strip(), depth + 1)
        elif line.startswith("-"):
            _refuse(
                f"cannot use the line {line!r} of {str(path)!r}: a worker has its own index (argon worker --python-index) "
                "and none of this machine's folders; remove the line"
            )
        elif line:
            yield line


def _of_pyproject(path: Path) -> Iterator[str]:
    project = _toml(path).get("project")
    if not isinstance(project, dict) or not isinstance(project.get("dependencies", []), list):
        _refuse(f"is {str(path)!r}, which has no list [project] dependencies")
    yield from map(str, project.get("dependencies", []))


def _of_uv_lock(path: Path) -> Iterator[str]:
    for package in _toml(path).get("package", []):
        source = package.get("source", {})
        if not isinstance(source, dict) or "registry" not in source:
            # The project itself, a folder, a repository: its modules travel by themselves.
            continue
        yield f"{package['name']}=={package['version']}"


def _toml(path: Path) -> dict[str, Any]:
    reader: Any = None
    for name in ("tomllib", "tomli"):
        with contextlib.suppress(ImportError):
            reader = reader or importlib.import_module(name)
    if reader is None:
        _refuse(f"is {str(path)!r}, and Python before 3.11 reads TOML with the package tomli only; install it here")
    try:
        found: dict[str, Any] = reader.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        _refuse(f"cannot be read from {str(path)!r}: {error}")


def _refuse(why: str) -> NoReturn:
    raise OptionError(f"Client: packages {why}")
