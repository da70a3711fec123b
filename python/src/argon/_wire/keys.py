"""Finds the cluster key: the option, the environment, the default file. `dial` calls it before each connection.

Finds the pin of the key's manager, too, which a connection over TLS needs.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from pathlib import Path
from typing import NamedTuple

from . import protocol

# Bytes of a key file that are read: far more than a key has.
_FILE_BYTES = 4096
_PROGRAM_S = 5.0


class KeyProblem(Exception):
    """There is no key that a client can use; the text explains what to do."""


class NoKey(KeyProblem):
    """None was given, and there is none where one would be."""


class Key(NamedTuple):
    """Key of the client's role, its origin, and the manager's pin if the key carries one."""

    secret: bytes
    origin: str
    pin: bytes | None = None
    #: The line of a cluster key, of which the program `argon` can derive the pin.
    cluster_line: str | None = None
    #: Name and id of a person's key, as HELLO has them.
    holder: tuple[str, str] | None = None


def find(option: str | os.PathLike[str] | None, manager: str = "HOST:PORT") -> Key:
    """The key that the option, else ARGON_KEY, else the default file holds; ``manager`` is the address in the advice."""
    if option:
        return _read(os.fspath(option), "the option key")
    variable = os.environ.get("ARGON_KEY")
    if variable:
        return _read(variable, "the environment variable ARGON_KEY")
    path = default_path()
    if path is not None and _is_of_another_role(path) and path.with_name("client.key").exists():
        path = path.with_name("client.key")
    if path is not None and path.exists():
        return _from_file(path, "the default key file")
    where = f"{path} does not exist" if path else "neither XDG_CONFIG_HOME nor HOME names a folder from the root"
    raise NoKey(
        f"There is no cluster key: {where}. To get a key for this machine, run `argon pair {manager}` "
        "here. On the manager's machine there is one already (`argon key` shows where). A key that lies elsewhere is "
        "given as key=FILE or in ARGON_KEY."
    )


def pin_of(key: Key) -> bytes:
    """Returns the pin of this key's manager, from the key itself or from the program `argon`."""
    if key.pin is not None:
        return key.pin
    if key.cluster_line is None:
        raise KeyProblem(
            f"The key from {key.origin} does not say which manager to trust, which a connection over TLS needs: make it "
            "anew with `argon key --role client` on the manager's machine, or give tls_ca if your organisation's CA "
            "vouches for the manager."
        )
    made = _derived.get(key.cluster_line)
    if made is None:
        made = _derived[key.cluster_line] = _ask_program(key)
    return made


_derived: dict[str, bytes] = {}


def _ask_program(key: Key) -> bytes:
    from shutil import which

    program = os.environ.get("ARGON_PROGRAM") or which("argon")
    said, problem = "", "neither PATH nor ARGON_PROGRAM leads to `argon`"
    if program:
        # In the environment, which other users cannot see.
        environment = {**os.environ, "ARGON_KEY": key.cluster_line or ""}
        try:
            ran = subprocess.run(
                [program, "key", "--pin"],
                check=False,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PROGRAM_S,
            )
            said = ran.stdout.decode("ascii", "replace").strip()
            problem = f"`{program} key --pin` ended with status {ran.returncode}"
        except (OSError, subprocess.TimeoutExpired) as error:
            problem = f"`{program} key --pin` did not run: {error}"
    if not re.fullmatch("[0-9a-f]{64}", said):
        raise KeyProblem(
            f"The key from {key.origin} does not say which manager to trust: copy the manager's key file with its line "
            f"`pin …`, or make a key with `argon key --role client`. The pin cannot be derived here, because {problem}."
        )
    return bytes.fromhex(said)


def default_path() -> Path | None:
    """The file in which a manager of the same user keeps the key. XDG ignores relative paths."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(config):
        return Path(config) / "argon" / "key"
    home = os.environ.get("HOME") if os.name == "posix" else None
    if home is None:
        home = os.path.expanduser("~")
    return Path(home) / ".config" / "argon" / "key" if os.path.isabs(home) else None


def _is_of_another_role(path: Path) -> bool:
    """True if there is no key here, or one that does not open the role of a client. Other mistakes are for the reader."""
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return start.startswith((b"argon1-worker-", b"argon1-observer-", b"argon1-admin-"))


def _read(given: str, origin: str) -> Key:
    if _bare(given).startswith("argon1-"):
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
        # A pipe without a writer must not stop the program.
        opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(opened, "rb") as file:
            mode = os.fstat(opened).st_mode
            _check(path, origin, mode)
            text = file.read(_FILE_BYTES).decode("utf-8", "replace")
    except OSError as error:
        if isinstance(error, IsADirectoryError) or path.is_dir():
            raise _folder(path, origin) from error
        raise KeyProblem(f"The key file {path} ({origin}) cannot be read: {error.strerror}.") from error
    if not _bare(text):
        raise KeyProblem(f"The key file {path} ({origin}) is empty: copy the key again.")
    return _parsed(text, str(path))


def _check(path: Path, origin: str, mode: int) -> None:
    """Raises where the kind or the mode of the opened file does not protect a key. The program has the same rule."""
    if stat.S_ISDIR(mode):
        raise _folder(path, origin)
    if not stat.S_ISREG(mode):
        raise KeyProblem(
            f"The key {path} ({origin}) is not a regular file, so its mode protects nothing: name a file, "
            "or give the key itself."
        )
    if os.name == "posix" and mode & 0o077:
        raise KeyProblem(f"The key {path} ({origin}) can be read by others; run: chmod 600 {path}")


def _folder(path: Path, origin: str) -> KeyProblem:
    return KeyProblem(f"The key {path} ({origin}) is a folder: name the file in it that holds the key.")


def _bare(text: str) -> str:
    """The text without white space around it and the byte order mark that some editors put before it."""
    return text.strip().removeprefix("\ufeff").strip()


def _parsed(text: str, origin: str) -> Key:
    found = protocol.parse_key(_bare(text))
    if found is None:
        raise KeyProblem(
            f"What {origin} holds is not an Argon key: it must be one line, argon1-SCOPE-64 hexadecimal digits, "
            "perhaps with -64 more for the manager's pin and -ID-NAME of its holder."
        )
    if found.scope == "cluster":
        line = f"argon1-cluster-{found.secret.hex()}"
        return Key(protocol.role_key(found.secret, "client"), origin, found.pin, line)
    if found.scope == "client":
        holder = (found.owner, found.id) if found.owner and found.id else None
        return Key(found.secret, origin, found.pin, holder=holder)
    raise KeyProblem(
        f"The key in {origin} is for the role {found.scope}: a client needs a cluster key "
        "or one made with `argon key --role client`."
    )
