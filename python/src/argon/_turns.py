"""Which thread moves the bytes of a session.

One thread at a time has the turn: it waits on the socket, reads, and hands out what came. A caller that waits takes it
itself, so that a lone call costs no change of threads. When nobody waits, or several do, the session's own thread has
it. That thread also finds managers, writes what callers left behind, and runs callbacks, always without the turn, so
that a callback may call anything.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from . import _inbox, _sending
from ._task import Task
from ._wake import Bell, wait
from .errors import Lost, Unreachable

if TYPE_CHECKING:
    from ._link import Link
    from ._session import Session

ACKS_MAX = 256
ACK_AFTER_S = 0.05
SILENCE_S = 15.0
# How long the thread leaves the turn to callers that took it one after another, and what they left unwritten.
TICK_S = 0.01
DOZE_S = 0.25
JOIN_S = 5.0

_CALLER, _THREAD = "caller", "thread"


class Turns:
    """State is guarded by the session's lock, but for `turn`, which its holder gives back."""

    def __init__(self, session: Session):
        self._session = session
        self._bell = Bell()
        self._caller_bell = Bell()
        self._turn = threading.Lock()
        self._leader: str | None = None
        # A caller waits for the thread to give up the turn.
        self._claimed = False
        self._taken = 0
        self._dozing = False
        self._waiting: dict[threading.Lock, Task | None] = {}
        self._called: deque[Task] = deque()
        # Tasks under way that have callbacks: somebody has to read though nobody waits.
        self.watched = 0
        self._thread: threading.Thread | None = None
        self._listened_at = 0.0

    # --- for callers -------------------------------------------------------------------------------------------------

    def stir(self, at_once: bool = False) -> None:
        """There is something new to send or to do. With the lock held."""
        if self._thread is None:
            self._start()
        link = self._session.link
        if at_once or self._dozing or link is None or link.broken:
            self._dozing = False
            self._bell.ring()
        if self._leader == _CALLER and (at_once or link is None or link.pending or link.broken):
            self._caller_bell.ring()

    def ring(self) -> None:
        """Wakes the session's thread. Needs no lock."""
        self._bell.ring()

    def wait(self, task: Task, timeout: float | None) -> bool:
        """Waits until the task is done: True; or the time is over: False. Raises Unreachable."""
        session = self._session
        until = None if timeout is None else time.monotonic() + timeout
        with session.lock:
            session.unreachable = None
        while not task._done:
            if until is not None and time.monotonic() >= until:
                return self._look(task)
            if self._take_turn():
                self._lead(task, until)
            else:
                self._follow(task, until)
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
            self._wake_finished()

    def end(self) -> None:
        """Waits for the thread to end, after the session was closed."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(JOIN_S)

    def is_led(self) -> bool:
        """Whether somebody may be waiting on the socket. With the lock held."""
        return self._leader is not None

    def close_bells(self) -> None:
        """In a forked child: its parent's bells are not its own."""
        self._bell.close()
        self._caller_bell.close()

    # --- taking turns ------------------------------------------------------------------------------------------------

    def _look(self, task: Task) -> bool:
        """Reads what is there without waiting, if nobody else does."""
        if not task._done and self._take_turn(may_claim=False):
            self._lead(task, time.monotonic())
        return task._done

    def _take_turn(self, may_claim: bool = True) -> bool:
        session = self._session
        with session.lock:
            if session.link is None or self._leader == _CALLER or self._claimed:
                return False
            if self._turn.acquire(False):
                self._leader = _CALLER
                self._taken += 1
                return True
            if not may_claim or self._waiting or self.watched:
                return False
            self._claimed = True
            self._bell.ring()
        got = False
        try:
            got = self._turn.acquire(timeout=1.0)
        finally:
            with session.lock:
                self._claimed = False
                if got:
                    self._leader = _CALLER
                    self._taken += 1
        return got

    def _lead(self, task: Task, until: float | None) -> None:
        try:
            while not task._done and self._round(self._caller_bell, until):
                if until is not None and time.monotonic() >= until:
                    return
        finally:
            self._give_up_turn()

    def _give_up_turn(self) -> None:
        with self._session.lock:
            self._leader = None
            self._turn.release()
            if self._waiting or self.watched or self._called or self._session.link is None:
                self._dozing = False
                self._bell.ring()

    def _follow(self, task: Task | None, until: float | None) -> None:
        """Sleeps until the task is done, or this thread shall look after things itself."""
        session = self._session
        waiter = threading.Lock()
        waiter.acquire()
        with session.lock:
            if (task._done if task else session.connections) or session.unreachable is not None:
                return
            if self._leader is None and session.link is not None and not self._claimed:
                return
            self._waiting[waiter] = task
            if task is not None:
                task._waiters += (waiter,)
            self.stir(at_once=session.link is None)
        try:
            waiter.acquire(timeout=-1 if until is None else max(0.0, until - time.monotonic()))
        finally:
            with session.lock:
                self._waiting.pop(waiter, None)
                if task is not None:
                    task._waiters = tuple(other for other in task._waiters if other is not waiter)

    # --- one round ---------------------------------------------------------------------------------------------------

    def _round(self, bell: Bell, until: float | None) -> bool:
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
        bell.silence()
        try:
            if link.broken is None and link.read_some():
                session.heard = self._listened_at = time.monotonic()
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
                    self._wake_finished()
                    if session.unreachable is not None:
                        self._nudge_all()
        return link.broken is None

    def _prepare(self, link: Link, until: float | None) -> float:
        """Writes what may be written; how long this round may wait."""
        session, now = self._session, time.monotonic()
        if now - self._listened_at > 1.0:
            # This process was stopped, or busy: the silence is its own.
            session.heard = max(session.heard, now)
        self._listened_at = now
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
        self._listened_at = now
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
                        self._wake_finished()
                    return
                session.prints, session.asks = [], []
            for one in prints:
                session.printer.write(one)
            answers = [session.answer(ask) for ask in asks]
            with session.lock:
                for answer in answers:
                    link.send(answer)

    # --- waking ------------------------------------------------------------------------------------------------------

    def _wake_finished(self) -> None:
        """Wakes the threads that wait for what is finished, and leaves the callbacks to our own. With the lock held."""
        session = self._session
        finished, session.finished = session.finished, []
        for task in finished:
            if task._output is not None:
                session.printer.end_of_task(task._id)
            for waiter in task._waiters:
                if self._waiting.pop(waiter, None) is not None:
                    waiter.release()
            if task._callbacks is not None:
                self._called.append(task)
        if self._called and self._leader != _THREAD:
            self._bell.ring()

    def _nudge_one(self) -> None:
        """Lets one of those who wait look after things itself. With the lock held."""
        for waiter in self._waiting:
            del self._waiting[waiter]
            waiter.release()
            return

    def _nudge_all(self) -> None:
        while self._waiting:
            self._nudge_one()

    # --- the session's thread ----------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="argon-session", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        session, seen = self._session, 0
        try:
            while not session.closed:
                self._bell.silence()
                while session.unwanted:
                    session.cancel(session.unwanted.popleft())
                if session.abandoned:
                    session.close()
                    break
                with session.lock:
                    has_turn = self._may_lead(seen) and self._turn.acquire(False)
                    recent, seen = self._taken != seen, self._taken
                    if has_turn:
                        self._leader = _THREAD
                if has_turn:
                    self._lead_once()
                else:
                    self._doze(TICK_S if recent else DOZE_S)
                self._run_callbacks()
            self._run_callbacks()
        except BaseException as error:
            self._fail_everything(error)
            raise
        finally:
            if session.turns is self and session.closed:
                self.close_bells()

    def _may_lead(self, seen: int) -> bool:
        if self._claimed or self._leader == _CALLER:
            return False
        if self._session.link is None or self._waiting or self.watched:
            return True
        return self._taken == seen

    def _lead_once(self) -> None:
        session = self._session
        try:
            if session.link is None:
                self._find_manager()
            else:
                with session.lock:
                    self._dozing = True
                until = time.monotonic() + TICK_S if session.link and session.link.out else None
                self._round(self._bell, until)
        finally:
            with session.lock:
                self._dozing = False
                self._leader = None
                self._turn.release()

    def _doze(self, seconds: float) -> None:
        """Leaves the turn to callers; writes what they left behind."""
        session = self._session
        with session.lock:
            if session.link is not None and session.link.out and self._leader is None:
                session.flush(session.link)
            self._dozing = seconds > TICK_S
        self._bell.wait(seconds)
        with session.lock:
            self._dozing = False
            if session.link is not None and session.link.out:
                session.flush(session.link)

    def _find_manager(self) -> None:
        session = self._session
        with session.lock:
            wanted = session.unreachable is None and not session.closed
        pause = session.reconnect.pause()
        if not wanted or pause > 0:
            self._bell.wait(pause if wanted else None)
            return
        try:
            found = session.reconnect.attempt()
        except Unreachable as error:
            with session.lock:
                session.gave_up(error)
                self._wake_finished()
                self._nudge_all()
            return
        if found is None:
            return
        with session.lock:
            if session.closed:
                found[0].close()
            else:
                session.opened(*found)
            self._nudge_all()

    def _run_callbacks(self) -> None:
        if not self._called:
            return
        with self._session.lock:
            # Callbacks may wait for whatever they like: meanwhile one of those who wait reads.
            self._nudge_one()
        while self._called:
            task = self._called.popleft()
            with self._session.lock:
                self.watched -= 1
            callbacks, task._callbacks = task._callbacks or [], None
            for callback in callbacks:
                try:
                    callback(task)
                except Exception:
                    logging.getLogger("argon").exception("a callback of the task %s raised", task._id.hex())

    def _fail_everything(self, error: BaseException) -> None:
        """A mistake of ours must not leave callers waiting for ever."""
        session = self._session
        with contextlib.suppress(Exception), session.lock:
            session.closed = True
            for task in [*session.journal.values(), *session.requests.values()]:
                session.fail(task, Lost(f"the client's own thread ended: {error!r}"))
            session.journal.clear()
            session.requests.clear()
            self._wake_finished()
            self._nudge_all()
        self._run_callbacks()
