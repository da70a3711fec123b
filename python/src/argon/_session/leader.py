"""Which thread moves the bytes of a session (the pattern Leader/Followers).

One thread at a time leads: it waits on the socket, reads, and hands out what came. A caller that waits leads itself, so
that a lone call costs no change of threads. When no caller waits, or several do, the session's own thread leads. That
thread also finds managers, writes what callers left behind, and runs callbacks. It never leads while it runs callbacks,
so that a callback may call anything.

A signal handler or a destructor may run between any two steps of a thread and call the client again. Where it finds
the lock held by its own thread, the session refuses (`Session.is_inside`). Everywhere else it may lead, because the
interrupted frame compares its grant with the current one, with the lock held, before it goes on.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING

from .._wire.waker import Waker, wait
from ..errors import Unreachable
from . import inbox, sending
from .task import Task
from .thread import SessionThread

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .output import Print
    from .session import Session

    _Found = tuple[list[Print], list[bytes]]

ACKS_MAX = 256
ACK_AFTER_S = 0.05
SILENCE_S = 15.0
_LOOK_S = 0.01


class Leader:
    """State is guarded by the session's lock."""

    def __init__(self, session: Session):
        self._session = session
        self.waker = Waker()
        self._caller_waker = Waker()
        # The thread that leads, and the waker that wakes it. Written in this order: an interrupt never leaves a half.
        self._holder: int | None = None
        self._holder_waker: Waker | None = None
        # Grows with each change of the leader. A frame with an older grant leads no more.
        self._grant = 0
        # A caller that waits for the session's thread to hand over.
        self._claim: tuple[int, threading.Lock] | None = None
        self.taken = 0
        self.is_dozing = False
        self.waiting: dict[threading.Lock, Task | None] = {}
        self.called: deque[Task] = deque()
        # Tasks under way that have callbacks: a thread must read although no caller waits.
        self.watched = 0
        self._thread = SessionThread(session, self)
        self.listened_at = 0.0

    def stir(self, at_once: bool = False) -> None:
        """There is something new to send or to do. With the lock held."""
        self._thread.start()
        connection = self._session.connection
        if at_once or self.is_dozing or connection is None or connection.broken:
            self.is_dozing = False
            self.waker.wake()
        if self._is_with_caller() and (at_once or connection is None or connection.pending or connection.broken):
            self._caller_waker.wake()

    def wake(self) -> None:
        """Wakes the session's thread. Needs no lock."""
        self.waker.wake()

    def wait(self, task: Task, timeout: float | None) -> bool:
        """Waits until the task is done: True; or the time is over: False. Raises Unreachable."""
        session = self._session
        until = None if timeout is None else monotonic() + timeout
        with session.lock:
            session.unreachable = None
        while not task._done:
            if until is not None and monotonic() >= until:
                return self.look(task)
            if session.connection is None and self._thread.is_current():
                # Nobody else looks for a manager.
                self._thread.find_manager()
                continue
            try:
                grant = self._take_lead()
                if grant:
                    self._lead(grant, task, until)
                else:
                    self._follow(task, until)
            finally:
                self._give_up_lead()
            if session.unreachable is not None and not task._done:
                raise Unreachable(session.unreachable.message)
        return True

    def wait_for_connection(self) -> None:
        """Waits for the first connection, or raises Unreachable."""
        session = self._session
        while True:
            with session.lock:
                if session.connections or session.closed:
                    return
                session.unreachable = None
                self.stir(at_once=True)
            if self._thread.is_current():
                self._thread.find_manager()
            else:
                self._follow(None, None)
            if session.unreachable is not None:
                raise Unreachable(session.unreachable.message)

    def is_own_thread(self) -> bool:
        """True on the session's own thread."""
        return self._thread.is_current()

    def end(self) -> None:
        """Waits for the thread to end, after the session was closed."""
        self._thread.join()
        self.end_unused()

    def end_unused(self) -> None:
        """Gives back the wakers of a session without a thread, which would do it."""
        if not self._thread.has_begun():
            self.close_wakers()

    def is_led(self) -> bool:
        """True if a thread may be waiting on the socket. With the lock held."""
        return self._holder is not None

    def close_wakers(self) -> None:
        """At the end; and in a forked child, whose parent's wakers are not its own."""
        self.waker.close()
        self._caller_waker.close()

    def look(self, task: Task) -> bool:
        """Reads what is there without waiting, if no other thread reads."""
        if not task._done:
            try:
                grant = self._take_lead(may_claim=False)
                if grant:
                    self._lead(grant, task, monotonic())
            finally:
                self._give_up_lead()
        return task._done

    def _take_lead(self, may_claim: bool = True) -> int:
        """The grant of this thread; 0 if another thread leads."""
        session, own = self._session, threading.get_ident()
        with session.lock:
            if session.connection is None:
                return 0
            # This thread may lead already: a frame below does, or an interrupt came before it gave up.
            if self._holder == own:
                return self._hand_to(own, self._caller_waker)
            if self._claim is not None:
                if self._claim[0] != own:
                    return 0
                # A frame below this one waits for the lead, and goes on only after this one.
                self.refuse_claim()
            if self._holder is None:
                return self._hand_to(own, self._caller_waker)
            if not may_claim or self._is_with_caller() or self.waiting or self.watched:
                return 0
        waiter = threading.Lock()
        waiter.acquire()
        claim = (own, waiter)
        try:
            with session.lock:
                if self._claim is not None or self._holder is None:
                    return 0
                self._claim = claim
                self.waker.wake()
            waiter.acquire(timeout=1.0)
        finally:
            with session.lock:
                if self._claim is claim:
                    self._claim = None
        with session.lock:
            return self._grant if self._holder == own else 0

    def refuse_claim(self) -> None:
        """Refuses the caller that wants to lead. With the lock held."""
        if self._claim is not None:
            waiter = self._claim[1]
            self._claim = None
            waiter.release()

    def _hand_to(self, holder: int, waker: Waker) -> int:
        self._holder_waker = waker
        self.taken += 1
        self._grant += 1
        self._holder = holder
        return self._grant

    def _is_with_caller(self) -> bool:
        return self._holder is not None and self._holder_waker is self._caller_waker

    def _lead(self, grant: int, task: Task, until: float | None) -> None:
        while not task._done and self.round(grant, self._caller_waker, until):
            if until is not None and monotonic() >= until:
                return

    def _give_up_lead(self) -> None:
        own = threading.get_ident()
        if self._holder != own:
            return
        with self._session.lock:
            if self._holder != own:
                return
            self._holder = None
            self._grant_claim()
            if self.waiting or self.watched or self.called or self._session.connection is None:
                self.is_dozing = False
                self.waker.wake()

    def _follow(self, task: Task | None, until: float | None) -> None:
        """Sleeps until the task is done, or this thread shall look after things itself."""
        session = self._session
        waiter = threading.Lock()
        waiter.acquire()
        try:
            with session.lock:
                if (task._done if task else session.connections) or session.unreachable is not None:
                    return
                if self._holder is None and session.connection is not None and self._claim is None:
                    return
                self.waiting[waiter] = task
                if task is not None:
                    task._waiters += (waiter,)
                self.stir(at_once=session.connection is None)
            if self._thread.is_current():
                # A destructor ran here: the thread that gives up the lead wakes this one.
                self.waker.wait(_LOOK_S)
                return
            waiter.acquire(timeout=-1 if until is None else max(0.0, until - monotonic()))
        finally:
            with session.lock:
                self.waiting.pop(waiter, None)
                if task is not None:
                    task._waiters = tuple(other for other in task._waiters if other is not waiter)

    def take_for_thread(self) -> int:
        """The grant of the session's thread; 0 if a caller leads or wants to. With the lock held."""
        if self._claim is not None or self._holder is not None:
            return 0
        self._holder_waker = self.waker
        self._grant += 1
        self._holder = threading.get_ident()
        return self._grant

    def give_up_thread(self, grant: int) -> None:
        """Ends that grant, and hands over to the caller that wants to lead."""
        with self._session.lock:
            self.is_dozing = False
            if self._grant != grant:
                return
            self._holder = None
            self._grant_claim()

    def _grant_claim(self) -> None:
        if self._claim is not None:
            caller, waiter = self._claim
            self._claim = None
            self._hand_to(caller, self._caller_waker)
            waiter.release()

    def round(self, grant: int, waker: Waker, until: float | None) -> bool:
        """Writes, waits, reads, hands out. False when the lead or the connection is lost."""
        session = self._session
        with session.lock:
            connection = session.connection
            if connection is None or self._grant != grant:
                return False
            pause = self._prepare(connection, until, waker)
            wants_write = connection.wants_write
        if connection.broken is None:
            wait(waker, connection.sock, wants_write, pause)
        try:
            with session.lock:
                if self._grant != grant:
                    # A handler led while this frame waited, and gave up: another thread may lead now.
                    return False
                if connection.broken is None and connection.read_some():
                    session.heard = self.listened_at = monotonic()
                else:
                    self._judge_silence(connection)
                found = self._take(connection)
            while found:
                found = self._print_and_answer(connection, *found)
        except BaseException:
            # Frames that were read and not handled come again on the next connection.
            connection.broken = connection.broken or "the client was interrupted while it read"
            raise
        finally:
            if connection.broken is not None:
                with session.lock:
                    session.lose(connection)
                    self.wake_finished()
                    if session.unreachable is not None:
                        self.nudge_all()
        return connection.broken is None

    def _prepare(self, connection: Connection, until: float | None, waker: Waker) -> float:
        """Writes what may be written; how long this round may wait."""
        session, now = self._session, monotonic()
        if now - self.listened_at > 1.0:
            # This process was stopped, or busy: the silence is its own.
            session.heard = max(session.heard, now)
        self.listened_at = now
        is_waited_for = waker is self._caller_waker or bool(self.waiting) or self.watched > 0
        look = session.waiting.look(connection, now, is_waited_for)
        if session.held_back:
            sending.offer_held_back(session)
        if session.backlog:
            sending.send_backlog(session, connection)
        if len(session.acks) >= ACKS_MAX or (session.acks and now - session.flushed_at > ACK_AFTER_S):
            session.flush(connection)
        elif connection.wants_write:
            connection.flush()
            session.unflushed = 0
        pause = min(SILENCE_S - (now - session.heard) + 0.1, look)
        if session.acks:
            pause = min(pause, ACK_AFTER_S)
        if until is not None:
            pause = min(pause, until - now)
        for at, _ in session.held_back:
            pause = min(pause, at - now)
        return max(pause, 0.0)

    def _judge_silence(self, connection: Connection) -> None:
        now = monotonic()
        self.listened_at = now
        if now - self._session.heard > SILENCE_S:
            connection.broken = connection.broken or f"the manager was silent for {SILENCE_S:.0f} s"

    def _take(self, connection: Connection) -> _Found | None:
        """Hands out what was read, up to what has to be printed or answered before. With the lock held."""
        session = self._session
        if session.connection is not connection:
            return None
        inbox.take(session, connection)
        if connection.is_unread:
            connection.broken = connection.broken or "the manager does not read the answers that it asks for"
        if session.acks:
            session.waiting.outcome_came()
        prints, asks = session.prints, session.asks
        if prints or asks:
            session.prints, session.asks = [], []
            return prints, asks
        if session.backlog:
            sending.send_backlog(session, connection)
        if connection.out:
            session.flush(connection)
        if session.finished:
            self.wake_finished()
        return None

    def _print_and_answer(self, connection: Connection, prints: list[Print], asks: list[bytes]) -> _Found | None:
        """Prints output of tasks before their outcomes are delivered; without the lock, because streams are the user's."""
        session = self._session
        for one in prints:
            session.printer.write(one)
        answers = [session.answer(ask) for ask in asks]
        with session.lock:
            for answer in answers:
                connection.send(answer)
            return self._take(connection)

    def wake_finished(self) -> None:
        """Wakes the threads that wait for what is finished, and leaves the callbacks to our own. With the lock held."""
        session = self._session
        finished, session.finished = session.finished, []
        for task in finished:
            if task._output is not None:
                session.printer.end_of_task(task._id)
            for waiter in task._waiters:
                if self.waiting.pop(waiter, None) is not None:
                    waiter.release()
            if task._callbacks is not None:
                self.called.append(task)
        if self.called and not self._thread.is_current():
            self.waker.wake()

    def nudge_one(self) -> None:
        """Lets one of those who wait look after things itself. With the lock held."""
        # The last that came: one before it may belong to a frame below, which goes on only after it.
        for waiter in reversed(self.waiting):
            del self.waiting[waiter]
            waiter.release()
            return

    def nudge_all(self) -> None:
        while self.waiting:
            self.nudge_one()
