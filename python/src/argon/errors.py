"""Ends of tasks other than a value or an own exception, and refusals at the call.

What a task raises is raised again as it was, with the remote traceback as its cause. Everything else that ends a task
is one of the classes here. Each has a `kind`, the same word as in Argon's other languages.
"""

from __future__ import annotations

import concurrent.futures
import pickle
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from ._wire.text import lines

__all__ = [
    "Cancelled",
    "CannotTravel",
    "Closed",
    "Died",
    "Error",
    "Lost",
    "ModuleChanged",
    "OptionError",
    "Rejected",
    "RemoteTraceback",
    "TaskError",
    "TimedOut",
    "Unreachable",
]


class Error(Exception):
    """The base of all errors that Argon itself raises.

    As text it is a sentence, the facts that are known, and the last lines that the task printed. Facts that are not
    known are None.
    """

    kind: ClassVar[str] = "error"

    message: str
    """The sentence without the facts."""
    task: str | None
    """The task's id, 48 hexadecimal digits."""
    worker: str | None
    """The name of the worker that ran it."""
    host: str | None
    """The machine that ran it."""
    pid: int | None
    """The runner's process id."""
    attempt: int | None
    """Which start of the task this was."""
    attempts: int | None
    """Number of starts."""
    signal: int | None
    """The signal that ended the process."""
    exit_code: int | None
    """The exit code of the process."""
    output: str | None
    """The last lines that the task printed."""
    peak_kib: int | None
    """The most memory that the process used, in KiB."""
    peak_by: str | None
    """Source of `peak_kib`: `cgroup` for all processes of the task, `process` for the runner's own."""
    limit_kib: int | None
    """Its limit, in KiB; 0 for none."""
    cpu_ms: int | None
    """The processor time that the attempt used, in milliseconds."""
    cpu_by: str | None
    """Source of `cpu_ms`, as for `peak_by`."""
    run_ms: int | None
    """Time that the attempt ran, in milliseconds."""
    story: list[str]
    """Ends of all attempts, one line each."""

    def __init__(self, message: str, task: str | None = None, report: Mapping[str, Any] | None = None):
        super().__init__(message)
        facts = report or {}
        self.message = message
        self.task = task
        self.exit_code = facts.get("exit")
        self.story = list(facts.get("story") or ())
        for name in ("worker", "host", "pid", "attempt", "attempts", "signal", "output"):
            setattr(self, name, facts.get(name))
        for name in ("peak_kib", "peak_by", "limit_kib", "cpu_ms", "cpu_by", "run_ms"):
            setattr(self, name, facts.get(name))

    def __str__(self) -> str:
        facts = []
        if self.host is not None and self.host not in self.message:
            facts.append(f"host {self.host}")
        if (self.attempts or 0) > 1:
            facts.append(f"attempt {self.attempt} of {self.attempts}")
        if self.peak_kib and self.kind == "died":
            limit = f" of {self.limit_kib / 1024:.0f} allowed" if self.limit_kib else ""
            facts.append(f"peak memory {self.peak_kib / 1024:.0f} MiB{limit}")
        text = self.message.rstrip(". \n") + (f" ({', '.join(facts)})" if facts else "")
        if self.output:
            shown = lines(self.output).rstrip("\n").split("\n")
            text += "\n  Its last output:\n" + "\n".join(f"  | {one}" for one in shown)
        return text

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.message, self.__dict__)


def _restored(kind: type[Error], message: str, fields: dict[str, Any]) -> Error:
    error = kind.__new__(kind, message)
    error.args = (message,)
    error.__dict__.update(fields)
    return error


class Died(Error):
    """The process that ran the task ended: an exit, a signal, no memory."""

    kind = "died"


if TYPE_CHECKING or sys.version_info >= (3, 11):
    _Timeout = TimeoutError
else:

    class _Timeout(concurrent.futures.TimeoutError, TimeoutError):
        """Until Python 3.11 the two are different classes; a caller may expect either."""


class NotYet(_Timeout):
    """A wait with a limit ended without an outcome; the task goes on."""


class TimedOut(Error, _Timeout):
    """The task ran longer than its `timeout`; also a `TimeoutError`."""

    kind = "timeout"


class Cancelled(Error, concurrent.futures.CancelledError):
    """The task was cancelled, or its client was shut down."""

    kind = "cancelled"


class Lost(Error):
    """The task may have run, and must not be tried again, or it lost too many workers."""

    kind = "lost"


class Rejected(Error):
    """The system is at capacity and the caller asked not to wait."""

    kind = "rejected"


class Unreachable(Error):
    """No manager answers, or none that this key opens."""

    kind = "unreachable"


class Closed(Error):
    """The client was shut down before this call."""

    kind = "closed"


class OptionError(Error, ValueError):
    """An option of a call or of a client cannot be meant."""

    kind = "option"


class CannotTravel(Error, TypeError, pickle.PicklingError):
    """A function or an argument cannot be sent to another process."""

    kind = "code"


class TaskError(Error):
    """The task raised an exception that cannot be rebuilt here; its class, text and traceback are known."""

    kind = "error"

    class_name: str | None = None
    """The name of the exception's class, with its module."""
    traceback: str | None = None
    """The traceback as text, as the worker saw it."""


class ModuleChanged(UserWarning):
    """A module was changed in memory; a worker that imports it loads the unchanged file."""


class RemoteTraceback(Exception):
    """The cause of an exception that a task raised: shows the traceback from the worker."""

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text.rstrip()}\n"""'


BY_STATUS: dict[str, type[Error]] = {
    kind.kind: kind for kind in (Died, TimedOut, Cancelled, Lost, Rejected, Unreachable, Closed)
}
