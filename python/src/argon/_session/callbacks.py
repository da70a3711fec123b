"""The thread that runs the user's callbacks, so that one that blocks holds up nothing but other callbacks.

It belongs to a session, begins with the first callback and ends with the session.
"""

from __future__ import annotations

import queue
from typing import Any, Callable

from .._outcome import handover
from .once_thread import OnceThread

JOIN_S = 5.0


class Callbacks:
    """Calls what it is given, in order. Any thread, signal handler or destructor may hand it something."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[Any], Any], Any, str] | None] = queue.SimpleQueue()
        self._thread = OnceThread(self._run, "argon-callbacks")

    def call(self, callback: Callable[[Any], Any], argument: Any, what: str) -> None:
        """Calls back soon; what the callback raises is logged."""
        self._thread.start()
        if not self._thread.has_started():
            # At the end of the interpreter no thread begins any more.
            handover.call_back(callback, argument, what)
            return
        self._queue.put((callback, argument, what))

    def is_current(self) -> bool:
        """True on this thread."""
        return self._thread.is_current()

    def end(self) -> None:
        """Lets it run what it has, and waits for that a while, unless this is it."""
        self._queue.put(None)
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        while True:
            one = self._queue.get()
            if one is None:
                return
            handover.call_back(*one)
            # Not kept until the next one comes.
            del one
