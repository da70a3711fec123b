"""Modules that a runner has from its client, and those that the client refused.

A runner serves one family of sessions: a client, and the clients of its tasks, which have the same modules. The client
names a *generation* of its modules. When it has loaded one again, the runner forgets those of the generation before.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from types import ModuleType

REFUSED_MAX = 1000


class ClientModules:
    """The modules of one generation."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        #: By name, the modules made of the client's text, and the local ones that were made with them.
        self.modules: dict[str, ModuleType] = {}
        #: By name, the text that the client gave, for tracebacks.
        self.sources: dict[str, str] = {}
        #: By name, why the client does not give it.
        self.refused: dict[str, str] = {}
        #: Those of them that it did not say itself.
        self.unanswered: list[str] = []

    def refuse(self, name: str, why: str) -> None:
        """Remembers a no, so that it is not asked again; one without words only for the task at hand."""
        if not why:
            self.unanswered.append(name)
            why = "it is away"
        if len(self.refused) >= REFUSED_MAX:
            self.refused.clear()
        self.refused[name] = why

    def forget_unanswered(self) -> None:
        """Lets it be asked again."""
        for name in self.unanswered:
            self.refused.pop(name, None)
        self.unanswered.clear()

    def forget(self) -> None:
        """Takes them out of the program: those that are there, for some failed while they were made."""
        for name in self.modules:
            module = sys.modules.pop(name, None)
            if module is not None:
                _remove_from_parent(name, module)


class Family:
    """The family of sessions that this runner serves."""

    def __init__(self) -> None:
        self._number: bytes | None = None
        self.modules = ClientModules(0)

    def enter(self, number: bytes, generation: int) -> bool:
        """A task begins. True if what was made of modules before is old. Raises ValueError for another family."""
        if self._number is None:
            self._number = number
        elif self._number != number:
            raise ValueError("argon runner: the worker sent a task of another client")
        if self.modules.generation == generation:
            return False
        self.modules.forget()
        self.modules = ClientModules(generation)
        return True


def _remove_from_parent(name: str, module: ModuleType) -> None:
    """Removes a module from its package, if it is still there."""
    parent, _, last = name.rpartition(".")
    package = vars(sys.modules[parent]) if parent in sys.modules else {}
    if package.get(last) is module:
        del package[last]
