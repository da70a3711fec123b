"""The template: a process that has loaded the runner and nothing of any user, and forks runners (``spec/runner.md``, 8).

Owns the clone: a runner is a child of the worker, not of the template, so that the worker waits for it as for one that
it started itself. ``os.fork`` cannot do that, so the system call is made through ``_ctypes``, between the steps that
``os.fork`` itself takes. In the new process ``_ctypes`` is forgotten again.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import gc
import os
import struct
import sys

from .channel import FORK, FORKED, READY, frame
from .process import Handles, set_title

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any

#: Modules of a first task: loaded once here instead of in each runner. None holds random state or threads.
_PRELOADED = ("json", "traceback", "linecache", f"{__package__}.failures", f"{__package__}.results")
#: Seconds without a request before the next of them is loaded: the first runner is waited for.
_QUIET_S = 0.02

#: A whole FORK: length, kind, runner, token.
_FORK = struct.Struct(">IBQ16s")
#: Socket, claim pipe, standard output and error of a runner; in a sandbox its rules, else its control group, if any.
_DESCRIPTORS = 4
_DESCRIPTORS_MAX = 5
_INT_BYTES = 4

_CLONE_PARENT = 0x00008000
_CLONE_INTO_CGROUP = 0x200000000
#: Numbers in the arguments of clone3, and the places of those that are not zero.
_CLONE_ARGUMENTS = 11
_FLAGS, _CHILD_TID, _CGROUP = 0, 2, 10
_LONG_BYTES = 8
_CLONE_CHILD_CLEARTID = 0x00200000
_CLONE_CHILD_SETTID = 0x01000000
_PR_SET_PDEATHSIG = 1
_PR_GET_TID_ADDRESS = 40
#: There the first two arguments of clone are exchanged.
_OTHER_ORDER = "s390x"


class Template:
    """Answers FORK until its socket is closed."""

    def __init__(self) -> None:
        descriptor = int(os.environ.pop("ARGON_RUNNER_FD"))
        os.set_inheritable(descriptor, False)
        self._socket = _socket.socket(fileno=descriptor)
        self._worker = os.getppid()
        self._system = _System(os.environ.pop("ARGON_SYSCALLS", ""))
        #: The folder of the scratch folders of all runners.
        self._sandbox = os.environ.pop("ARGON_SANDBOX", None)
        self._unloaded = list(_PRELOADED)
        set_title("argon template")

    def run(self) -> Handles:
        """Serves. In the process of a runner it returns what that runner was given."""
        version = ".".join(map(str, sys.version_info[:3]))
        self._system.end_with_parent()
        # Nothing more is reported by the standard error.
        os.dup2(1, 2)
        ready = f'{{"runtime":"python","version":"{version}","pid":{os.getpid()},"template":true}}'
        self._socket.sendall(frame(READY, ready.encode()))
        gc.disable()
        self._socket.settimeout(_QUIET_S)
        while True:
            request = self._next_request()
            if request is None:
                os._exit(0)
            runner, token, descriptors = request
            last = descriptors.pop() if len(descriptors) > _DESCRIPTORS else None
            # Memory that no collection touches stays shared with the runners.
            gc.freeze()
            pid, problem = self._system.clone(last if self._sandbox is None else None)
            if pid == 0 and self._sandbox is not None:
                self._enter_sandbox(f"{self._sandbox}/{runner}", last)
            if last is not None:
                os.close(last)
            if pid == 0:
                return self._enter_runner(token, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            answer = struct.pack(">QI", runner, max(pid, 0)) + (problem.to_bytes(4, "big") if pid < 0 else b"")
            self._socket.sendall(frame(FORKED, answer))

    def _next_request(self) -> tuple[int, bytes, list[int]] | None:
        """The next FORK: runner, token, descriptors. None at the end."""
        body, descriptors = b"", b""
        flags = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)
        while len(body) < _FORK.size:
            # No more than this message, since the next one has descriptors of its own.
            try:
                more, ancillary, _, _ = self._socket.recvmsg(
                    _FORK.size - len(body), _socket.CMSG_SPACE(_DESCRIPTORS_MAX * _INT_BYTES), flags
                )
            except _socket.timeout:
                self._load_next()
                continue
            except OSError:
                return None
            if not more:
                return None
            body += more
            for level, kind, data in ancillary:
                if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                    descriptors += data
        length, kind, runner, token = _FORK.unpack(body)
        numbers = [item[0] for item in struct.iter_unpack("i", descriptors)]
        if length != _FORK.size - 4 or kind != FORK or not _DESCRIPTORS <= len(numbers) <= _DESCRIPTORS_MAX:
            raise ValueError(
                f"argon template: the worker sent a frame of kind {kind:#x} with {len(numbers)} descriptors"
            )
        return runner, token, numbers

    def _load_next(self) -> None:
        """Loads a module that is still to be loaded. After the last one, no request is late again."""
        if self._unloaded:
            __import__(self._unloaded.pop(0))
            return
        gc.collect()
        self._socket.settimeout(None)

    def _enter_sandbox(self, scratch: str, rules: int | None) -> None:
        """Restricts the new process before it executes anything of a task."""
        if rules is None or not self._system.restrict(rules):
            os._exit(70)
        os.environ["TMPDIR"] = scratch
        try:
            os.chdir(scratch)
        except OSError:
            os._exit(70)

    def _enter_runner(self, token: bytes, descriptors: list[int]) -> Handles:
        """Leaves nothing of the template in the new process but its memory."""
        self._socket.close()
        self._system.end_with_parent()
        if os.getppid() != self._worker:
            # The worker ended before this process could learn of it.
            os._exit(0)
        os.setsid()
        channel, leases, output, errors = descriptors
        # Opened anew: runners of other sessions would share flags with this one.
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.close(output)
        os.close(errors)
        _reset_signals()
        os.environ["ARGON_TASK_TOKEN"] = token.hex()
        gc.enable()
        return Handles(channel, leases, self._system.wait)


class _System:
    """The calls of the system and of the interpreter that Python has no names for."""

    def __init__(self, numbers: str) -> None:
        """``numbers`` are those of the system calls, as ``clone:56,prctl:157``."""
        known = {name: int(number) for name, _, number in (one.partition(":") for one in numbers.split(",")) if number}
        if "clone" not in known or os.uname().machine == _OTHER_ORDER:
            raise RuntimeError(f"argon template: no way to clone a process is known here (ARGON_SYSCALLS={numbers!r})")
        loaded = set(sys.modules)
        import _ctypes

        class Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
            _type_ = "l"

        class Function(_ctypes.CFuncPtr):
            # With the interpreter's lock held, and errno kept.
            _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI | _ctypes.FUNCFLAG_USE_ERRNO
            _restype_ = Long

        library = _ctypes.dlopen(None, 0)  # type: ignore[arg-type]

        def function(name: str) -> Any:
            return Function(_ctypes.dlsym(library, name))

        class Int(_ctypes._SimpleCData):  # type: ignore[type-arg]
            _type_ = "i"

        class WaitFunction(_ctypes.CFuncPtr):
            _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_PYTHONAPI
            _restype_ = Int

        self._waitpid = WaitFunction(_ctypes.dlsym(library, "waitpid"))
        # -1, no place for the status, WNOHANG.
        self._any_child = Int(-1), Long(0), Int(os.WNOHANG)
        self._errno = _ctypes.get_errno
        self._long = Long
        self._clone, self._clone3 = known["clone"], known.get("clone3", 0)
        self._restrict_self = known.get("landlock_restrict_self", 0)
        self._arguments = (Long * _CLONE_ARGUMENTS)()
        self._arguments_at = _ctypes.addressof(self._arguments)
        self._system_call, self._prctl = function("syscall"), function("prctl")
        self._before, self._in_parent, self._in_child = (
            function(f"PyOS_{name}") for name in ("BeforeFork", "AfterFork_Parent", "AfterFork_Child")
        )
        self._thread_id_at = self._address_of_thread_id()
        for name in set(sys.modules) - loaded:
            # A task that asks what is loaded finds what it would find in a fresh process.
            del sys.modules[name]

    def end_with_parent(self) -> None:
        """Lets the kernel kill this process when its parent ends."""
        self._call(self._prctl, _PR_SET_PDEATHSIG, int(_signal.SIGKILL), 0, 0, 0)

    def restrict(self, rules: int) -> bool:
        """Puts this process, for good, into the Landlock domain of a descriptor."""
        return self._restrict_self > 0 and self._call(self._system_call, self._restrict_self, rules, 0) == 0

    def wait(self) -> int:
        """Collects a child: its number, 0 if none has ended, -1 if there are none.

        Without the exception of ``os.waitpid``, this takes a quarter of the time.
        """
        return self._waitpid(*self._any_child)  # type: ignore[no-any-return]

    def clone(self, group: int | None = None) -> tuple[int, int]:
        """As ``os.fork``, but the new process is a child of this one's parent. The pid (-1: failed), and errno.

        ``group`` is a descriptor of the control group in which it starts, where the kernel can do that.
        """
        flags = _CLONE_PARENT | int(_signal.SIGCHLD)
        address = self._thread_id_at
        if address:
            # As fork of the C library does: it keeps the number of the thread there.
            flags |= _CLONE_CHILD_SETTID | _CLONE_CHILD_CLEARTID
        self._before()
        pid = -1
        if group is not None and self._clone3:
            # The signal at its end is that of this process.
            ends = flags & ~int(_signal.SIGCHLD) | _CLONE_INTO_CGROUP
            self._arguments[_FLAGS], self._arguments[_CHILD_TID], self._arguments[_CGROUP] = ends, address, group
            size = _CLONE_ARGUMENTS * _LONG_BYTES
            pid = self._call(self._system_call, self._clone3, self._arguments_at, size)
        if pid < 0:
            # The address stands in both places that it has on one machine or another; the other one is not used.
            pid = self._call(self._system_call, self._clone, flags, 0, 0, address, address)
        problem = self._errno()
        if pid == 0:
            self._in_child()
        else:
            self._in_parent()
        return pid, problem

    def _address_of_thread_id(self) -> int:
        """Address at which the C library keeps the id of this thread; 0 if it is not known."""
        place = self._long(0)
        import _ctypes

        if self._call(self._prctl, _PR_GET_TID_ADDRESS, _ctypes.addressof(place), 0, 0, 0) != 0 or not place.value:
            return 0
        address = int(place.value)
        with open("/proc/self/mem", "rb", buffering=0) as memory:
            memory.seek(address)
            held = int.from_bytes(memory.read(_INT_BYTES), sys.byteorder)
        return address if held == os.getpid() else 0

    def _call(self, function: Any, *arguments: int) -> int:
        return int(function(*map(self._long, arguments)))


def _reset_signals() -> None:
    """A template sets no handlers, but its worker may have blocked signals while it started it."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
