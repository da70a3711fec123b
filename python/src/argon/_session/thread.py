"""The session's own thread: it has the turn when no caller has, finds managers, writes what was left, runs callbacks.

It is started by the first call and ends with the session. `leader` says when it may lead.
"""

from __future__ import annotations

import contextlib
import threading
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING

from .._outcome import handover
from ..errors import Lost, Unreachable

if TYPE_CHECKING:
    from .leader import Turns
    from .session import Session

# How long it leaves the turn to callers that took it one after another, and what they left unwritten.
TICK_S = 0.01
DOZE_S = 0.25
JOIN_S = 5.0


class SessionThread:
    """What it shares with callers is in `Turns`, under the session's lock."""

    def __init__(self, session: Session, turns: Turns):
        self._session = session
        self._turns = turns
        self._thread: Thread | None = None

    def start(self) -> None:
        """Starts it, once. With the lock held."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="argon-session", daemon=True)
        if self._thread.ident is None:
            # An interrupt may have come before it was started, or while it was.
            with contextlib.suppress(RuntimeError):
                self._thread.start()

    def has_begun(self) -> bool:
        """True once it was started."""
        return self._thread is not None

    def is_current(self) -> bool:
        """Whether the caller runs on it."""
        return self._thread is threading.current_thread()

    def join(self) -> None:
        """Waits for its end, unless this is it."""
        if self._thread is not None and not self.is_current():
            self._thread.join(JOIN_S)

    def _run(self) -> None:
        session, turns, seen = self._session, self._turns, 0
        try:
            while not session.closed:
                session.do_what_was_left()
                if session.abandoned:
                    session.close()
                    break
                with session.lock:
                    grant = turns.take_for_thread() if self._may_lead(seen) else 0
                    recent, seen = turns.taken != seen, turns.taken
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
                turns.refuse_claim()
            turns.close_bells()

    def _may_lead(self, seen: int) -> bool:
        turns = self._turns
        if self._session.link is None or turns.waiting or turns.watched:
            return True
        return turns.taken == seen

    def _lead_once(self, grant: int) -> None:
        session, turns = self._session, self._turns
        try:
            if session.link is None:
                self.find_manager()
                return
            with session.lock:
                turns.is_dozing = True
                has_rest = session.link is not None and bool(session.link.out)
            turns.round(grant, turns.bell, monotonic() + TICK_S if has_rest else None)
        finally:
            turns.give_up_thread(grant)

    def _doze(self, seconds: float) -> None:
        """Leaves the turn to callers; writes what they left behind."""
        session, turns = self._session, self._turns
        with session.lock:
            turns.is_dozing = seconds > TICK_S
        turns.bell.wait(seconds)
        with session.lock:
            turns.is_dozing = False
            if session.link is not None and session.link.out:
                session.flush(session.link)
                turns.stir()

    def find_manager(self) -> None:
        """Pauses, or tries to find one, once. On this thread only."""
        session, turns = self._session, self._turns
        wanted = session.unreachable is None
        pause = session.reconnect.pause()
        if not wanted or pause > 0:
            turns.bell.wait(pause if wanted else None)
            return
        try:
            session.dialler = threading.get_ident()
            found = session.reconnect.attempt()
        except Unreachable as error:
            with session.lock:
                session.gave_up(error)
                turns.wake_finished()
                turns.nudge_all()
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
            turns.nudge_all()

    def _run_callbacks(self) -> None:
        session, turns = self._session, self._turns
        if not turns.called:
            return
        with session.lock:
            # Callbacks may wait for whatever they like: meanwhile one of those who wait reads.
            turns.nudge_one()
        while turns.called:
            task = turns.called.popleft()
            with session.lock:
                turns.watched -= 1
                callbacks, task._callbacks = task._callbacks or [], None
            for callback in callbacks:
                handover.call_back(callback, task, f"the task {task._id.hex()}")

    def _fail_everything(self, error: BaseException) -> None:
        """A mistake of ours must not leave callers waiting for ever."""
        session, turns = self._session, self._turns
        with contextlib.suppress(Exception), session.lock:
            session.closed = True
            for task in [*session.journal.values(), *session.requests.values()]:
                session.fail(task, Lost(f"the client's own thread ended: {error!r}"))
            session.journal.clear()
            session.requests.clear()
            turns.wake_finished()
            turns.nudge_all()
        self._run_callbacks()
