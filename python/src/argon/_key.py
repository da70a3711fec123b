"""Finds the cluster key: the option, the environment, the default file. `_dial` calls it before each connection."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from . import _protocol


class KeyProblem(Exception):
    """There is no key that a client can use; the text says what to do."""


class Key(NamedTuple):
    """The key of the client's role, and where it came from."""

    secret: bytes
    origin: str


def find(option: str | os.PathLike[str] | None) -> Key:
    """The key that the option, else ARGON_KEY, else the default file holds."""
    if option:
        return _read(os.fspath(option), "the option key")
    variable = os.environ.get("ARGON_KEY")
    if variable:
        return _read(variable, "the environment variable ARGON_KEY")
    path = default_path()
    if path is not None and path.exists():
        return _from_file(path, "the default key file")
    where = f"{path} does not exist" if path else "neither XDG_CONFIG_HOME nor a home folder is known"
    raise KeyProblem(
        f"There is no cluster key: {where}. The manager makes it at its first start; `argon key` shows it there. "
        "Copy that file to this machine, or give it as key=FILE or in ARGON_KEY."
    )


def default_path() -> Path | None:
    """Where a manager of the same user puts the key."""
    config = os.environ.get("XDG_CONFIG_HOME")
    if config:
        return Path(config) / "argon" / "key"
    try:
        return Path.home() / ".config" / "argon" / "key"
    except RuntimeError:
        return None


def _read(given: str, origin: str) -> Key:
    if given.lstrip().startswith("argon1-"):
        return _parsed(given, origin)
    path = Path(given)
    if not path.exists():
        raise KeyProblem(
            f"There is no key file {given} (named by {origin}). "
            "`argon key` on the manager's machine shows where the key is."
        )
    return _from_file(path, origin)


def _from_file(path: Path, origin: str) -> Key:
    try:
        if path.is_dir():
            raise KeyProblem(f"The key {path} ({origin}) is a folder: name the file in it that holds the key.")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        is_exposed = os.name == "posix" and bool(path.stat().st_mode & 0o077)
    except OSError as error:
        raise KeyProblem(f"The key file {path} ({origin}) cannot be read: {error.strerror}.") from error
    if is_exposed:
        raise KeyProblem(f"The key {path} ({origin}) can be read by others; run: chmod 600 {path}")
    return _parsed(lines[0] if lines else "", str(path))


def _parsed(line: str, origin: str) -> Key:
    found = _protocol.parse_key(line)
    if found is None:
        raise KeyProblem(
            f"What {origin} holds is no Argon key: it must be one line, argon1-SCOPE-64 hexadecimal digits."
        )
    scope, secret = found
    if scope == "cluster":
        return Key(_protocol.role_key(secret, "client"), origin)
    if scope == "client":
        return Key(secret, origin)
    raise KeyProblem(
        f"The key in {origin} is for the role {scope}: a client needs a cluster key "
        "or one made with `argon key --role client`."
    )
