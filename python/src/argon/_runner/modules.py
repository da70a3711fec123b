"""Modules that come from the client of the task.

Owns the first entry of ``sys.meta_path``: there the client's own modules win, as they do in its program, and
cloudpickle, since only the version that wrote the code of a task is sure to read it. Owns the last entry, too, for what
the worker's machine lacks. ``ARGON_NO_REMOTE_MODULES`` in the environment turns all of it off.
"""

from __future__ import annotations

import _thread
import os
import sys
import time

from .channel import ANSWER, ASK

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

    from .channel import WorkerChannel
    from .family import Family

_CODES_MAX = 1000
#: Seconds for which a runner repeats an unanswered question in one task: a client that lost its connection comes back.
PATIENCE_S = 10.0
AGAIN_S = 0.2
#: The function of the import system that asks finders when a module is to be imported.
_IMPORT = "_find_and_load_unlocked"
_ModuleSpec: Any = type(sys.__spec__)
#: Modules that the runner itself may import later; a program with a module of such a name could not use this package.
_NEEDED = frozenset(
    {"atexit", "gc", "importlib", "io", "json", "linecache", "logging", "re", "resource", "struct"}
).union({"time", "traceback", "types", "warnings", "weakref", "_argon"}, sys.builtin_module_names, sys.modules)


