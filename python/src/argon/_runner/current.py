"""State of the running task, shared by the package ``argon`` and the runner. It ends with the task.

The package finds this module by its name in ``sys.modules``, and knows by it that a runner executes the task.
"""

from __future__ import annotations

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Callable

#: Called when the task has returned, before its process is compared with what it was.
at_end: set[Callable[[], object]] = set()
#: Of the modules of the task's client: the tasks of its own client have the same.
generation = 0
#: Its environment, as its client named it: its own tasks name the same.
environment: object = None


def _no_blob(name: str) -> bytes | None:
    return None


#: The bytes of a blob of the task by its hash in hexadecimal digits, or None.
blob: Callable[[str], bytes | None] = _no_blob


def end() -> None:
    """Ends what the task left to be ended. What that raises is not the task's affair."""
    while at_end:
        try:
            at_end.pop()()
        except Exception:
            continue
