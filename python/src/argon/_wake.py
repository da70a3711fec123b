"""Waiting for a connection and for other threads at once.

A `Bell` is rung by any thread and wakes the one that waits on it. It has no opinion on what the reason was.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket

_HAS_POLL = hasattr(select, "poll")


class Bell:
    """Wakes one waiting thread; rings that nobody waits for are one ring."""

    __slots__ = ("_far", "_near", "_rung")

    def __init__(self) -> None:
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._far.setblocking(False)
        self._rung = False

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._near.fileno()

    def ring(self) -> None:
        """Wakes whoever waits now, or waits next."""
        if not self._rung:
            self._rung = True
            with contextlib.suppress(OSError):
                self._far.send(b"!")

    def silence(self) -> None:
        """Takes the ring back: call it before looking at what there is to do.

        In this order: who rings meanwhile has done before what the looking will find.
        """
        if self._rung:
            with contextlib.suppress(OSError):
                self._near.recv(64)
            self._rung = False

    def close(self) -> None:
        """Gives back the descriptors."""
        self._near.close()
        self._far.close()

    def wait(self, seconds: float | None) -> None:
        """Waits for a ring, at most so long."""
        wait(self, None, False, seconds)
        self.silence()


def wait(bell: Bell, sock: socket.socket | None, wants_write: bool, seconds: float | None) -> None:
    """Waits until the bell rings, the socket is ready, or the time is over (None: for ever)."""
    if not _HAS_POLL:
        ours = [] if sock is None else [sock.fileno()]
        select.select([bell.fileno(), *ours], ours if wants_write else [], [], seconds)
        return
    poll = select.poll()
    poll.register(bell.fileno(), select.POLLIN)
    if sock is not None:
        poll.register(sock.fileno(), select.POLLIN | select.POLLOUT if wants_write else select.POLLIN)
    poll.poll(None if seconds is None else math.ceil(max(0.0, seconds) * 1000))
