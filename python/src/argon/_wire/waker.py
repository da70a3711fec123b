"""Waiting for a connection and for other threads at once.

A `Bell` is rung by any thread and wakes the one that waits on it. It has no opinion on what the reason was.
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


class Bell:
    """Wakes one waiting thread, now or when it waits next."""

    __slots__ = ("_far", "_near")

    def __init__(self) -> None:
        self._near, self._far = socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._near.fileno()

    def ring(self) -> None:
        """Wakes whoever waits now, or waits next. Do first what it shall find."""
        with contextlib.suppress(OSError):
            self._far.send(b"!")

    def silence(self) -> None:
        """Takes the rings back."""
        with contextlib.suppress(OSError):
            self._near.recv(4096)

    def close(self) -> None:
        """Gives back the descriptors."""
        self._near.close()
        self._far.close()

    def wait(self, seconds: float | None) -> None:
        """Waits for a ring, at most so long."""
        wait(self, None, False, seconds)


def wait(bell: Bell, sock: socket.socket | None, wants_write: bool, seconds: float | None) -> None:
    """Waits until the bell rings, the socket is ready, or the time is over (None: for ever). The ring is taken back."""
    number = bell.fileno()
    if _HAS_POLL:
        poll = select.poll()
        poll.register(number, select.POLLIN)
        if sock is not None:
            poll.register(sock.fileno(), select.POLLIN | select.POLLOUT if wants_write else select.POLLIN)
        ready = poll.poll(None if seconds is None else math.ceil(max(0.0, seconds) * 1000))
        has_rung = any(one == number for one, _ in ready)
    else:
        ours = [] if sock is None else [sock.fileno()]
        has_rung = number in select.select([number, *ours], ours if wants_write else [], [], seconds)[0]
    if has_rung:
        bell.silence()
