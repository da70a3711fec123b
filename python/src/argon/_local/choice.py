"""Whether a client uses a pool of its own program, and which: because it says so, or because there is no other.

`reconnect` asks it. What the environment names is never passed over: a name with a mistake in it is an error.
"""

from __future__ import annotations

import os
from difflib import get_close_matches

from .._wire.trouble import DialFailure
from ..errors import OptionError
from . import pool

#: The name that stands for an address, of a client that wants a pool of its own program.
NAME = "local"
WORKERS_MAX = 4096


class LocalAddress:
    """What stands for the address of a client that wants a pool of its own program with `workers` slots."""

    def __init__(self, workers: int | None):
        is_whole = isinstance(workers, int) and not isinstance(workers, bool)
        if workers is not None and not (is_whole and 1 <= workers <= WORKERS_MAX):
            raise OptionError(f"local: workers must be a whole number from 1 to {WORKERS_MAX}, not {workers!r}")
        self.workers = workers


class Choice:
    """The choice of one client. It is `explicit` if the client asked for such a pool."""

    def __init__(self, explicit: bool, workers: int | None = None):
        self.explicit = explicit
        self.workers = workers
        self.pool: pool.Pool | None = None

    def another(self) -> Choice:
        """The same for another session."""
        made = Choice(self.explicit, self.workers)
        made.pool = self.pool
        return made

    def find(self) -> pool.Pool | None:
        """The pool to dial now; None for the manager at the default address. Raises DialFailure."""
        found = self.pool
        if found is not None and found.has_ended():
            self.pool = None
            raise DialFailure(
                "The pool of this machine that this program had started has ended, and its tasks with it. The next call "
                "starts another.",
                for_good=True,
            )
        if found is None and self.explicit:
            self.pool = found = self._started("")
        return found

    def advised(self, failure: DialFailure) -> DialFailure:
        """The failure of a manager at the default address that does not serve this client, with the way around it."""
        if not failure.for_good:
            return failure
        advice = 'A pool of this program alone is argon.local(), or the address "local".'
        return DialFailure(f"{failure} {advice}", for_good=True)

    def instead(self, where: str) -> pool.Pool:
        """The pool to dial in place of the default address `where`, at which nothing listens. Raises DialFailure."""
        nothing = f"No manager answers at {where}"
        obstacle = _obstacle()
        if obstacle:
            raise DialFailure(
                f"{nothing}: start one there with `argon manager` or `argon up`, or name one. No pool of this machine "
                f"was started in its place, because {obstacle}."
            )
        try:
            self.pool = self._started(f"no manager answers at {where}; ")
        except DialFailure as problem:
            raise DialFailure(
                f"{nothing}: start one there with `argon manager` or `argon up`, or name one. {problem}", for_good=True
            ) from None
        return self.pool

    def _started(self, reason: str) -> pool.Pool:
        try:
            found, is_new = pool.pool(self.workers)
        except pool.PoolProblem as problem:
            raise DialFailure(f"A pool of this machine could not be started: {problem}.", for_good=True) from None
        if is_new:
            pool.announce(found, reason)
        return found

    def at_least(self, workers: int) -> None:
        """Asks for this number of slots if it is more than there are CPUs: for calls that wait more than they compute."""
        if self.workers is None and workers > pool.cpus():
            self.workers = min(workers, WORKERS_MAX)


def of(address: object, key: object) -> Choice | None:
    """The choice that the options of a client make; None if they or the environment name a manager."""
    if isinstance(address, LocalAddress) or address == NAME:
        if key is not None:
            raise OptionError("Client: a pool of this program makes its own key; leave out key")
        return Choice(True, address.workers if isinstance(address, LocalAddress) else None)
    named = address is not None or bool(os.environ.get("ARGON_MANAGER", "").strip())
    return None if named or key is not None else Choice(False)


def _obstacle() -> str:
    """Why the environment may mean a manager after all; empty if it does not."""
    if "ARGON_MANAGER" in os.environ:
        return "ARGON_MANAGER is set, but empty: give it a value, or unset it"
    if os.environ.get("ARGON_KEY"):
        return (
            'ARGON_KEY names the key of a manager: name the manager, too, or use argon.local() or the address "local"'
        )
    for name in sorted(os.environ):
        if get_close_matches(name.upper(), ["ARGON_MANAGER"], cutoff=0.85):
            return f"{name} is set, which looks like ARGON_MANAGER with a mistake in it"
    return ""
