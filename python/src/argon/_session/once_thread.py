"""A thread that begins once, whatever interrupts its start.

A signal handler may raise while a ``Thread`` starts. Nobody knows then whether it has begun, and a second start of the
same object makes both fail from Python 3.13 on. So each attempt has an object of its own, and the first that runs wins.
"""

from __future__ import annotations

import contextlib
import threading
from threading import Thread
from typing import Callable


class OnceThread:
    """A daemon thread; `start` may be called again and again."""

    def __init__(self, run: Callable[[], None], name: str) -> None:
        self._run = run
        self._name = name
        self._claim = threading.Lock()
        self._made: Thread | None = None
        self._running: Thread | None = None
        self._has_started = False

    def start(self) -> None:
        """Starts it, once. At the end of the interpreter, no thread begins any more."""
        if not self._has_started:
            self._made = made = Thread(target=self._begin, name=self._name, daemon=True)
            with contextlib.suppress(RuntimeError):
                made.start()
                self._has_started = True

    def was_wanted(self) -> bool:
        """True once it was to be started."""
        return self._made is not None

    def has_started(self) -> bool:
        """True if it has begun, or will without a further start."""
        return self._has_started or self._running is not None

    def is_current(self) -> bool:
        """True if the caller runs on it."""
        return self._running is not None and self._running is threading.current_thread()

    def join(self, seconds: float) -> None:
        """Waits for its end, unless this is it."""
        if not self.is_current():
            for thread in (self._made, self._running):
                if thread is not None and thread.ident is not None:
                    thread.join(seconds)

    def _begin(self) -> None:
        if self._claim.acquire(blocking=False):
            self._running = threading.current_thread()
            self._run()
