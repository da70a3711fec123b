"""Loads the code of a task, and the shared values that it refers to.

Owns the blobs that this runner has, and the functions that it found by name. A callable that came by value is read anew
for each task, so that no task sees what another did to the variables that it captured.
"""

from __future__ import annotations

import sys

from .._code import payloads

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any, Callable

#: Blobs beyond this are dropped, except those of the task at hand; the worker sends them again when they are needed.
BLOB_BYTES_MAX = 256 << 20
METAS_MAX = 1000
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Blobs:
    """Blobs by hash, and the shared values made of them."""

    def __init__(self) -> None:
        self._bytes: dict[bytes, memoryview] = {}
        self._values: dict[bytes, Any] = {}
        self._constants: dict[bytes, Any] = {}
        self._size = 0

    def keep(self, name: bytes, text: memoryview) -> None:
        """Takes a blob."""
        self.drop(name)
        self._bytes[name] = text.toreadonly()
        self._size += len(text)

    def drop(self, name: bytes) -> None:
        """Forgets a blob, if it is there."""
        self._values.pop(name, None)
        self._constants.pop(name, None)
        text = self._bytes.pop(name, None)
        self._size -= len(text) if text is not None else 0

    def text(self, name: str) -> bytes | None:
        """The bytes of a blob, if it is here."""
        found = self._bytes.get(bytes.fromhex(name))
        return None if found is None else bytes(found)

    def has_all(self, names: list[bytes]) -> bool:
        """True if all are here and nothing is to be dropped; they are now the last to be dropped."""
        have = self._bytes
        for name in names:
            if name not in have:
                return False
            have[name] = have.pop(name)
        return self._size <= BLOB_BYTES_MAX

    def missing(self, names: list[bytes]) -> list[bytes]:
        """Those that have to be asked for. The others are now the last to be dropped."""
        have = self._bytes
        for name in names:
            if name in have:
                have[name] = have.pop(name)
        return [name for name in names if name not in have]

    def shrink(self, needed: list[bytes]) -> None:
        """Drops what was not used for the longest time, until the rest is small enough."""
        for name in list(self._bytes) if self._size > BLOB_BYTES_MAX else ():
            if self._size > BLOB_BYTES_MAX and name not in needed:
                self.drop(name)

    def forget_values(self) -> None:
        """Another client's classes may hide behind the same bytes."""
        self._values.clear()
        self._constants.clear()

    def value(self, name: bytes) -> Any:
        """The shared value of a blob, made once."""
        if name not in self._values:
            self._values[name] = payloads.loads(self._bytes[name], self.value)
        return self._values[name]

    def callable(self, name: bytes, lookup: payloads.Lookup | None) -> Any:
        """Makes the content of a blob of code anew, with captured arrays, because the task may change its copy."""
        blob = self._bytes[name]
        return payloads.loads(blob if payloads.is_one_part(blob) else bytearray(blob), lookup)

    def constant(self, name: bytes) -> Any:
        """Makes the content of a blob of code once; its runs do not change it."""
        found = self._constants.get(name)
        if found is None:
            found = self._constants[name] = self.callable(name, None)
        return found


class Metas:
    """Meta texts as they were read, and the functions that they name."""

    def __init__(self) -> None:
        # The usual ones need not be read.
        usual: list[dict[str, Any]] = [{"python": PYTHON}, {"python": PYTHON, "constant": True}]
        texts = f'{{"python":"{PYTHON}"}}', f'{{"python":"{PYTHON}","constant":true}}'
        self._known: dict[bytes, dict[str, Any]] = dict(zip(map(str.encode, texts), usual))
        self._functions: dict[str, Callable[..., Any]] = {}

    def read(self, text: bytes) -> dict[str, Any]:
        """The meta of a task. What cannot be read is refused when the task begins."""
        found = self._known.get(text)
        if found is None:
            if len(self._known) >= METAS_MAX:
                self._known.clear()
            found = self._known[text] = _read(text)
        return found

    def forget_functions(self) -> None:
        """Their modules may be others now."""
        self._functions.clear()

    def function(self, meta: dict[str, Any]) -> Callable[..., Any]:
        """The function that a meta names. Raises RuntimeError in words, or what importing its module raises."""
        if "trouble" in meta:
            raise RuntimeError(meta["trouble"])
        call = meta.get("call")
        if not isinstance(call, str):
            raise RuntimeError("the task names no code and no function")
        function = self._functions.get(call)
        if function is None:
            if len(self._functions) >= METAS_MAX:
                self._functions.clear()
            function = self._functions[call] = _find(call)
        return function


def check_version(meta: dict[str, Any]) -> None:
    """Refuses what was made for another Python. The worker chooses the runner, so this should not happen."""
    wanted = meta.get("python")
    if wanted is not None and wanted != PYTHON:
        raise RuntimeError(f"the task was made by Python {wanted}, and this runner is of Python {PYTHON}")


def _read(text: bytes) -> dict[str, Any]:
    try:
        meta = _of_json(text) if text else {}
    except ValueError as error:
        return {"trouble": f"the meta of the task cannot be read: {error}"}
    return meta if isinstance(meta, dict) else {"trouble": "the meta of the task is not an object"}


class _Scanned:
    """What the scanner of ``json`` wants to know."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = parse_constant = float
    parse_int = int


def _of_json(text: bytes) -> Any:
    """As ``json.loads``, by its C part alone: the module takes longer to load than a runner to start."""
    try:
        from _json import make_scanner

        decoded = text.decode()
        value, end = make_scanner(_Scanned)(decoded, 0)  # type: ignore[arg-type]
        if end == len(decoded):
            return value
    except (ImportError, StopIteration, ValueError):
        pass
    import json

    return json.loads(text)


def _find(call: str) -> Callable[..., Any]:
    module, colon, name = call.partition(":")
    if colon:
        found: Any = _module(module)
        names = name.split(".")
    else:
        found, names = _longest_module(call)
    for part in names:
        if not hasattr(found, part):
            raise RuntimeError(f"there is no function {call}: {_title(found)} has no {part!r}")
        found = getattr(found, part)
    if not callable(found):
        raise RuntimeError(f"{call} cannot be called: it is of type {type(found).__qualname__}")
    return found  # type: ignore[no-any-return]


def _longest_module(call: str) -> tuple[Any, list[str]]:
    """A dotted path taken apart: as much of it as is a module, and the names in it."""
    parts = call.split(".")
    if len(parts) < 2 or not all(parts):
        raise RuntimeError(f"{call!r} is not the name of a function: write it as 'package.module:function'")
    for end in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:end])
        try:
            return _module(name), parts[end:]
        except ModuleNotFoundError as error:
            # A module that exists may lack another one; then that error is the right one.
            is_this = error.name is not None and (name == error.name or name.startswith(f"{error.name}."))
            if end == 1 or not is_this:
                raise
    raise AssertionError("the loop ends with a module or an error")


def _module(name: str) -> Any:
    if not name:
        raise RuntimeError("the task names a function without its module")
    __import__(name)
    return sys.modules[name]


def _title(found: Any) -> str | None:
    return getattr(found, "__name__", None) or type(found).__qualname__
