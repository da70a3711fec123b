"""Finds and removes what a task leaves in its process (``spec/runner.md``, section 2).

Owns the look between a task and its outcome: threads, children, timers, signal mask, identity, priority, limits and
descriptors. What can be put back is put back. If something else is left, the runner leaves: it exits after the outcome,
and the next task finds a new process. ``reset`` owns what a runner puts back in any case.

A task that changed nothing pays for about ten system calls. Files are looked for only when the lowest free descriptor
is another than before.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _thread
import fcntl
import os
import stat
import sys
import time

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    import weakref
    from typing import Any, Callable

_TIMERS = (_signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)
#: A thread that was joined may be counted for a moment longer, and what ends by itself need not cost a process.
PATIENCE_S = 0.02
_STEP_S = 0.0005
#: RLIM_NLIMITS of Linux.
_LIMITS = 16
_NO_MASK: frozenset[int] = frozenset()
_PROCESS = os.PRIO_PROCESS
#: As they are before a task replaces them; and a look at a module costs as much as a system call.
_dup, _close, _getpriority, _sched_getaffinity = os.dup, os.close, os.getpriority, os.sched_getaffinity
_sched_getscheduler = os.sched_getscheduler
_getresuid, _getresgid, _getgroups = os.getresuid, os.getresgid, os.getgroups
_count_threads = _thread._count
_waitpid, _WNOHANG = os.waitpid, os.WNOHANG


def _loaded_alone(name: str) -> Any:
    """A module that a task does not find among those that are loaded, unless it was there before."""
    was_there = name in sys.modules
    __import__(name)
    return sys.modules[name] if was_there else sys.modules.pop(name)


_resource = _loaded_alone("resource")


class Leftovers:
    """The process as it was before the task."""

    def __init__(self, wait: Callable[[], int] | None = None) -> None:
        """``wait`` collects a child, as `_wait` does."""
        self._wait = wait or _wait
        self._limits: dict[int, tuple[int, int]] = {}
        self._mask = set(_signal.pthread_sigmask(_signal.SIG_BLOCK, _NO_MASK))
        self._user, self._group = _getresuid(), _getresgid()
        #: Only root may change them.
        self._groups = _getgroups() if self._user[1] == 0 else None
        self._priority = os.getpriority(_PROCESS, 0)
        self._policy = os.sched_getscheduler(0), os.sched_getparam(0)
        self._processors = os.sched_getaffinity(0)
        self._threads = 0
        self._modules = -1
        self._free = _lowest_free()
        self._known = _descriptors()
        #: Files that were opened while modules were loaded: what is written to them is flushed after each task.
        self._files: list[weakref.ref[Any]] = []

    def begin(self) -> None:
        """A task is about to run; its code and modules are loaded."""
        if self._modules != len(sys.modules):
            self._take_baseline()

    def _take_baseline(self) -> None:
        # Files and threads of modules that are being loaded belong to the session.
        self._modules = len(sys.modules)
        self._threads = _thread._count()
        if not self._limits:
            # Not earlier: a worker limits the memory of a forked runner from outside.
            self._limits = self._limits_now()
        free = _lowest_free()
        if free != self._free:
            before = self._known
            self._free, self._known = free, _descriptors()
            opened = {number for number in self._known - before if _must_close(number)}
            if opened:
                self._files += _files_of(opened)

    def quiet(self) -> None:
        """Stops timers, which may end the process otherwise, as soon as the task has returned."""
        for timer in _TIMERS:
            if _signal.getitimer(timer)[0]:
                _signal.setitimer(timer, 0)

    def look(self) -> bool:
        """Puts back what can be; True if something is left. Flushes the files that are open."""
        for file in self._files:
            _flush(file())
        is_left = False
        # -1: there are no children.
        if self._wait() >= 0 or _count_threads() > self._threads:
            is_left = (self._has_children() or self._has_threads()) and self._go_on()
        if "signal" in sys.modules and _signal.pthread_sigmask(_signal.SIG_BLOCK, _NO_MASK) != self._mask:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, self._mask)
        if _getresuid() != self._user or _getresgid() != self._group:
            is_left = True
        if self._groups is not None and _getgroups() != self._groups:
            is_left = True
        if _getpriority(_PROCESS, 0) != self._priority:
            is_left |= not self._put_priority_back()
        if _sched_getscheduler(0) != self._policy[0]:
            is_left |= not self._put_policy_back()
        if _sched_getaffinity(0) != self._processors:
            is_left |= not self._put_processors_back()
        if "resource" in sys.modules and self._limits_now() != self._limits:
            is_left |= not self._put_limits_back()
        # The number that the next descriptor will get.
        free = _dup(0)
        _close(free)
        if free != self._free:
            is_left |= self._has_open_files()
        self._modules = len(sys.modules)
        return is_left

    def _go_on(self) -> bool:
        """True if children or threads go on for longer than they have time."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            time.sleep(_STEP_S)
            if not self._has_children() and not self._has_threads():
                return False
        return True

    def _has_children(self) -> bool:
        """True if a child runs. Collects the status of those that have ended."""
        ended = self._wait()
        while ended > 0:
            ended = self._wait()
        return ended == 0

    def _has_threads(self) -> bool:
        return _count_threads() > self._threads

    def _put_priority_back(self) -> bool:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, self._priority)
        except OSError:  # Only root may raise it.
            return False
        return True

    def _put_policy_back(self) -> bool:
        try:
            os.sched_setscheduler(0, *self._policy)
        except OSError:
            return False
        return True

    def _put_processors_back(self) -> bool:
        try:
            os.sched_setaffinity(0, self._processors)
        except OSError:
            return False
        return True

    def _limits_now(self) -> dict[int, tuple[int, int]]:
        read = _resource.getrlimit
        return {name: read(name) for name in range(_LIMITS)}

    def _put_limits_back(self) -> bool:
        now = self._limits_now()
        try:
            for name, limit in self._limits.items():
                if now[name] != limit:
                    _resource.setrlimit(name, limit)
        except (OSError, ValueError):  # Only root may raise a hard limit.
            return False
        return True

    def _has_open_files(self) -> bool:
        """True if the task has left a file, a folder or a listening socket open, whose buffers are flushed then."""
        import gc

        # An exception may refer to the frames of the task in a circle, and so to its files.
        gc.collect()
        now = _descriptors()
        opened = {number for number in now - self._known if _must_close(number)}
        if opened:
            for file in _files_of(opened):
                _flush(file())
            return True
        # Connections that a library keeps.
        self._free, self._known = _lowest_free(), now
        return False


