"""A client's identity and its journal: every task is kept until its outcome is in hand.

The rules are those of `spec/delivery.md`, section 4, and `spec/protocol.md`, section 7. `leader` decides which thread
moves the bytes, `sending` what may be sent; `inbox` reads; `client` makes the tasks. `lock` guards all state, and no
code of the user runs while it is held.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, Callable

from .._code import modules
from .._outcome import handover
from .._wire import protocol as wire
from .._wire import segments
from .._wire.ticket import session_of
from ..errors import Cancelled, Closed, Error, Unreachable
from . import cancel as _cancel
from . import collect, endings, opening, output, sending
from .callbacks import Callbacks
from .leader import Leader
from .lending import Lending
from .options import Options
from .reconnect import Reconnect
from .task import Task
from .waiting import Hook, Waiting

if TYPE_CHECKING:
    from .._wire.connection import Connection

FLUSH_BYTES = 65_536
FLUSH_AFTER_S = 0.002
_ACKS_A_FRAME = (wire.FRAME_BYTES_MAX - 1) // wire.ID_BYTES

_NEVER = (
    "this wait would never end: a signal handler or a destructor began it that interrupted its own thread in the middle "
    "of a step of the same client. In such code wait for calls that it makes itself, or leave a note and wait elsewhere"
)


class Session:
    """Fields without an underscore are shared with `leader`, `sending` and `inbox`, under `lock`."""

    def __init__(self, reconnect: Reconnect, remote_modules: bool, on_waiting: Hook | None):
        self.reconnect = reconnect
        self._on_waiting = on_waiting
        self.remote_modules = remote_modules
        self.closed = False
        self.abandoned = False
        # True if a signal that ends the program leaves its tasks alone.
        self.leaves_tasks = False
        # In a forked child, the process that it was forked from.
        self.parent: int | None = None
        self.begin()

    def begin(self) -> None:
        self.process = os.getpid()
        place = self.reconnect.place
        self.secret = os.urandom(wire.SECRET_BYTES)
        self.identity = session_of(self.secret, b"" if place is None else place.family)
        # The manager's process that this session was last connected to.
        self.incarnation: str | None = None
        self.numbers = itertools.count(1)
        self.lock = threading.RLock()
        self._owns_lock: Callable[[], bool] = self.lock._is_owned  # type: ignore[attr-defined]
        # The thread that looks for a manager just now.
        self.dialler = 0
        self.aside: Session | None = None
        self.journal: dict[bytes, Task] = {}
        self.requests: dict[int, Task] = {}
        # Those that wait for another task of the same id, which is in the journal.
        self.followers: weakref.WeakSet[Task] = weakref.WeakSet()
        # Outcomes that were asked for and are not wanted any more: they stay with the manager.
        self.unwanted: set[bytes] = set()
        self.backlog: deque[Task | None] = deque()
        self.held_back: list[tuple[float, Task]] = []
        self.acks: list[bytes] = []
        self.finished: list[Task] = []
        self.prints: list[output.Print] = []
        self.asks: list[bytes] = []
        self.printer = output.Printer()
        # Calls of signal handlers and destructors that had to wait: see `later`.
        self._left: deque[Callable[[], object]] = deque()
        self.connection: Connection | None = None
        self.connections = 0
        self.in_flight = 0
        self.credit_tasks = self.credit_bytes = 0
        self.sent_tasks = self.sent_bytes = 0
        self.unflushed = 0
        self.flushed_at = 0.0
        self.heard = 0.0
        # Why no manager is looked for any more; the next call looks again.
        self.unreachable: Unreachable | None = None
        self.leader = Leader(self)
        self.callbacks = Callbacks()
        self.waiting = Waiting(self, self._on_waiting)
        self.lending = Lending(self, place is not None)
        if place is not None:
            endings.end_with_task(self)

    def next_id(self) -> bytes:
        """The id of a new task."""
        return self.identity + wire.SEQUENCE.pack(next(self.numbers))

    # --- re-entrance -------------------------------------------------------------------------------------------------

    def is_inside(self) -> bool:
        """True for a signal handler or a destructor that interrupted its own thread inside of this session.

        Its state is half changed then, and its lock stays held until that handler returns.
        """
        return self._owns_lock() or self.dialler == threading.get_ident()

    def here(self) -> Session:
        """The session for a new call: this one, or another beside it while this thread is inside of it."""
        if not self._owns_lock() and self.dialler != threading.get_ident():
            if self.closed and self.reconnect.is_of_another_task():
                self.closed = False
                self.begin()
            return self
        if self.aside is None:
            # No other thread is here, since this one holds the lock; a handler within this handler may be.
            made = Session(self.reconnect.another(), self.remote_modules, self._on_waiting)
            made.leaves_tasks = self.leaves_tasks
            made.closed = self.closed
            self.aside = self.aside or made
        return self.aside.here()

    def later(self, action: Callable[[], object]) -> None:
        """Has the session's own thread do something: for those who must not wait for the lock."""
        self._left.append(action)
        self.leader.wake()

    def do_what_was_left(self) -> None:
        """Called on the session's own thread."""
        while self._left:
            self._left.popleft()()

    def unfinished(self) -> int:
        """Number of tasks without an outcome."""
        return len(self.journal) + (self.aside.unfinished() if self.aside is not None else 0)

    # --- calls -------------------------------------------------------------------------------------------------------

    def offer(self, task: Task, hurry: bool = False, callback: Callable[[Any], None] | None = None) -> None:
        """Keeps the task and sends it as soon as credit allows; calls back on the session's own thread.

        At once when the connection is quiet or the caller is in a hurry, together with others when many are made one
        after another.
        """
        with self.lock:
            # Does what `changing` does, without its cost: this is the hot path.
            self._check()
            try:
                self._offer(task, hurry, callback)
            except BaseException:
                self._spoil()
                raise

    def _offer(self, task: Task, hurry: bool, callback: Callable[[Any], None] | None) -> None:
        if callback is not None:
            self.add_callback(task, callback)
        self.journal[task._id] = task
        connection = self.connection
        if connection is None or self.backlog or not sending.has_credit(self, task):
            self.unreachable = None
            self.backlog.append(task)
            self.leader.stir()
            return
        sending.send_task(self, connection, task)
        self.unflushed += 1
        if (
            hurry
            or self.unflushed << 5 > self.in_flight
            or connection.out_bytes >= FLUSH_BYTES
            or monotonic() - self.flushed_at > FLUSH_AFTER_S
        ):
            self.flush(connection)
        if not hurry or connection.pending or connection.broken:
            self.leader.stir()

    def offer_many(self, tasks: Sequence[Task], callback: Callable[[Any], None] | None = None) -> None:
        """The same for many at once."""
        with self.changing() as connection:
            for task in tasks:
                if callback is not None:
                    self.add_callback(task, callback)
                self.journal[task._id] = task
                if connection is None or self.backlog or not sending.has_credit(self, task):
                    self.backlog.append(task)
                else:
                    sending.send_task(self, connection, task)
            if connection is not None:
                self.flush(connection)
            self.leader.stir()

    def collect(self, task: Task) -> None:
        """Asks for the outcome of a detached task; its `_frame` is the question, with the ticket."""
        collect.collect(self, task)

    def request(self, what: str, callback: Callable[[Any], None] | None = None, **fields: Any) -> Task:
        """Asks the manager something; the task's value is the reply. Calls back on the session's own thread."""
        number = next(self.numbers)
        frame = wire.json_frame(wire.REQUEST, {"request": number, "what": what, **fields})
        task = Task(None, self, b"", frame, 0, Options())
        with self.changing() as connection:
            if callback is not None:
                self.add_callback(task, callback)
            self.requests[number] = task
            if connection is not None:
                connection.send(frame)
                self.flush(connection)
            self.leader.stir()
        return task

    def wait(self, task: Task, timeout: float | None = None) -> bool:
        """Waits until the task is done; False when the time was not enough."""
        self.end_if_of_parent(task)
        if task._done:
            return True
        self.may_wait()
        if self.lending.is_on and task._id:
            with self.lending:
                return self.leader.wait(task, timeout)
        return self.leader.wait(task, timeout)

    def may_wait(self) -> None:
        """Refuses, in words, a wait that would never end."""
        if self.is_inside():
            raise Error(_NEVER)

    def look(self, task: Task) -> bool:
        """True if the task is done, after a look at what has come. Never waits."""
        self.end_if_of_parent(task)
        return task._done or (not self.is_inside() and self.leader.look(task))

    def cancel(self, task: Task) -> bool:
        """Ends a task for its caller; what runs is killed. False when it had ended."""
        return _cancel.cancel(self, task)

    def settle(self, task: Task) -> None:
        """Marks a task as done, and notes that its waiters must be woken. With the lock held."""
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

    def flush(self, connection: Connection) -> None:
        """Writes what waits, acknowledgements too. With the lock held."""
        if self.acks:
            self.write_acks(connection)
        self.unflushed = 0
        self.flushed_at = monotonic()
        connection.flush()

    def write_acks(self, connection: Connection) -> None:
        """Acknowledges what is in hand. With the lock held."""
        acks = self.acks
        for at in range(0, len(acks), _ACKS_A_FRAME):
            connection.send(wire.frame(wire.ACK, b"".join(acks[at : at + _ACKS_A_FRAME])))
        acks.clear()

    def connect(self) -> None:
        """Finds a manager, or raises Unreachable."""
        with self.lock:
            self._check()
        self.leader.wait_for_connection()

    def opened(self, connection: Connection, granted: dict[str, Any]) -> None:
        """A connection was made: opens the session on it and offers what is unfinished. With the lock held."""
        opening.opened(self, connection, granted)

    def lose(self, connection: Connection) -> None:
        """The connection ended; what was on its way will be offered again. With the lock held."""
        segments.note_end(connection.where, connection.sock)
        connection.close()
        if self.connection is not connection:
            return
        self.connection = None
        self.in_flight = 0
        try:
            self.reconnect.lost(connection.broken or "it was closed", connection.refused)
        except Unreachable as error:
            self.gave_up(error)

    def gave_up(self, error: Unreachable) -> None:
        """Stops dialling until the next call. Waiters get an error; their tasks stay. With the lock held."""
        self.unreachable = error
        for task in [task for task in self.journal.values() if task._callbacks]:
            del self.journal[task._id]
            self.fail(task, Unreachable(error.message))

    def close(self) -> None:
        """Says goodbye: the manager cancels what is unfinished. What still waits here ends as cancelled."""
        endings.close(self)

    def abandon(self) -> None:
        """Closes later, on the session's own thread: for a destructor, which must not wait for a lock."""
        endings.abandon(self)

    def begin_after_fork(self) -> None:
        """In a child: it must not speak on its parent's connection, and has none of its tasks."""
        endings.begin_after_fork(self)

    def end_if_of_parent(self, task: Task) -> None:
        """In a forked child, ends a task that only its parent can get the outcome of."""
        if self.parent is not None:
            endings.end_if_of_parent(self, task)

    def answer(self, body: bytes) -> bytes:
        """The ANSWER to an ASK of a task. Reads files, so the lock is not held."""
        head, question = body[: wire.ASK_HEAD.size], body[wire.ASK_HEAD.size :]
        if self.remote_modules:
            given, text = modules.reply(question)
        else:
            given, text = False, b"the client was told not to (remote_modules=False)"
        return wire.frame(wire.ANSWER, head + bytes([wire.YES if given else wire.NO]) + text)

    def watch(self, task: Task, callback: Callable[[Any], None]) -> None:
        """Calls back when the task is done, on the session's own thread; here and now if it is."""
        self.end_if_of_parent(task)
        if self.is_inside() and not task._done:
            self.later(lambda: self.watch(task, callback))
            return
        with self.lock:
            if not task._done:
                self.add_callback(task, callback)
                self.leader.stir(at_once=True)
                return
        callback(task)

    def watch_for_user(self, task: Task, callback: Callable[[Any], Any]) -> None:
        """The same for a callback of the user: it has a thread to itself, and what it raises is logged."""
        what = f"the task {task._id.hex()}"
        if task._done:
            handover.call_back(callback, task, what)
        else:
            self.watch(task, lambda one: self.callbacks.call(callback, one, what))

    def add_callback(self, task: Task, callback: Callable[[Any], None]) -> None:
        if task._callbacks is None:
            task._callbacks = []
            self.leader.watched += 1
            if self.leader.watched == 1:
                self.leader.wake()
        task._callbacks.append(callback)

    def cancel_later(self, tasks: Sequence[Task]) -> None:
        """Cancels on the session's own thread: for a destructor, which must not wait for a lock."""
        self.later(lambda: [task._session.cancel(task) for task in tasks])

    @contextlib.contextmanager
    def changing(self) -> Iterator[Connection | None]:
        """The lock, for a change that must be whole: an interrupt in the middle of it costs the connection.

        The journal then brings everything back into order, as after any loss.
        """
        with self.lock:
            self._check()
            connection = self.connection
            if connection is None:
                self.unreachable = None
            try:
                yield connection
            except BaseException:
                self._spoil()
                raise
            finally:
                if connection is not None and connection.broken:
                    self.leader.stir(at_once=True)

    def _spoil(self) -> None:
        if self.connection is not None:
            self.connection.broken = self.connection.broken or "a call was interrupted while it wrote"
            self.leader.stir(at_once=True)

    def _check(self) -> None:
        if self.closed:
            raise Closed("This client was shut down: make another to go on")
