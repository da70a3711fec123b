"""What programs of inputs for Python's systems share: they register inputs, and run one of them.

A program of inputs is called with `list`, or with SYSTEM and INPUT. It prints one line of JSON at the end.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any

import python_systems

INPUTS: dict[str, tuple[str, Callable[[Any], Any], Any, Any]] = {}


def expects(
    value: Any, loud: Callable[[Any], bool] = lambda value: False
) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Registers an input with what is right, and what else is at least no silent fault."""

    def register(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        INPUTS[function.__name__] = (" ".join((function.__doc__ or "").split()), function, value, loud)
        return function

    return register


def main() -> None:
    """Runs one input on one system."""
    if sys.argv[1:] == ["list"]:
        for name, (about, *_) in INPUTS.items():
            print(f"{name}\t{about}")
        return
    system, name = sys.argv[1:]
    pool = python_systems.start(system)
    pool.call(abs, -1)
    try:
        _, function, expected, loud = INPUTS[name]
        value = function(pool)
        verdict = "right" if value == expected else "loud" if loud(value) else "silent"
        said = {"verdict": verdict, "value": repr(value)[:120]}
    except NotImplementedError as error:
        said = {"verdict": "absent", "value": str(error)}
    except Exception as error:
        said = {"verdict": "loud", "value": f"{type(error).__name__}: {error}"[:160]}
    print("\noutcome " + json.dumps(said), flush=True)
    # What a system still does at its end is not what is asked here.
    if system != "argon":
        os._exit(0)