def _wait() -> int:
    """The number of a child that has ended, 0 if none of them has, a negative one if there are none."""
    try:
        return _waitpid(-1, _WNOHANG)[0]
    except ChildProcessError:
        return -1


def _lowest_free() -> int:
    """The number that the next descriptor will get."""
    number = _dup(0)
    _close(number)
    return number


def _descriptors() -> set[int]:
    # The folder itself is open while it is read.
    found = set(map(int, os.listdir("/proc/self/fd")))
    return {number for number in found if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        fcntl.fcntl(number, fcntl.F_GETFD)
    except OSError:
        return False
    return True


def _must_close(number: int) -> bool:
    """True for what others may notice: files and folders, which may be locked, and sockets that listen."""
    try:
        mode = os.fstat(number).st_mode
        if stat.S_ISSOCK(mode):
            return _listens(number)
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _listens(number: int) -> bool:
    import _socket

    copy = _socket.socket(fileno=os.dup(number))
    try:
        return bool(copy.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN))
    finally:
        copy.close()


def _files_of(numbers: set[int]) -> list[weakref.ref[Any]]:
    """The file objects that write to these descriptors."""
    import _io
    import gc
    import weakref

    kinds = (_io.BufferedWriter, _io.BufferedRandom, _io.TextIOWrapper)
    found = []
    for one in gc.get_objects():
        if type(one) in kinds:
            try:
                if one.fileno() in numbers:
                    found.append(weakref.ref(one))
            except (OSError, ValueError):  # Closed, or taken apart.
                continue
    # Text first: its buffer is written by the file below it.
    return sorted(found, key=lambda file: type(file()) is not _io.TextIOWrapper)


def _flush(file: Any) -> None:
    try:
        if file is not None and not file.closed:
            file.flush()
    except Exception:  # A full disk: the task had the file, and does not learn of it in a script either.
        return
