"""A call in this process, with a time limit and without its output."""

from __future__ import annotations

import contextlib
import io
import signal
import warnings
from typing import Any, NamedTuple

#: Seconds that a call may take, here and there.
LIMIT_SECONDS = 5


#: Calls from a main program, for functions that look at their caller.
_CALLER: dict[str, Any] = {"__name__": "__main__"}
exec("def call(function, args, kwargs):\n    return function(*args, **kwargs)\n", _CALLER)


class TooLong(BaseException):
    """The call took longer than its limit."""


class Raised(NamedTuple):
    """In the place of a value: what the call raised."""

    error: BaseException


def call(function: Any, args: Any, kwargs: Any) -> Any:
    """What the call gives here; what it prints goes nowhere."""

    def late(number: int, frame: Any) -> None:
        raise TooLong

    handler = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_SECONDS)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            return _CALLER["call"](function, args, kwargs)
    except (KeyboardInterrupt, TooLong):
        raise
    except BaseException as error:
        return Raised(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
