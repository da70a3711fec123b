"""Reports why tasks wait: a session that has waited for two seconds without an outcome asks the manager.

The client reports in the same way what it knows itself: that no manager answers, that the queue or the store is full.
Each reason is reported once, until it has passed. The rules are those of `spec/protocol.md`, section 7.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Callable

from .._wire import protocol as wire
from .._wire.text import line, lines

if TYPE_CHECKING:
    from .._wire.connection import Connection
    from .session import Session

FIRST_S = 2.0
_PAUSES_S = (2.0, 4.0, 8.0, 16.0, 30.0)
#: Every pool that has enough to do is like that: only a hook of the user's learns of it.
SILENT = frozenset({"busy", "delayed"})
_AWAY = ("manager_away", "")

Hook = Callable[[dict[str, Any]], Any]


def log(reason: dict[str, Any]) -> None:
    """The default of `on_waiting`: a warning of the logger "argon"."""
    if reason["code"] not in SILENT:
        logging.getLogger("argon").warning("argon: waiting: %s", reason["message"])


class Waiting:
    """Reasons that one session has received and reported. All methods are called with the session's lock held."""

    def __init__(self, session: Session, hook: Hook | None):
        self._session = session
        self._hook = hook
        # Time since which calls wait without an outcome; None while no call waits, or just after an outcome.
        self.since: float | None = None
        self._next_at = 0.0
        self._asks = 0
        self._request: int | None = None
        self._is_refused = False
        # The code and message of the last `rejected` outcome that the client answers by trying again.
        self._full: tuple[str, str] | None = None
        # Whether such an outcome has come since the manager's last reply.
        self._is_full_since = False
        self._told: set[tuple[str, str]] = set()

    def look(self, connection: Connection, now: float, is_waited_for: bool) -> float:
        """Asks if it is time to; in how many seconds to look again."""
        session = self._session
        if not is_waited_for or not session.journal:
            self.since = None
            return FIRST_S
        if self.since is None:
            self.since, self._asks = now, 0
            self._next_at = now + FIRST_S
        if now < self._next_at:
            return self._next_at - now
        pause = _PAUSES_S[min(self._asks, len(_PAUSES_S) - 1)]
        self._asks += 1
        self._next_at = now + pause
        if self._full is not None and session.held_back:
            self._tell(*self._full)
        elif self._request is not None:
            # It has not answered since the last look.
            self._tell(_AWAY[0], f"the manager at {self._where()} does not answer", tasks=len(session.journal))
        elif not self._is_refused and self._hook is not None:
            self._request = next(session.numbers)
            connection.send(wire.json_frame(wire.REQUEST, {"request": self._request, "what": "waiting"}))
        return pause

    def outcome_came(self) -> None:
        """Something has come: the wait begins anew."""
        self.since = None
        if self._full is not None:
            self._told.discard((self._full[0], ""))
            self._full = None

    def is_full(self, report: dict[str, Any]) -> None:
        """The manager did not take a task, which is offered again later."""
        self._full = report.get("code") or "queue_full", report.get("message") or "the queue is full"
        self._is_full_since = True

    def is_away(self, since: float, now: float, reason: str) -> None:
        """No manager was found so far."""
        session = self._session
        count = len(session.journal) + len(session.requests)
        if now - since >= FIRST_S and (count or session.leader.waiting) and self._hook is not None:
            bound = session.reconnect.give_up_after
            how_long = "until one answers; give_up_after=SECONDS bounds that" if bound is None else f"up to {bound:g} s"
            calls = "1 call waits" if count <= 1 else f"{count} calls wait"
            self._tell(_AWAY[0], f"{reason} {calls} {how_long}", tasks=count)

    def has_connection(self) -> None:
        """A manager was found, which may be another than before."""
        self.since, self._request, self._is_refused = None, None, False
        self._told.discard(_AWAY)

    def take(self, reply: dict[str, Any]) -> bool:
        """Takes the answer to its own question; False if it is one to another."""
        if self._request is None or reply.get("request") != self._request:
            return False
        self._request = None
        if not reply.get("ok"):
            # An older manager.
            self._is_refused = True
            return True
        given = reply.get("waiting")
        reasons = [one for one in given if isinstance(one, dict) and one.get("code")] if isinstance(given, list) else []
        held = {(line(str(one["code"])), line(str(one.get("runtime") or ""))) for one in reasons}
        if self._full is not None and self._is_full_since:
            # The task may be on its way to the manager again, just now.
            held.add((self._full[0], ""))
        self._is_full_since = False
        self._told &= held
        # The manager does not know under which address it is seen from here.
        where = self._where()
        for one in reasons:
            tasks = one.get("tasks")
            self._tell(
                line(str(one["code"])),
                lines(str(one.get("message") or one["code"])).replace("HOST:PORT", where),
                line(str(one.get("runtime") or "")),
                tasks if isinstance(tasks, int) else None,
            )
        return True

    def _where(self) -> str:
        if self._session.reconnect.place is not None:
            return "HOST:PORT"
        host, port = self._session.reconnect.addresses[0]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def tell_at_exit(self, count: int) -> None:
        """The program would end, but for its calls."""
        calls = "1 submitted call has" if count == 1 else f"{count} submitted calls have"
        self._tell("exit", f"the program ends when {calls} ended; Ctrl-C cancels them", tasks=count)

    def _tell(self, code: str, message: str, runtime: str = "", tasks: int | None = None) -> None:
        if self._hook is None or (code, runtime) in self._told:
            return
        self._told.add((code, runtime))
        reason = {"code": code, "message": message, "runtime": runtime, "tasks": tasks}
        self._session.callbacks.call(self._hook, reason, "on_waiting")
