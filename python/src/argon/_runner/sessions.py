"""What a runner has from each client: modules, and which it was refused.

Owns the separation of clients: two of them may have different modules of one name, and a task must never see another
client's. The modules of the session whose task runs are in ``sys.modules``; those of the others are put aside.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from types import ModuleType

#: Sessions that are remembered; the one that was served longest ago goes first.
SESSIONS_MAX = 8
REFUSED_MAX = 1000


class Session:
    """One client as this runner knows it."""

    def __init__(self, number: bytes, generation: int) -> None:
        self.number = number
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

    def put_aside(self) -> None:
        """Takes its modules out of the program: those that are there, for some failed while they were made."""
        names, self.modules = list(self.modules), {}
        for name in names:
            module = sys.modules.pop(name, None)
            if module is not None:
                self.modules[name] = module
                _set_in_parent(name, module, None)

    def bring_back(self) -> None:
        """Puts its modules into the program again."""
        sys.modules.update(self.modules)
        for name, module in self.modules.items():
            _set_in_parent(name, None, module)


class Sessions:
    """All sessions that this runner remembers."""

    def __init__(self) -> None:
        self._all: dict[bytes, Session] = {}
        self.current: Session | None = None

    def enter(self, number: bytes, generation: int) -> Session:
        """The session of the task that comes now."""
        current = self.current
        if current is not None and current.number == number and current.generation == generation:
            return current
        if current is not None:
            current.put_aside()
        session = self._all.pop(number, None)
        if session is None or session.generation != generation:
            session = Session(number, generation)
        self._all[number] = session
        if len(self._all) > SESSIONS_MAX:
            del self._all[next(iter(self._all))]
        session.bring_back()
        self.current = session
        return session


def _set_in_parent(name: str, before: ModuleType | None, after: ModuleType | None) -> None:
    """Changes what the package of a module calls it, if that is what it was before."""
    parent, _, last = name.rpartition(".")
    package = vars(sys.modules[parent]) if parent in sys.modules else {}
    if package.get(last) is before:
        if after is None:
            del package[last]
        else:
            package[last] = after
