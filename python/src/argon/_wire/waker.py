"""Waiting for a connection and for other threads at once.

Any thread may wake the one that waits on a `Waker`. The reason is not part of it.
"""

from __future__ import annotations

import contextlib
import math
import select
from _socket import socketpair
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

_HAS_POLL = hasattr(select, "poll")


class Waker:
    """Wakes one waiting thread, now or when it waits next."""

    __slots__ = ("_far", "_near")

    def __init__(self) -> None:
        self._near, self._far = socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._near.fileno()

    def wake(self) -> None:
        """Wakes the thread that waits now or waits next. Change the shared state before you call this."""
        with contextlib.suppress(OSError):
            self._far.send(b"!")

    def clear(self) -> None:
        """Forgets the calls of `wake` so far."""
        with contextlib.suppress(OSError):
            self._near.recv(4096)

    def close(self) -> None:
        """Gives back the descriptors."""
        self._near.close()
        self._far.close()

    def wait(self, seconds: float | None) -> None:
        """Waits for `wake`, for at most `seconds`."""
        wait(self, None, False, seconds)


def wait(waker: Waker, sock: socket.socket | None, wants_write: bool, seconds: float | None) -> None:
    """Waits for the waker, the socket, or `seconds` (None: no limit), and clears the waker."""
    number = waker.fileno()
    if _HAS_POLL:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        if sock is not None:
            poll.register(sock.fileno(), select.POLLIN | select.POLLOUT if wants_write else select.POLLIN)
        ready = poll.poll(None if seconds is None else math.ceil(max(0.0, seconds) * 1000))
        was_woken = any(one == number for one, _ in ready)
    else:
        ours = [] if sock is None else [sock.fileno()]
        was_woken = number in select.select([number, *ours], ours if wants_write else [], [], seconds)[0]
    if was_woken:
        waker.clear()
