"""Makes each call of the corpus on the pool and here, compares, and counts what became of it."""

from __future__ import annotations

import collections
import contextlib
import re
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import cloudpickle
import local
from local import Raised
from same import same
from units import Call, Unit

import argon

_MAKE_LAMBDA = "def by_value(function):\n    return lambda *args, **kwargs: function(*args, **kwargs)\n"


class Judge:
    """Counts of one run: `counts` by verdict, `refusals` by reason, and the lines of what was wrong."""

    def __init__(self, client: Any, by_value: bool, told: Callable[[str], None] = lambda line: None):
        self._client = client.with_options(timeout=4 * local.LIMIT_SECONDS, capture=True)
        self._by_value = by_value
        self._told = told
        self.counts: collections.Counter[str] = collections.Counter()
        self.refusals: collections.Counter[str] = collections.Counter()
        self.examples: dict[str, str] = {}
        self.functions: set[str] = set()
        self.changed: list[str] = []
        self.wrong: list[str] = []

    @property
    def tried(self) -> int:
        """All calls, those that say nothing excepted."""
        return sum(self.counts.values()) - self.counts["took too long here"] - self.counts["took too long there"]

    def run(self, units: Iterable[Unit], seconds: float = float("inf")) -> None:
        """Makes the calls of the units, until the time is over."""
        until = time.monotonic() + seconds
        for unit in units:
            if time.monotonic() > until:
                return
            calls, answer = unit.calls(), None
            while time.monotonic() < until:
                try:
                    call = calls.send(answer)
                except StopIteration:
                    break
                self.functions.add(unit.name)
                answer = self._try(call)

    def _try(self, call: Call) -> Any:
        frozen = _frozen(call)
        there = self._there(call)
        try:
            here = local.call(call.function, call.args, call.kwargs)
        except local.TooLong:
            self.counts["took too long here"] += 1
            return Raised(TimeoutError())
        if isinstance(there, Raised) and isinstance(there.error, argon.TimedOut):
            self.counts["took too long there"] += 1
            return here
        verdict = self._verdict(call, here, there, frozen)
        self.counts[verdict] += 1
        if verdict == "refused":
            reason = _reason(str(there.error))
            self.refusals[reason] += 1
            self.examples.setdefault(reason, call.label)
        elif verdict == "wrong":
            self.wrong.append(
                f"{call.label}\n    here:  {_short(here)}\n    there: {_short(there)}{_last_words(there)}"
            )
            self._told(self.wrong[-1])
        return here

    def _there(self, call: Call) -> Any:
        try:
            with _sent_by_value(call.function, self._by_value) as function:
                return self._client.queue(function, *call.args, **call.kwargs)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Raised(error)

    def _verdict(self, call: Call, here: Any, there: Any, frozen: bytes | None) -> str:
        is_error = isinstance(there, Raised)
        if is_error and _is_refusal(there.error):
            return "refused"
        if _equal(here, there):
            return "same error" if is_error else "same value"
        if is_error and isinstance(there.error, argon.TaskError) and isinstance(here, Raised):
            return "same error in words" if type(here.error).__name__ in str(there.error) else "wrong"
        if not isinstance(here, Raised):
            change = _pickle_changes(here)
            if change and is_error:
                there.error.args = (f"cannot travel: its own pickle fails: {change}",)
                return "refused"
            if change:
                self.changed.append(call.label)
                return "another value after pickle, here too"
        if (
            is_error
            and isinstance(here, Raised)
            and " on the worker " in str(there.error)
            and type(there.error) is type(here.error)
        ):
            return "same error in words"
        # The same call twice here, from what it was before.
        try:
            again = [local.call(*cloudpickle.loads(frozen)) for _ in range(2)] if frozen else [here, here]
        except Exception:
            again = [here, here]
        except local.TooLong:
            return "took too long here"
        if not _equal(again[0], again[1]) or not _equal(again[0], here):
            return "differs here too (chance, time, state)"
        return "wrong"


@contextlib.contextmanager
def _sent_by_value(function: Any, by_value: bool) -> Iterator[Any]:
    """The function by value with its module's names, if it is written in Python; else a lambda around it."""
    if not by_value:
        yield function
        return
    # What numpy's functions are made of; they themselves are found by their names only.
    is_dispatcher = type(function).__name__ == "_ArrayFunctionDispatcher"
    inner = function.__wrapped__ if is_dispatcher and isinstance(function.__wrapped__, types.FunctionType) else function
    module = sys.modules.get(getattr(inner, "__module__", None) or "")
    if not isinstance(inner, types.FunctionType) or module is None or module.__name__ == "__main__":
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(_MAKE_LAMBDA, names)
        yield names["by_value"](function)
        return
    cloudpickle.register_pickle_by_value(module)
    try:
        yield function if inner is function else inner
    finally:
        cloudpickle.unregister_pickle_by_value(module)


def _pickle_changes(value: Any) -> str | None:
    """Whether a value is another one after a round through pickle in this process."""
    try:
        return None if same(value, cloudpickle.loads(cloudpickle.dumps(value))) else "it gives another value"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _frozen(call: Call) -> bytes | None:
    try:
        return cloudpickle.dumps((call.function, call.args, call.kwargs))
    except Exception:
        return None


def _equal(one: Any, other: Any) -> bool:
    try:
        if isinstance(one, Raised) and isinstance(other, Raised):
            return same(one.error, other.error)
        return not isinstance(one, Raised) and not isinstance(other, Raised) and same(one, other)
    except Exception:
        return False


def _is_refusal(error: BaseException) -> bool:
    return (
        isinstance(error, argon.CannotTravel)
        or (isinstance(error, (argon.TaskError, TypeError)) and "cannot travel" in str(error))
        or ("the task returned" in str(error))
    )


def _reason(sentence: str) -> str:
    """The sentence without names and addresses."""
    found = re.search(r"cannot pickle '?([\w.]+)'?", sentence)
    if found:
        return f"holds a {found.group(1)}"
    sentence = sentence.splitlines()[0] if sentence else "no words"
    return re.sub(r"0x[0-9a-f]+|'[^']*'|\b\d+\b|argument \S+", "…", sentence)[:110]


def _last_words(there: Any) -> str:
    output = getattr(there.error, "output", None) if isinstance(there, Raised) else None
    return f"\n    output: {output}" if output else ""


def _short(value: Any) -> str:
    try:
        return repr(value)[:300].replace("\n", "\\n")
    except Exception as error:
        return f"<{type(value).__name__}, whose repr fails: {type(error).__name__}>"
