"""The session's own thread: it leads when no caller does, finds managers, writes what is left, runs callbacks.

The first call starts it, and it ends with the session. `leader` decides when it may lead.
"""

from __future__ import annotations

import contextlib
import threading
from time import monotonic
from typing import TYPE_CHECKING

from .._outcome import handover
from ..errors import Lost, Unreachable
from .once_thread import OnceThread

if TYPE_CHECKING:
    from .leader import Leader
    from .session import Session

# Seconds for which it leaves the lead, and unwritten bytes, to callers that led one after another.
TICK_S = 0.01
DOZE_S = 0.25
JOIN_S = 5.0


class SessionThread:
    """The thread that reads when no caller does. State shared with callers is in `Leader`, under the session's lock."""

    def __init__(self, session: Session, leader: Leader):
        self._session = session
        self._leader = leader
        self._thread = OnceThread(self._run, "argon-session")

    def start(self) -> None:
        """Starts it, once. With the lock held."""
        self._thread.start()

    def has_begun(self) -> bool:
        """True once it was started."""
        return self._thread.was_wanted()

    def is_current(self) -> bool:
        """True if the caller runs on it."""
        return self._thread.is_current()

    def join(self) -> None:
        """Waits for its end, unless this is it."""
        self._thread.join(JOIN_S)

    def _run(self) -> None:
        session, leader, seen = self._session, self._leader, 0
        try:
            while not session.closed:
                session.do_what_was_left()
                if session.abandoned:
                    session.close()
                    break
                with session.lock:
                    grant = leader.take_for_thread() if self._may_lead(seen) else 0
                    recent, seen = leader.taken != seen, leader.taken
                if grant:
                    self._lead_once(grant)
                else:
                    self._doze(TICK_S if recent else DOZE_S)
                self._run_callbacks()
            self._run_callbacks()
        except BaseException as error:
            self._fail_everything(error)
            raise
        finally:
            with session.lock:
                leader.refuse_claim()
            leader.close_wakers()

    def _may_lead(self, seen: int) -> bool:
        leader = self._leader
        if self._session.connection is None or leader.waiting or leader.watched:
            return True
        return leader.taken == seen

    def _lead_once(self, grant: int) -> None:
        session, leader = self._session, self._leader
        try:
            if session.connection is None:
                self.find_manager()
                return
            with session.lock:
                leader.is_dozing = True
                has_rest = session.connection is not None and bool(session.connection.out)
            leader.round(grant, leader.waker, monotonic() + TICK_S if has_rest else None)
        finally:
            leader.give_up_thread(grant)

    def _doze(self, seconds: float) -> None:
        """Lets callers lead; writes what they left behind."""
        session, leader = self._session, self._leader
        with session.lock:
            leader.is_dozing = seconds > TICK_S
        leader.waker.wait(seconds)
        with session.lock:
            leader.is_dozing = False
            if session.connection is not None and session.connection.out:
                session.flush(session.connection)
                leader.stir()

    def find_manager(self) -> None:
        """Pauses, or tries to find one, once. On this thread only."""
        session, leader = self._session, self._leader
        wanted = session.unreachable is None
        pause = session.reconnect.pause()
        if not wanted or pause > 0:
            leader.waker.wait(pause if wanted else None)
            return
        try:
            session.dialler = threading.get_ident()
            found = session.reconnect.attempt()
        except Unreachable as error:
            with session.lock:
                session.gave_up(error)
                leader.wake_finished()
                leader.nudge_all()
            return
        finally:
            session.dialler = 0
        if found is None:
            with session.lock:
                session.waiting.is_away(session.reconnect.since or 0.0, monotonic(), session.reconnect.trouble)
            return
        with session.lock:
            if session.closed:
                found[0].close()
            else:
                session.opened(*found)
            leader.nudge_all()

    def _run_callbacks(self) -> None:
        session, leader = self._session, self._leader
        if not leader.called:
            return
        with session.lock:
            # Callbacks may wait for whatever they like: meanwhile one of those who wait reads.
            leader.nudge_one()
        while leader.called:
            task = leader.called.popleft()
            with session.lock:
                leader.watched -= 1
                callbacks, task._callbacks = task._callbacks or [], None
            for callback in callbacks:
                handover.call_back(callback, task, f"the task {task._id.hex()}")

    def _fail_everything(self, error: BaseException) -> None:
        """A mistake of ours must not leave callers waiting for ever."""
        session, leader = self._session, self._leader
        with contextlib.suppress(Exception), session.lock:
            session.closed = True
            for task in [*session.journal.values(), *session.requests.values()]:
                session.fail(task, Lost(f"the client's own thread ended: {error!r}"))
            session.journal.clear()
            session.requests.clear()
            leader.wake_finished()
            leader.nudge_all()
        self._run_callbacks()
