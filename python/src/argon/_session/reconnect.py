"""Finds a manager: which address next, how long to pause, when to give up.

The first connection of a client fails soon, with a message. A lost one is dialled again for ever, unless
`give_up_after` bounds it. Only the session's own thread calls this.
"""

from __future__ import annotations

import os
from random import random
from time import monotonic
from typing import Any

from .._local.choice import Choice
from .._wire.connection import Connection
from .._wire.dial import dial, is_refused
from .._wire.trouble import DialFailure, Keyless, Refused
from .._wire.trust import Trust
from .._wire.worker_socket import TaskPlace, dial_worker, of_environment
from ..errors import Unreachable

FIRST_S = 1.0
PAUSE_S = 0.05
PAUSE_S_MAX = 2.0
REFUSALS_MAX = 5

#: Trust in a pool of this program: its connections stay on loopback.
_LOCAL = Trust()


class Reconnect:
    """The addresses, and the number of failed tries."""

    def __init__(
        self,
        addresses: list[tuple[str, int]],
        key: str | os.PathLike[str] | None,
        give_up_after: float | None,
        trust: Trust,
        place: TaskPlace | None = None,
        local: Choice | None = None,
    ):
        self.addresses = list(addresses)
        self.key = key
        self.give_up_after = give_up_after
        self.trust = trust
        # In a task: its worker takes the place of the addresses.
        self.place = place
        # Where a pool of this program may take the place of the addresses. None once a manager at them has answered.
        self.local = local
        self.restart()

    def another(self) -> Reconnect:
        """The same for another session."""
        local = None if self.local is None else self.local.another()
        return Reconnect(self.addresses, self.key, self.give_up_after, self.trust, self.place, local)

    def restart(self) -> None:
        """Forgets all tries, as in a process that was just forked."""
        # A task would not run if there were no manager.
        self.connected = self.place is not None
        self.tries = 0
        self.since: float | None = None
        self.next_at = 0.0
        self.refusals = 0
        # Why the last try failed.
        self.trouble = ""

    def is_of_another_task(self) -> bool:
        """True, once for each task, if this is a task's client and the process executes another task now."""
        now = of_environment() if self.place is not None else None
        if now is None or now == self.place:
            return False
        self.place = now
        self.restart()
        return True

    def pause(self) -> float:
        """Seconds until the next try."""
        return self.next_at - monotonic()

    def attempt(self) -> tuple[Connection, dict[str, Any]] | None:
        """One try: a connection and what the manager granted, or None. Raises Unreachable when it gives up."""
        if self.since is None:
            self.since = monotonic()
        try:
            place = self.place
            found = self._dial() if place is None else dial_worker(place)
        except DialFailure as failure:
            self._failed(failure)
            self.trouble = str(failure)
            return None
        self.connected, self.tries, self.since = True, 0, None
        return found

    def _dial(self) -> tuple[Connection, dict[str, Any]]:
        """Dials the next address, or a pool of this program."""
        local = self.local
        if local is None:
            return dial(self.addresses[0], self.key, self.trust)
        own = local.find()
        if own is None:
            try:
                found = dial(self.addresses[0], self.key, self.trust)
            except DialFailure as failure:
                is_free = isinstance(failure, Refused) or (
                    isinstance(failure, Keyless) and is_refused(self.addresses[0])
                )
                if not is_free:
                    raise local.advised(failure) from None
                host, port = self.addresses[0]
                own = local.instead(f"{host}:{port}")
            else:
                self.local = None
                return found
        self.addresses = [own.address]
        return dial(own.address, own.key, _LOCAL)

    def lost(self, reason: str, refused: str) -> None:
        """The connection ended: the manager may be back already, but not one that has refused us, with this code.

        One that is busy may let this client in the next time.
        """
        if refused != "busy":
            self.refusals = self.refusals + 1 if refused else 0
        self.next_at = monotonic() + PAUSE_S_MAX * random() if refused else 0.0
        if self.refusals >= REFUSALS_MAX:
            self.refusals = 0
            raise Unreachable(f"The connection is refused again and again: {reason}")

    def _failed(self, failure: DialFailure) -> None:
        self.tries += 1
        now = monotonic()
        # Jitter over half of the pause, so that the clients of a restarted manager do not all come at once.
        pause = min(PAUSE_S * 2 ** min(self.tries - 1, 7), PAUSE_S_MAX)
        self.next_at = now + pause * (0.5 + random() / 2)
        self.addresses.append(self.addresses.pop(0))
        patience = self.give_up_after
        if patience is None and not self.connected:
            patience = FIRST_S
        waited = now - (self.since if self.since is not None else now)
        if failure.for_good or (patience is not None and waited >= patience):
            self.tries, self.since = 0, None
            text = str(failure)
            if not failure.for_good and self.give_up_after is not None:
                text += f" Gave up after {waited:.1f} s."
            raise Unreachable(text)
