"""Restores the process of a runner between two tasks.

Owns signal handlers and alarms, the environment, the working folder, the file mode mask, standard streams,
``sys.path`` and ``sys.argv``, and the settings of the interpreter. It compares before it restores, so that a task
that changed nothing costs a few microseconds. What modules keep for themselves, it leaves.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import fcntl
import gc
import io
import os
import sys

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

_STREAMS = ("stdin", "stdout", "stderr")
#: As they are before a task replaces them; and a look at a module costs as much as a system call.
_fchdir, _putenv, _umask = os.fchdir, os.putenv, os.umask
_fcntl, _get_blocking = fcntl.fcntl, os.get_blocking
_F_SETSIG, _F_GETSIG = getattr(fcntl, "F_SETSIG", None), getattr(fcntl, "F_GETSIG", 0)
#: Of standard input, output and error: numbers of signals that are never requested, since none has an owner.
_MARKS = (41, 42, 43)


class Reset:
    """State of the process when the runner started."""

    def __init__(self) -> None:
        self._environ = os.environ
        self._variables: Any = os.environ._data  # type: ignore[attr-defined]
        self._environment = dict(self._variables)
        #: That of the variable, in number and text.
        self._attempt, self._attempt_text = -1, b""
        self._mask = os.umask(0o077)
        os.umask(self._mask)
        self._own_folder = os.open(".", os.O_PATH | os.O_CLOEXEC)
        #: Keeps its number: a new descriptor would be one that a task has left.
        self._folder = os.dup(self._own_folder)
        self._folder_name = _folder_name()
        self._callers_folder: str | None = None
        self._path = list(sys.path)
        self._limits = sys.getrecursionlimit(), sys.getswitchinterval()
        self._hooks = sys.excepthook, sys.displayhook, sys.unraisablehook
        self._signals = [number for number in range(1, _signal.NSIG) if _signal.getsignal(number) is not None]
        self._handlers = list(map(_signal.getsignal, self._signals))
        self._kept = [_above_streams(number) for number in range(3)]
        self._devices = _devices()
        self._mark_streams()
        self._open_streams()

    def task(self, number: str, attempt: int) -> None:
        """Sets the variables that name the task."""
        # Does what os.environ does, without checks that these need not pass.
        data = self._variables
        data[b"ARGON_TASK_ID"] = name = number.encode()
        _putenv(b"ARGON_TASK_ID", name)
        if attempt != self._attempt:
            self._attempt, self._attempt_text = attempt, b"%d" % attempt
            _putenv(b"ARGON_ATTEMPT", self._attempt_text)
        data[b"ARGON_ATTEMPT"] = self._attempt_text

    def enter_trace(self, meta: dict[str, Any]) -> None:
        """Names the trace of the caller in the environment of this task."""
        for name in ("traceparent", "tracestate"):
            value = meta.get(name)
            if isinstance(value, str) and "\0" not in value:
                os.environ[name.upper()] = value

    def start_in(self, folder: str | None) -> None:
        """Goes to the folder of the caller for this task and those after it, or to its own where that is not here."""
        if folder == self._callers_folder:
            return
        self._callers_folder = folder
        wanted = self._own_folder
        if folder is not None and folder.startswith("/"):
            try:
                # To be read, for a sandbox lets a process enter what it hides.
                wanted = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                _fchdir(wanted)
            except OSError:
                if wanted != self._own_folder:
                    os.close(wanted)
                wanted = self._own_folder
        os.dup2(wanted, self._folder, inheritable=False)
        if wanted != self._own_folder:
            os.close(wanted)
        _fchdir(self._folder)
        self._folder_name = _folder_name()

    def quiet(self) -> None:
        """Stops timers and signals of a task that has returned, so that they cannot interrupt the runner."""
        # Without this module a task has set neither handlers nor alarms.
        if "signal" in sys.modules:
            _signal.setitimer(_signal.ITIMER_REAL, 0)
            if list(map(_signal.getsignal, self._signals)) != self._handlers:
                self._restore_signals()
        if sys.gettrace() is not None:
            sys.settrace(None)
        if sys.getprofile() is not None:
            sys.setprofile(None)

    def restore(self) -> None:
        """Everything else. Flushes what the task printed."""
        self._restore_streams()
        if os.environ is not self._environ:
            os.environ = self._environ  # noqa: B003
        data = self._variables
        data.pop(b"ARGON_TASK_ID", None)
        if data.pop(b"ARGON_ATTEMPT", None) is not self._attempt_text:
            # The task has set or removed it.
            self._attempt = -1
        if data != self._environment:
            self._restore_environment()
        _umask(self._mask)
        try:
            # Cheaper than to ask where this is.
            _fchdir(self._folder)
        except OSError:
            if _folder_name() != self._folder_name:
                raise
        if sys.path != self._path:
            sys.path[:] = self._path
        if len(sys.argv) != 1 or sys.argv[0]:
            sys.argv = [""]
        if (sys.getrecursionlimit(), sys.getswitchinterval()) != self._limits:
            sys.setrecursionlimit(self._limits[0])
            sys.setswitchinterval(self._limits[1])
        if not gc.isenabled():
            gc.enable()
        sys.excepthook, sys.displayhook, sys.unraisablehook = self._hooks

    def _restore_signals(self) -> None:
        for number, handler in zip(self._signals, self._handlers):
            if _signal.getsignal(number) is not handler:
                _signal.signal(number, handler)

    def _restore_environment(self) -> None:
        before, data = self._environment, self._variables
        for name in data.keys() - before.keys():
            os.unsetenv(name)
        for name, value in before.items():
            os.putenv(name, value)
        data.clear()
        data.update(before)

    def _restore_streams(self) -> None:
        streams = inputs, output, errors = sys.stdin, sys.stdout, sys.stderr
        if streams == self._streams:
            try:
                output.flush()
                errors.flush()
                if self._are_streams_marked() and not inputs.closed:
                    # As asyncio leaves a pipe: who prints a lot then fails.
                    if not _get_blocking(1) or not _get_blocking(2):
                        os.set_blocking(1, True)
                        os.set_blocking(2, True)
                    return
            except Exception:  # One is closed, was taken apart, or leads to a full disk.
                pass
        for stream in streams[1:]:
            _flush(stream)
        if streams != self._streams:
            for stream in self._streams[1:]:
                _flush(stream)
            sys.stdin, sys.stdout, sys.stderr = self._streams
        if (not self._are_streams_marked() and _devices() != self._devices) or _is_one_closed(self._streams):
            for number, kept in enumerate(self._kept):
                os.dup2(kept, number)
                os.set_blocking(number, True)
            self._mark_streams()
            self._open_streams()

    def _mark_streams(self) -> None:
        """Marks the descriptors, which distinguishes them from each other and from replacements."""
        if _F_SETSIG is not None:
            for number, mark in enumerate(_MARKS):
                _fcntl(number, _F_SETSIG, mark)

    def _are_streams_marked(self) -> bool:
        wanted = _F_GETSIG
        inputs, output, errors = _MARKS
        try:
            return _fcntl(1, wanted) == output and _fcntl(2, wanted) == errors and _fcntl(0, wanted) == inputs
        except OSError:
            return False

    def _open_streams(self) -> None:
        """Makes the standard streams anew. Those that a task closed or sent elsewhere are forgotten."""
        inputs = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), "utf-8", "surrogateescape")
        # Line by line, so that the client sees the output of a task while it runs.
        self._streams = inputs, _output(1), _output(2)
        for name, stream in zip(_STREAMS, self._streams):
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def _output(number: int) -> io.TextIOWrapper:
    raw = io.FileIO(number, "w", closefd=False)
    raw.name = f"<{_STREAMS[number]}>"
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _above_streams(number: int) -> int:
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)


def _devices() -> list[tuple[int, int]] | None:
    """The files behind the three standard descriptors."""
    try:
        found = list(map(os.fstat, (0, 1, 2)))
    except OSError:
        return None
    return [(status.st_dev, status.st_ino) for status in found]


def _folder_name() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None


def _is_one_closed(streams: Any) -> bool:
    try:
        stdin, stdout, stderr = streams
        return bool(stdin.closed or stdout.closed or stderr.closed)
    except ValueError:  # One was taken apart.
        return True


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except Exception:  # A stream of the task's own making, or one that it closed.
        return
