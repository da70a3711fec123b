"""The text of this program's modules, for workers that lack them.

Owns the answers to ``{"kind":"python-module"}`` (``spec/runner.md``, section 5): pure Python only, found as this
program would find it, without importing anything. Also notices that a module that was given away has been loaded again
since.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import re
import sys
from json import dumps as json_dumps
from pathlib import Path
from typing import Any

from .._wire.text import read_json
from . import compiled, loaded_text

#: An answer is one frame.
ANSWER_BYTES_MAX = (1 << 20) - 1024

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")
#: Modules that were sent: the name and the spec under which it was loaded here.
_given: dict[str, Any] = {}
#: The text of each, for the spec under which it was loaded: all tasks of one program see the same.
_texts: dict[str, tuple[Any, str]] = {}
_generation = 0


class NotGiven(LookupError):
    """Why a module is not given, in words."""


class Changed(LookupError):
    """The file of a module is not what this program has loaded, in words."""


def answer(name: str) -> bytes | None:
    """The answer for a module, or None if it cannot be given."""
    try:
        return _answer(name)
    except (NotGiven, Changed):
        return None


def reply(question: bytes) -> tuple[bool, bytes]:
    """The ANSWER to the JSON text of an ASK: True if the module is here, and its bytes."""
    try:
        asked = read_json(question)
        if not isinstance(asked, dict) or asked.get("kind") != "python-module":
            raise NotGiven("this client answers only for Python modules")
        return True, _answer(asked.get("name"))
    except Changed as why:
        # Not a no: a worker that has such a file itself must not take that instead.
        return True, json_dumps({"refused": str(why)}).encode()
    except NotGiven as why:
        return False, str(why).encode()
    except ValueError:
        return False, b"the question cannot be read"


def generation() -> int:
    """A number that grows when a module that was given away has been loaded again: what workers have of it is old.

    In a task it begins with that of the task's own client, because both have the same modules.
    """
    global _generation
    runner = sys.modules.get("_argon._runner.current")
    base: int = 0 if runner is None else getattr(runner, "generation", 0)
    for name, spec in list(_given.items()):
        module = sys.modules.get(name)
        if module is not None and module.__spec__ is not spec:
            if spec is not None:
                _generation += 1
            _given[name] = module.__spec__
    return base + _generation


def _answer(name: object) -> bytes:
    if not isinstance(name, str) or not _NAME.match(name) or name == "__main__":
        raise NotGiven(f"{name!r} is not the name of a module")
    spec = _find(name)
    if spec is None:
        raise NotGiven("the client does not have it either")
    top = name.partition(".")[0]
    whole = spec if top == name else _find(top)
    refusal = None if whole is None else compiled.refusal(top, whole)
    if refusal is not None:
        raise NotGiven(refusal)
    is_package = spec.submodule_search_locations is not None
    if is_package and (spec.loader is None or not spec.has_location):
        # A namespace package is a folder without text.
        source, file = "", None
    else:
        source, file = _text(name, spec), spec.origin
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()
    text = json_dumps({"package": is_package, "file": file, "source": source, "sha256": digest}).encode()
    if len(text) > ANSWER_BYTES_MAX:
        raise NotGiven(f"its text is longer than {ANSWER_BYTES_MAX} bytes; install it on the worker")
    _given[name] = getattr(sys.modules.get(name), "__spec__", None)
    return text


def _text(name: str, spec: importlib.machinery.ModuleSpec) -> str:
    """The text that this program has loaded, or would load. Raises NotGiven, and Changed if that is not in the file."""
    module = sys.modules.get(name)
    loaded = getattr(module, "__spec__", None)
    known = _texts.get(name)
    if known is not None and (known[0] is loaded or loaded is None):
        return known[1]
    text = _source(name, spec)
    # Also if it is refused: loaded again, it is another module.
    _given[name] = loaded
    if known is not None and known[0] is None and known[1] != text:
        raise Changed(f"its file {spec.origin} has changed since the first task got its text: restart the program")
    is_file = module is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader)
    if is_file and not loaded_text.is_text_of(sys.modules[name], text, spec.origin or ""):
        raise Changed(
            f"its file {spec.origin} has changed since this program loaded it: restart the program, use "
            f"importlib.reload, or send the module as it is with client.by_value({name!r})"
        )
    _texts[name] = loaded, text
    return text


def _source(name: str, spec: importlib.machinery.ModuleSpec) -> str:
    if spec.origin in ("built-in", "frozen") or isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
        raise NotGiven("it is compiled code on the client and must be installed on the worker")
    try:
        loader: Any = spec.loader
        if hasattr(loader, "get_source"):
            source = loader.get_source(name)
        else:
            # Loaders that change what they load, as that of pytest, do not tell what it was.
            source = importlib.util.decode_source(Path(spec.origin or "").read_bytes())
    except (ImportError, OSError, SyntaxError, UnicodeError) as error:
        raise NotGiven(f"its text cannot be read on the client: {error}") from None
    if source is None:
        raise NotGiven("the client has it without its source and it must be installed on the worker")
    return str(source)


def _find(name: str) -> importlib.machinery.ModuleSpec | None:
    loaded = getattr(sys.modules.get(name), "__spec__", None)
    if loaded is not None:
        return loaded  # type: ignore[no-any-return]
    parent, _, _ = name.rpartition(".")
    path = None
    if parent:
        found = _find(parent)
        if found is None or found.submodule_search_locations is None:
            return None
        path = list(found.submodule_search_locations)
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, path)
        except Exception:  # A finder that cannot tell does not know the module.
            spec = None
        if spec is not None:
            return spec
    return None
