"""The process of a runner: the descriptors it is given, its name, and its end."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Callable, NoReturn


#: Seconds within which a runner must exit.
END_S = 2.0


class Handles:
    """The descriptors of a runner: its private socket, and the pipe of leases if it has one."""

    def __init__(self, channel: int, leases: int | None, wait: Callable[[], int] | None = None) -> None:
        self.channel = channel
        self.leases = leases
        #: Given by the template of a forked runner: collects a child, as `leftovers` does, but in less time.
        self.wait = wait

    @classmethod
    def of_environment(cls) -> Handles:
        """Those of a runner that was started, not forked."""
        channel, leases = (os.environ.pop(name, None) for name in ("ARGON_RUNNER_FD", "ARGON_CLAIM_FD"))
        assert channel is not None
        return cls(int(channel), None if leases is None else int(leases))


def set_title(title: str) -> None:
    """Sets the name that ``top`` and ``ps`` show."""
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(title)
    except OSError:  # Nothing depends on it.
        return


def print_error(error: BaseException) -> None:
    """Prints an exception as the interpreter does, without the runner's own step."""
    own = error.__traceback__
    sys.excepthook(type(error), error, own and own.tb_next)


def status_of(exit: SystemExit) -> int:
    """The exit status that the interpreter would make of it."""
    if exit.code is None:
        return 0
    if isinstance(exit.code, int):
        return exit.code & 0xFF
    print(exit.code, file=sys.stderr)
    return 1


def end(status: int) -> NoReturn:
    """Ends the process as a program ends, except that it waits for no thread that a task left behind."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def end_forked(error: BaseException | None) -> NoReturn:
    """Ends a child that a task forked, and that came back out of the task's function, as a script would end."""
    if error is not None:
        print_error(error)
    end(0 if error is None else 1)


def end_soon(status: int) -> NoReturn:
    """The same, but not later than `END_S` from now: what runs at exit may wait for threads and children."""
    import _signal  # type: ignore[import-not-found]

    _signal.signal(_signal.SIGALRM, _signal.SIG_DFL)
    _signal.setitimer(_signal.ITIMER_REAL, END_S)
    end(status)
