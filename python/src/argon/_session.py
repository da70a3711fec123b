"""A client's identity and its journal: every task is kept until its outcome is in hand.

The rules are those of `spec/delivery.md`, section 4, and `spec/protocol.md`, section 7. `_turns` says which thread
moves the bytes, `_sending` what may be sent, `_inbox` reads; `client` makes the tasks. All state is guarded by `lock`,
and no code of the user runs while it is held.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Callable

from . import _modules, _output, _sending
from . import _protocol as wire
from ._options import Options
from ._reconnect import Reconnect
from ._task import Task
from ._turns import Turns
from ._version import VERSION
from .errors import Cancelled, Closed, Error, Lost, Unreachable

if TYPE_CHECKING:
    from ._link import Link

FLUSH_BYTES = 65_536
FLUSH_AFTER_S = 0.002
ACKS_MAX = 256
ACK_AFTER_S = 0.05
SILENCE_S = 15.0
GOODBYE_S = 1.0
_ACKS_A_FRAME = (wire.FRAME_BYTES_MAX - 1) // wire.ID_BYTES


class Session:
    """Fields without an underscore are shared with `_turns`, `_sending` and `_inbox`, under `lock`."""

    def __init__(self, reconnect: Reconnect, remote_modules: bool):
        self.reconnect = reconnect
        self.remote_modules = remote_modules
        self.closed = False
        self.abandoned = False
        self._begin()

    def _begin(self) -> None:
        self.process = os.getpid()
        self.identity = os.urandom(16)
        self.numbers = itertools.count(1)
        self.lock = threading.Lock()
        self.journal: dict[bytes, Task] = {}
        self.requests: dict[int, Task] = {}
        self.backlog: deque[Task | None] = deque()
        self.held_back: list[tuple[float, Task]] = []
        self.acks: list[bytes] = []
        self.finished: list[Task] = []
        self.prints: list[_output.Print] = []
        self.asks: list[bytes] = []
        self.printer = _output.Printer()
        self.unwanted: deque[Task] = deque()
        self.link: Link | None = None
        self.connections = 0
        self.in_flight = 0
        self.credit_tasks = self.credit_bytes = 0
        self.sent_tasks = self.sent_bytes = 0
        self.unflushed = 0
        self.flushed_at = 0.0
        self.heard = 0.0
        # Why no manager is looked for any more; the next call looks again.
        self.unreachable: Unreachable | None = None
        self.turns = Turns(self)

    def next_id(self) -> bytes:
        """The id of a new task."""
        return self.identity + wire.SEQUENCE.pack(next(self.numbers))

    def offer(self, task: Task, hurry: bool = False, callback: Callable[[Any], None] | None = None) -> None:
        """Keeps the task and sends it as soon as credit allows; calls back on the session's own thread.

        At once when the connection is quiet or the caller is in a hurry, together with others when many are made one
        after another.
        """
        with self.lock:
            # What `_changing` does, without its price: this is the hot path.
            self._check()
            try:
                self._offer(task, hurry, callback)
            except BaseException:
                self._spoil()
                raise

    def _offer(self, task: Task, hurry: bool, callback: Callable[[Any], None] | None) -> None:
        if callback is not None:
            self._watch(task, callback)
        self.journal[task._id] = task
        link = self.link
        if link is None or self.backlog or not _sending.has_credit(self, task):
            self.unreachable = None
            self.backlog.append(task)
            self.turns.stir()
            return
        _sending.send_task(self, link, task)
        self.unflushed += 1
        if (
            hurry
            or self.unflushed << 5 > self.in_flight
            or link.out_bytes >= FLUSH_BYTES
            or time.monotonic() - self.flushed_at > FLUSH_AFTER_S
        ):
            self.flush(link)
        if not hurry or link.pending or link.broken:
            self.turns.stir()

    def offer_many(self, tasks: Sequence[Task], callback: Callable[[Any], None] | None = None) -> None:
        """The same for many at once."""
        with self._changing() as link:
            for task in tasks:
                if callback is not None:
                    self._watch(task, callback)
                self.journal[task._id] = task
                if link is None or self.backlog or not _sending.has_credit(self, task):
                    self.backlog.append(task)
                else:
                    _sending.send_task(self, link, task)
            if link is not None:
                self.flush(link)
            self.turns.stir()

    def collect(self, task: Task) -> None:
        """Asks for the outcome of a detached task."""
        task._collects = True
        with self._changing() as link:
            self.journal[task._id] = task
            if link is not None:
                link.send(wire.frame(wire.COLLECT, task._id))
                self.flush(link)
            self.turns.stir()

    def request(self, what: str, callback: Callable[[Any], None] | None = None) -> Task:
        """Asks the manager something; the task's value is the reply. Calls back on the session's own thread."""
        number = next(self.numbers)
        frame = wire.json_frame(wire.REQUEST, {"request": number, "what": what})
        task = Task(None, b"", frame, 0, Options())
        with self._changing() as link:
            if callback is not None:
                self._watch(task, callback)
            self.requests[number] = task
            if link is not None:
                link.send(frame)
                self.flush(link)
            self.turns.stir()
        return task

    def wait(self, task: Task, timeout: float | None = None) -> bool:
        """Waits until the task is done; False when the time was not enough."""
        return task._done or self.turns.wait(task, timeout)

    def cancel(self, task: Task) -> bool:
        """Ends a task for its caller; what runs is killed. False when it had ended."""
        with self.lock:
            if task._done or self.closed:
                return False
            if task._cancelled:
                return True
            task._cancelled = True
            link = self.link
            if not task._sent_on or task._held_back or task._collects:
                self.journal.pop(task._id, None)
                task._error = Cancelled("the task was cancelled before it was sent", task._id.hex())
                task._status = wire.CANCELLED
                self.settle(task)
                self.turns.wake_finished()
            elif link is not None:
                link.send(wire.frame(wire.CANCEL, task._id))
                self.flush(link)
            self.turns.stir(at_once=True)
        return True

    def settle(self, task: Task) -> None:
        """Marks a task as done, and remembers to tell those who wait. With the lock held."""
        task._frame = b""
        task._parts = None
        task._done = True
        self.finished.append(task)

    def fail(self, task: Task, error: Error) -> None:
        """Ends a task here, without the cluster. With the lock held."""
        error.task = task._id.hex() or None
        task._error = error
        task._status = wire.CANCELLED if isinstance(error, Cancelled) else wire.LOST
        self.settle(task)

    def flush(self, link: Link) -> None:
        """Writes what waits, acknowledgements too. With the lock held."""
        if self.acks:
            self.write_acks(link)
        self.unflushed = 0
        self.flushed_at = time.monotonic()
        link.flush()

    def write_acks(self, link: Link) -> None:
        """Acknowledges what is in hand. With the lock held."""
        acks = self.acks
        for at in range(0, len(acks), _ACKS_A_FRAME):
            link.send(wire.frame(wire.ACK, b"".join(acks[at : at + _ACKS_A_FRAME])))
        acks.clear()

    def connect(self) -> None:
        """Finds a manager, or raises Unreachable."""
        with self.lock:
            self._check()
        self.turns.wait_for_link()

    def opened(self, link: Link, granted: dict[str, Any]) -> None:
        """A connection was made: opens the session on it and offers what is unfinished. With the lock held."""
        self.connections += 1
        self.in_flight = self.sent_tasks = self.sent_bytes = 0
        self.credit_tasks = int(granted.get("credit_tasks", 0))
        self.credit_bytes = int(granted.get("credit_bytes", 0))
        hello = {
            "session": self.identity.hex(),
            "client": f"python/{VERSION}",
            "host": socket.gethostname(),
            "pid": os.getpid(),
        }
        link.send(wire.json_frame(wire.OPEN, hello))
        self.acks.clear()
        collected = [task for task in self.journal.values() if task._collects]
        tasks = [task for task in self.journal.values() if not task._collects]
        for task in tasks:
            task._output = None  # what is printed is counted anew on each connection
        again = [task for task in tasks if task._sent_on and not task._held_back]
        self.backlog = deque([*again, None, *(task for task in tasks if not task._sent_on)])
        for task in collected:
            link.send(wire.frame(wire.COLLECT, task._id))
        for request in self.requests.values():
            link.send(request._frame)
        self.heard = time.monotonic()
        self.link = link
        self.unreachable = None
        _sending.send_backlog(self, link)
        self.flush(link)

    def lose(self, link: Link) -> None:
        """The connection ended; what was on its way will be offered again. With the lock held."""
        link.close()
        if self.link is not link:
            return
        self.link = None
        self.in_flight = 0
        try:
            self.reconnect.lost(link.broken or "it was closed", link.refused)
        except Unreachable as error:
            self.gave_up(error)

    def gave_up(self, error: Unreachable) -> None:
        """Nobody is looked for until the next call. Those who wait are told; their tasks stay. With the lock held."""
        self.unreachable = error
        for task in [task for task in self.journal.values() if task._callbacks]:
            del self.journal[task._id]
            self.fail(task, Unreachable(error.message))

    def close(self) -> None:
        """Says goodbye: the manager cancels what is unfinished. What still waits here ends as cancelled."""
        with self.lock:
            if self.closed:
                return
            self.closed = True
            link, self.link = self.link, None
            if link is not None and self.process == os.getpid():
                self._say_goodbye(link)
            self._end_all(Cancelled, "the client was shut down before the task ended")
            self.turns.stir(at_once=True)
        self.turns.announce()
        self.turns.end()

    def abandon(self) -> None:
        """Closes later, on the session's own thread: for a destructor, which must not wait for a lock."""
        self.abandoned = True
        self.turns.ring()

    def begin_after_fork(self) -> None:
        """In a child: it must not speak on its parent's connection, and has none of its tasks."""
        parent, tasks = self.process, [*self.journal.values(), *self.requests.values()]
        link = self.link
        self.turns.close_bells()
        self.reconnect.restart()
        self._begin()
        if link is not None:
            link.close()
        reason = f"the task belongs to the process {parent}, which made it before this one was forked"
        for task in tasks:
            task._waiters = ()
            self.fail(task, Lost(reason))
        self.finished.clear()

    def answer(self, body: bytes) -> bytes:
        """The ANSWER to an ASK of a task. Reads files, so the lock is not held."""
        head, question = body[: wire.ASK_HEAD.size], body[wire.ASK_HEAD.size :]
        if self.remote_modules:
            given, text = _modules.reply(question)
        else:
            given, text = False, b"the client was told not to (remote_modules=False)"
        return wire.frame(wire.ANSWER, head + bytes([wire.YES if given else wire.NO]) + text)

    def watch(self, task: Task, callback: Callable[[Any], None]) -> None:
        """Calls back when the task is done, on the session's own thread; here and now if it is."""
        with self.lock:
            if not task._done:
                self._watch(task, callback)
                self.turns.stir(at_once=True)
                return
        callback(task)

    def _watch(self, task: Task, callback: Callable[[Any], None]) -> None:
        if task._callbacks is None:
            task._callbacks = []
            self.turns.watched += 1
            if self.turns.watched == 1:
                self.turns.ring()
        task._callbacks.append(callback)

    def cancel_later(self, tasks: Sequence[Task]) -> None:
        """Cancels on the session's own thread: for a destructor, which must not wait for a lock."""
        self.unwanted.extend(tasks)
        self.turns.ring()

    @contextlib.contextmanager
    def _changing(self) -> Iterator[Link | None]:
        """The lock, for a change that must be whole: an interrupt in the middle of it costs the connection.

        The journal then brings everything back into order, as after any loss.
        """
        with self.lock:
            self._check()
            link = self.link
            if link is None:
                self.unreachable = None
            try:
                yield link
            except BaseException:
                self._spoil()
                raise
            finally:
                if link is not None and link.broken:
                    self.turns.stir(at_once=True)

    def _spoil(self) -> None:
        if self.link is not None:
            self.link.broken = self.link.broken or "a call was interrupted while it wrote"
            self.turns.stir(at_once=True)

    def _check(self) -> None:
        if self.closed:
            raise Closed("This client was shut down: make another to go on")

    def _say_goodbye(self, link: Link) -> None:
        with contextlib.suppress(OSError):
            if self.acks:
                self.write_acks(link)
            link.send(wire.json_frame(wire.GOODBYE, {"reason": "the client is done"}))
            link.streams.clear()
            link.sock.settimeout(GOODBYE_S)
            link.flush()
        # Whoever waits on the socket now closes it.
        link.broken = link.broken or "it was closed"
        if self.turns.is_led():
            link.shut_down()
        else:
            link.close()

    def _end_all(self, kind: type[Error], message: str) -> None:
        tasks = [*self.journal.values(), *self.requests.values()]
        self.journal.clear()
        self.requests.clear()
        self.backlog.clear()
        self.held_back.clear()
        for task in tasks:
            self.fail(task, kind(message))
