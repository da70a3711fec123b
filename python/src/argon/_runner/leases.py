"""Leases of prefetched tasks: the runner claims each before it starts it (``spec/runner.md``, section 2).

Before the runner starts such a task, it claims it: it reads its number from a pipe, where the worker may have read it
first. It claims nothing while output of the task before is still in the pipes, so that the worker knows whose it is.
"""

from __future__ import annotations

import os

from .channel import OUTPUT_LEFT, OUTPUT_TAKEN, frame

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from .channel import WorkerChannel

#: In the flags of a RUN: the task was handed ahead.
PREFETCHED = 0x8000
_NUMBER_BYTES = 8
#: In a barrier, the other bits of which are the number that follows it.
_BARRIER = 1 << 63
_NOTHING = bytes(4)
_OUTPUT_LEFT = frame(OUTPUT_LEFT)


class LeasePipe:
    """The pipe of numbers, and what the worker has not yet taken from the pipes of output."""

    def __init__(self, channel: WorkerChannel, descriptor: int | None) -> None:
        self._channel = channel
        self._number = 0
        self._barrier = 0
        self._is_output_left = False
        self._outputs: list[int] = []
        request = os.environ.pop("ARGON_FIONREAD", None)
        self.can_claim = descriptor is not None and request is not None
        if descriptor is not None and request is not None:
            import fcntl

            self._ioctl = fcntl.ioctl
            #: Takes the answer of FIONREAD: half the price of an answer in new bytes.
            self._unread = bytearray(len(_NOTHING))
            self._numbers, self._request = descriptor, int(request)
            os.set_inheritable(self._numbers, False)
            # A task may close or replace its standard streams; these stay what they are.
            self._outputs = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (1, 2)]

    def claim(self) -> bool:
        """True if the next prefetched task is this runner's.

        Waits until the worker has taken the output of the one before. Raises Closed.
        """
        if self._is_output_left:
            self._channel.next_of(OUTPUT_TAKEN)
            self.output_taken()
        self._number = number = self._number + 1
        while number >= self._barrier:
            found = self._next_number()
            if not found & _BARRIER:
                return found != 0
            # All before the number that follows the barrier have been taken back. That one may be by now, too, and then
            # another barrier is next.
            self._barrier = found ^ _BARRIER
        return False

    def output_left(self) -> bytes:
        """The frame that announces unread output of a task that ends, if there is any."""
        for descriptor in self._outputs:
            self._ioctl(descriptor, self._request, self._unread)
            if self._unread != _NOTHING:
                self._is_output_left = True
                return _OUTPUT_LEFT
        return b""

    def output_taken(self) -> None:
        """The worker has taken what the pipes held."""
        self._is_output_left = False

    def _next_number(self) -> int:
        """The first number in the pipe; 0 if the worker has taken all of them back."""
        try:
            return int.from_bytes(os.read(self._numbers, _NUMBER_BYTES), "big")
        except BlockingIOError:
            return 0
