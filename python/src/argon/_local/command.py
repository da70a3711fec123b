"""The script `argon` of a package without the program: runs one that is elsewhere, or tells how to get one."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from .program import find

HOW = (
    "build a wheel that has it with `make wheel` in a checkout of Argon and install that, or put a program that you have "
    "into PATH or ARGON_PROGRAM"
)


def main() -> NoReturn:
    """Becomes the program with the same arguments; status 1 if there is none."""
    program = find()
    if program is None:
        sys.exit(f"argon: this package has no program, and PATH has none: {HOW}.")
    try:
        os.execv(program, ["argon", *sys.argv[1:]])
    except OSError as error:
        sys.exit(f"argon: {program} does not start: {error.strerror}. To get another, {HOW}.")