class RemoteModules:
    """Asks the client of the running task for modules, and makes them."""

    def __init__(self, channel: WorkerChannel, family: Family) -> None:
        self._channel = channel
        self._family = family
        self._process = os.getpid()
        self._asks = 0
        self._patient_until: float | None = None
        #: The id and attempt of the running task; None when there is none to ask for.
        self._task: bytes | None = None
        #: Held by who speaks on the socket: threads of a task import modules too.
        self.lock = _thread.allocate_lock()
        self._codes: dict[tuple[str, str], CodeType] = {}
        self._first = _First(self)
        #: Top-level names of modules that come from the client even if the machine has them; and the meta that says so.
        self.own: frozenset[str] = frozenset()
        self._meta: Any = None
        self._is_installed = False

    def install(self) -> None:
        """Begins to answer for imports."""
        self._is_installed = True
        self.keep_place()

    def keep_place(self) -> None:
        """Stands at both ends of the list of finders again, whatever a task or a library did to it."""
        finders: list[Any] = sys.meta_path
        if not self._is_installed or (finders and finders[-1] is self and finders[0] is self._first):
            return
        others = [finder for finder in finders if finder is not self and finder is not self._first]
        finders[:] = [self._first, *others, self]

    def take_own(self, meta: dict[str, Any]) -> None:
        """Takes the names of the client's own modules from a meta."""
        if meta is self._meta:
            return
        self._meta = meta
        before, self.own = self.own, frozenset(meta.get("own") or ())
        # One that was found on the machine before the client had its own.
        for name in list(sys.modules) if self.own - before else ():
            top = name.partition(".")[0]
            if top in self.own and top not in before and top not in _NEEDED and not self.is_of_client(name):
                del sys.modules[name]

    def is_of_client(self, name: str) -> bool:
        """True if the module was made of the client's text."""
        return name in self._family.modules.modules

    def begin(self, task: bytes) -> None:
        """A task begins; ``task`` is its id and attempt as in ASK."""
        self._task = task
        self._patient_until = None
        if self._family.modules.unanswered:
            self._family.modules.forget_unanswered()

    def has_task(self) -> bool:
        """True while a task runs."""
        return self._task is not None

    def send_of_task(self, kind: int, body: bytes) -> None:
        """Sends a message that names the running task; with the lock held."""
        if self._task is not None:
            self._channel.send(kind, self._task, body)

    def end(self) -> None:
        """No more questions from here on; call it with the lock held."""
        self._task = None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Called by the import system when no other finder has the module."""
        parent = name.rpartition(".")[0]
        if parent and not _is_open(sys.modules.get(parent)):
            # The machine has the package, without this part: a part of another version would be no help.
            return None
        spec = self.ask(name)
        if spec is None:
            self._refuse(name)
        return spec

    def _refuse(self, name: str) -> None:
        """Lets an import fail with the answer of the client. A mere test for the module, as by `find_spec`, finds none."""
        refused = self._family.modules.refused
        if name not in refused or sys._getframe(3).f_code.co_name != _IMPORT:
            return
        worker = os.environ.get("ARGON_WORKER", "")
        why = refused[name]
        python = f"Python {'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}"
        message = f"No module named {name!r} on the worker {worker} ({python}); its client does not give it: {why}"
        raise ModuleNotFoundError(message, name=name)

    def ask(self, name: str) -> Any:
        """The spec of a module of the client, or None."""
        if self._task is None or os.getpid() != self._process or name == "__main__":
            return None
        known = self._family.modules
        if name in known.refused:
            return None
        with self.lock:
            if self._task is None:
                return None
            is_yes, text = self._exchange(name, known.generation)
            while not is_yes and not text and self._has_patience():
                time.sleep(AGAIN_S)
                is_yes, text = self._exchange(name, known.generation)
        if not is_yes:
            known.refuse(name, text.decode(errors="replace"))
            return None
        import json

        found = json.loads(text)
        if "refused" in found:
            raise ModuleNotFoundError(f"The module {name!r} of the client is not given: {found['refused']}", name=name)
        spec = _ModuleSpec(name, self, origin=found["file"] or "a folder of the client", is_package=found["package"])
        spec.has_location = found["file"] is not None
        spec.loader_state = known.sources[name] = found["source"]
        return spec

    def _has_patience(self) -> bool:
        """True if the question is to be asked again: a refusal without a reason comes while the client is away."""
        now = time.monotonic()
        if self._patient_until is None:
            self._patient_until = now + PATIENCE_S
        return now < self._patient_until

    def _exchange(self, name: str, generation: int) -> tuple[bool, bytes]:
        import json

        self._asks = ask = (self._asks + 1) & 0xFFFFFFFF
        question: dict[str, Any] = {"kind": "python-module", "name": name}
        if generation:
            # Another question, since workers remember the answers.
            question["modules"] = generation
        text = json.dumps(question).encode()
        assert self._task is not None
        self._channel.send(ASK, self._task, ask.to_bytes(4, "big"), text)
        answer = self._channel.next_of(ANSWER)[1]
        if int.from_bytes(answer[28:32], "big") != ask:
            raise ValueError("argon runner: the worker answered another question than the one that was asked")
        return answer[32] == 0, bytes(answer[33:])

    def create_module(self, spec: Any) -> None:
        """The usual kind of module."""

    def exec_module(self, module: ModuleType) -> None:
        """Runs the client's text."""
        spec: Any = module.__spec__
        made = self._family.modules.modules
        made[spec.name] = module
        for name in _modules_being_made():
            # A local module that holds a client's module is a client's too.
            made.setdefault(name, sys.modules[name])
        exec(self._code(spec), module.__dict__)

    def _code(self, spec: Any) -> CodeType:
        key = spec.origin, spec.loader_state
        code = self._codes.get(key)
        if code is None:
            if len(self._codes) >= _CODES_MAX:
                self._codes.clear()
            code = self._codes[key] = compile(spec.loader_state, spec.origin, "exec", dont_inherit=True)
        return code

    def get_source(self, name: str) -> str | None:
        """For tracebacks and ``inspect``."""
        return self._family.modules.sources.get(name)

    def is_package(self, name: str) -> bool:
        """For ``inspect`` and ``runpy``."""
        return hasattr(sys.modules.get(name), "__path__")


class _First:
    """Finds cloudpickle at the client before the machine's own is looked for."""

    def __init__(self, modules: RemoteModules) -> None:
        self._modules = modules

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        top = name.partition(".")[0]
        if top == "cloudpickle" or (top in self._modules.own and top not in _NEEDED):
            return self._modules.ask(name)
        return None


def _is_open(package: ModuleType | None) -> bool:
    """True if parts of a package may come from the client: it does itself, or is a folder that several share."""
    spec = getattr(package, "__spec__", None)
    return spec is None or isinstance(spec.loader, RemoteModules) or not spec.has_location


def _modules_being_made() -> set[str]:
    """The modules whose text is being run further up, and so import what is imported now."""
    names = set()
    frame: Any = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            name = frame.f_globals.get("__name__")
            if name in sys.modules and name != "__main__":
                names.add(name)
        frame = frame.f_back
    return names
