"""Which thread moves the bytes of a session.

One thread at a time has the turn: it waits on the socket, reads, and hands out what came. A caller that waits takes it
itself, so that a lone call costs no change of threads. When nobody waits, or several do, the session's own thread has
it. That thread also finds managers, writes what callers left behind, and runs callbacks, always without the turn, so
that a callback may call anything.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from . import _inbox, _sending
from ._task import Task
from ._thread import SessionThread
from ._wake import Bell, wait
from .errors import Unreachable

if TYPE_CHECKING:
    from ._link import Link
    from ._session import Session

ACKS_MAX = 256
ACK_AFTER_S = 0.05
SILENCE_S = 15.0


class Turns:
    """State is guarded by the session's lock."""

    def __init__(self, session: Session):
        self._session = session
        self.bell = Bell()
        self._caller_bell = Bell()
        # The thread that has the turn, and the bell that wakes it. A single word, so that an interrupt leaves no halves.
        self._holder: int | None = None
        self._holder_bell: Bell | None = None
        # A caller that waits for the session's thread to hand the turn over.
        self._claim: tuple[int, threading.Lock] | None = None
        self.taken = 0
        self.is_dozing = False
        self.waiting: dict[threading.Lock, Task | None] = {}
        self.called: deque[Task] = deque()
        # Tasks under way that have callbacks: somebody has to read though nobody waits.
        self.watched = 0
        self._thread = SessionThread(session, self)
        self.listened_at = 0.0

    # --- for callers -------------------------------------------------------------------------------------------------

    def stir(self, at_once: bool = False) -> None:
        """There is something new to send or to do. With the lock held."""
        self._thread.start()
        link = self._session.link
        if at_once or self.is_dozing or link is None or link.broken:
            self.is_dozing = False
            self.bell.ring()
        if self._is_with_caller() and (at_once or link is None or link.pending or link.broken):
            self._caller_bell.ring()

    def ring(self) -> None:
        """Wakes the session's thread. Needs no lock."""
        self.bell.ring()

    def wait(self, task: Task, timeout: float | None) -> bool:
        """Waits until the task is done: True; or the time is over: False. Raises Unreachable."""
        session = self._session
        until = None if timeout is None else time.monotonic() + timeout
        with session.lock:
            session.unreachable = None
        while not task._done:
            if until is not None and time.monotonic() >= until:
                return self.look(task)
            try:
                if self._take_turn():
                    self._lead(task, until)
                else:
                    self._follow(task, until)
            finally:
                self._give_up_turn()
            if session.unreachable is not None and not task._done:
                raise Unreachable(session.unreachable.message)
        return True

    def wait_for_link(self) -> None:
        """Waits for the first connection, or raises Unreachable."""
        session = self._session
        while True:
            with session.lock:
                if session.connections or session.closed:
                    return
                session.unreachable = None
                self.stir(at_once=True)
            self._follow(None, None)
            if session.unreachable is not None:
                raise Unreachable(session.unreachable.message)

    def announce(self) -> None:
        """Wakes those who wait for what was settled outside of a round."""
        with self._session.lock:
            self.wake_finished()

    def end(self) -> None:
        """Waits for the thread to end, after the session was closed."""
        self._thread.join()

    def is_led(self) -> bool:
        """Whether somebody may be waiting on the socket. With the lock held."""
        return self._holder is not None

    def close_bells(self) -> None:
        """In a forked child: its parent's bells are not its own."""
        self.bell.close()
        self._caller_bell.close()

    # --- taking turns ------------------------------------------------------------------------------------------------

    def look(self, task: Task) -> bool:
        """Reads what is there without waiting, if nobody else does."""
        if not task._done:
            try:
                if self._take_turn(may_claim=False):
                    self._lead(task, time.monotonic())
            finally:
                self._give_up_turn()
        return task._done

    def _take_turn(self, may_claim: bool = True) -> bool:
        session, own = self._session, threading.get_ident()
        with session.lock:
            if session.link is None or self._claim is not None:
                return False
            # It may be ours already: then an interrupt came where we should have given it up.
            if self._holder is None or self._holder == own:
                self._hand_to(own, self._caller_bell)
                return True
            if not may_claim or self._is_with_caller() or self.waiting or self.watched:
                return False
        waiter = threading.Lock()
        waiter.acquire()
        claim = (own, waiter)
        try:
            with session.lock:
                if self._claim is not None or self._holder is None:
                    return False
                self._claim = claim
                self.bell.ring()
            waiter.acquire(timeout=1.0)
        finally:
            with session.lock:
                if self._claim is claim:
                    self._claim = None
        return self._holder == own

    def _hand_to(self, holder: int, bell: Bell) -> None:
        self._holder_bell = bell
        self.taken += 1
        self._holder = holder

    def _is_with_caller(self) -> bool:
        return self._holder is not None and self._holder_bell is self._caller_bell

    def _lead(self, task: Task, until: float | None) -> None:
        own = threading.get_ident()
        while not task._done and self._holder == own and self.round(self._caller_bell, until):
            if until is not None and time.monotonic() >= until:
                return

    def _give_up_turn(self) -> None:
        if self._holder != threading.get_ident():
            return
        with self._session.lock:
            self._holder = None
            if self.waiting or self.watched or self.called or self._session.link is None:
                self.is_dozing = False
                self.bell.ring()

    def _follow(self, task: Task | None, until: float | None) -> None:
        """Sleeps until the task is done, or this thread shall look after things itself."""
        session = self._session
        waiter = threading.Lock()
        waiter.acquire()
        try:
            with session.lock:
                if (task._done if task else session.connections) or session.unreachable is not None:
                    return
                if self._holder is None and session.link is not None and self._claim is None:
                    return
                self.waiting[waiter] = task
                if task is not None:
                    task._waiters += (waiter,)
                self.stir(at_once=session.link is None)
            waiter.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic()))
        finally:
            with session.lock:
                self.waiting.pop(waiter, None)
                if task is not None:
                    task._waiters = tuple(other for other in task._waiters if other is not waiter)

    def take_for_thread(self) -> bool:
        """Gives the turn to the session's thread, if nobody has or wants it. With the lock held."""
        if self._claim is not None or self._holder is not None:
            return False
        self._holder_bell = self.bell
        self._holder = threading.get_ident()
        return True

    def give_up_thread(self) -> None:
        """Takes it back, and hands it to the caller that claims it."""
        with self._session.lock:
            self.is_dozing = False
            self._holder = None
            if self._claim is not None:
                caller, waiter = self._claim
                self._claim = None
                self._hand_to(caller, self._caller_bell)
                waiter.release()

    # --- one round ---------------------------------------------------------------------------------------------------

    def round(self, bell: Bell, until: float | None) -> bool:
        """Writes, waits, reads, hands out. False when the connection is lost. The caller has the turn."""
        session = self._session
        with session.lock:
            link = session.link
            if link is None:
                return False
            pause = self._prepare(link, until)
            wants_write = link.wants_write
        if link.broken is None:
            wait(bell, link.sock, wants_write, pause)
        try:
            if link.broken is None and link.read_some():
                session.heard = self.listened_at = time.monotonic()
                self._take(link)
            else:
                self._judge_silence(link)
                self._take(link)
        except BaseException:
            # What was read and not yet handed out comes again on the next connection.
            link.broken = link.broken or "the client was interrupted while it read"
            raise
        finally:
            if link.broken is not None:
                with session.lock:
                    session.lose(link)
                    self.wake_finished()
                    if session.unreachable is not None:
                        self.nudge_all()
        return link.broken is None

    def _prepare(self, link: Link, until: float | None) -> float:
        """Writes what may be written; how long this round may wait."""
        session, now = self._session, time.monotonic()
        if now - self.listened_at > 1.0:
            # This process was stopped, or busy: the silence is its own.
            session.heard = max(session.heard, now)
        self.listened_at = now
        if session.held_back:
            _sending.offer_held_back(session)
        if session.backlog:
            _sending.send_backlog(session, link)
        if len(session.acks) >= ACKS_MAX or (session.acks and now - session.flushed_at > ACK_AFTER_S):
            session.flush(link)
        elif link.wants_write:
            link.flush()
            session.unflushed = 0
        pause = SILENCE_S - (now - session.heard) + 0.1
        if session.acks:
            pause = min(pause, ACK_AFTER_S)
        if until is not None:
            pause = min(pause, until - now)
        for at, _ in session.held_back:
            pause = min(pause, at - now)
        return max(pause, 0.0)

    def _judge_silence(self, link: Link) -> None:
        now = time.monotonic()
        self.listened_at = now
        if now - self._session.heard > SILENCE_S:
            link.broken = link.broken or f"the manager was silent for {SILENCE_S:.0f} s"

    def _take(self, link: Link) -> None:
        """Hands out what was read. What a task printed is printed before its outcome is told."""
        session = self._session
        while True:
            with session.lock:
                if session.link is not link:
                    return
                _inbox.take(session, link)
                prints, asks = session.prints, session.asks
                if not prints and not asks:
                    if session.backlog:
                        _sending.send_backlog(session, link)
                    if link.out:
                        session.flush(link)
                    if session.finished:
                        self.wake_finished()
                    return
                session.prints, session.asks = [], []
            for one in prints:
                session.printer.write(one)
            answers = [session.answer(ask) for ask in asks]
            with session.lock:
                for answer in answers:
                    link.send(answer)

    # --- waking ------------------------------------------------------------------------------------------------------

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
            self.bell.ring()

    def nudge_one(self) -> None:
        """Lets one of those who wait look after things itself. With the lock held."""
        for waiter in self.waiting:
            del self.waiting[waiter]
            waiter.release()
            return

    def nudge_all(self) -> None:
        while self.waiting:
            self.nudge_one()
