"""Source lines for a traceback that was written on another machine.

A worker has no file of the caller's program, and no cell of its notebook, so it writes only where a step was. Here the
text is at hand. Knows the form of Python's tracebacks, nothing of tasks.
"""

from __future__ import annotations

import linecache
import re

#: A step and what stands below it; its own line, if it has one, is indented further.
_STEP = re.compile(
    r'^(?P<step>(?P<indent>[ |+-]*)  File "(?P<file>[^"\n]+)", line (?P<line>\d+), in .*\n)(?!(?P=indent)    )', re.M
)


def filled(traceback: str) -> str:
    """The traceback with the lines that are missing in it, as far as this program has them."""
    return _STEP.sub(_with_line, traceback)


def _with_line(found: re.Match[str]) -> str:
    line = linecache.getline(found["file"], int(found["line"])).strip()
    return f"{found['step']}{found['indent']}    {line}\n" if line else found["step"]
