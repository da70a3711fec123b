"""The pools of this machine that this program has started: processes of `argon up --until-eof`, one for each size.

A pool lives as long as its lease, a pipe whose other end this program and its forks have. The system closes that end
however they end, and the pool ends at once. Its key is in its environment, which no other user can read.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import re
import select
import subprocess
import sys
import threading
from time import monotonic
from typing import IO, Any

from .command import HOW
from .program import find

#: The limit ends a hang: a pool is ready in a tenth of a second.
READY_S = 60.0
END_S = 5.0
_NAME = re.compile("[A-Za-z_][A-Za-z_0-9]*")


class PoolProblem(Exception):
    """There is no pool; the text explains why."""


class Pool:
    """A manager and a worker in one process, for this program and its forks."""

    def __init__(self, workers: int | None):
        program = find()
        if program is None:
            raise PoolProblem(f"the program `argon` was not found; {HOW}")
        self.key = f"argon1-cluster-{os.urandom(32).hex()}"
        its_end, self._lease = os.pipe()
        self._log = _nameless_file()
        try:
            self._process: subprocess.Popen[bytes] = subprocess.Popen(
                [program, *_arguments(workers)],
                stdin=its_end,
                stdout=subprocess.PIPE,
                stderr=self._log,
                env=_environment(self.key),
                # Ctrl-C in a terminal is for this program.
                start_new_session=True,
            )
        except OSError as error:
            os.close(self._lease)
            self._log.close()
            raise PoolProblem(f"{program} does not start: {error.strerror}") from None
        finally:
            os.close(its_end)
        facts = self._ready(program)
        host, _, port = facts["addr"].rpartition(":")
        self.address = (host, int(port))
        self.slots = int(facts["slots"])

    def _ready(self, program: str) -> dict[str, str]:
        """The facts of its ready line."""
        assert self._process.stdout is not None
        line = _first_line(self._process.stdout)
        self._process.stdout.close()
        if line.startswith("argon-ready "):
            return dict(pair.split("=", 1) for pair in line.split()[1:])
        self._give_back()
        self._log.seek(0)
        said = self._log.read().decode("utf-8", "replace").strip()
        self._log.close()
        raise PoolProblem(f"`{program} up --until-eof` was not ready: {said or 'it printed nothing'}")

    def has_ended(self) -> bool:
        """True if its process is gone, seen by its end of the lease; so it works in a fork, too."""
        poll = select.poll()
        poll.register(self._lease, 0)
        return bool(poll.poll(0))

    def end(self) -> None:
        """Gives the lease back and waits for the end of the process."""
        self._give_back()
        self._log.close()

    def _give_back(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._lease)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave_to_parent(self) -> None:
        """In a fork: the process is not a child of this one."""
        self._process.returncode = 0
        self._log.close()


def pool(workers: int | None) -> tuple[Pool, bool]:
    """The pool of this size, and whether it was started for this call. Raises PoolProblem."""
    with _state["lock"]:
        found: Pool | None = _pools.get(workers)
        if found is not None and not found.has_ended():
            return found, False
        if found is not None:
            found.end()
        found = _pools[workers] = Pool(workers)
        return found, True


def running() -> list[Pool]:
    """The pools that were started and not seen to end."""
    return list(_pools.values())


def announce(made: Pool, reason: str) -> None:
    """Reports the start: by the logger "argon" at INFO, else on a standard error that is a terminal."""
    sentence = f"argon: {reason}started a pool of this machine, {_slots(made.slots)}; it ends with this program"
    log = logging.getLogger("argon")
    if log.isEnabledFor(logging.INFO):
        log.info("%s", sentence)
        return
    with contextlib.suppress(Exception):
        if sys.stderr.isatty():
            print(sentence, file=sys.stderr, flush=True)


def cpus() -> int:
    """Number of slots of a pool that was not given one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _slots(count: int) -> str:
    return "1 slot" if count == 1 else f"{count} slots"


def _nameless_file() -> IO[bytes]:
    """A file that leaves nothing behind."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("argon-log"), "w+b")
    import tempfile

    return tempfile.TemporaryFile()


def _arguments(workers: int | None) -> list[str]:
    arguments = ["up", "--until-eof", "--port", "0"]
    if workers is not None:
        arguments += ["--slots", str(workers)]
    # A program that is frozen, or embeds Python, is no interpreter.
    if os.path.basename(sys.executable or "").startswith("python") and not getattr(sys, "frozen", False):
        arguments += ["--python", sys.executable]
    # Tasks find what a function finds that is called here.
    for name in os.environ:
        if _NAME.fullmatch(name) and not name.startswith("ARGON_"):
            arguments += ["--pass-env", name]
    return arguments


def _environment(key: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ARGON_")}
    return {**kept, "ARGON_KEY": key, "ARGON_LOG": "warn"}


def _first_line(file: IO[bytes]) -> str:
    """What comes before the first line break, the end, or the limit."""
    text, until, descriptor = b"", monotonic() + READY_S, file.fileno()
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    while b"\n" not in text and monotonic() < until:
        if poll.poll(1000 * max(0.0, until - monotonic())):
            more = os.read(descriptor, 4096)
            if not more:
                break
            text += more
    return text.decode("utf-8", "replace").partition("\n")[0]


_pools: dict[int | None, Pool] = {}
#: A destructor may come back here in the middle of a start: the lock is one that its own thread can take again.
_state: dict[str, Any] = {"lock": threading.RLock(), "process": os.getpid()}


def _end_all() -> None:
    """At the end of the program, after the goodbyes of its clients. The pools of a parent are the parent's to end."""
    if _state["process"] == os.getpid():
        for one in _pools.values():
            one.end()


def _begin_after_fork() -> None:
    """In a child: the pools of the parent serve it, too."""
    _state["lock"] = threading.RLock()
    for one in _pools.values():
        one.leave_to_parent()


atexit.register(_end_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_after_fork)
