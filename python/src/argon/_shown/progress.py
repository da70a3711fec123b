"""The bar of `map(progress=True)`: that of tqdm if it is installed, else a line on a terminal.

`tqdm` shows it as suits the place: a terminal, or a notebook.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Any, Protocol, TypeVar

T = TypeVar("T")

_EVERY_S = 0.1
_HOW = "argon: map(progress=True) has no bar here: pip install tqdm"
_told: list[str] = []
#: Lines that are on the terminal.
_lines: list[_Line] = []


class Bar(Protocol):
    """A bar of tqdm, or what takes its place."""

    def update(self, n: int) -> Any:
        """Counts results."""

    def close(self) -> Any:
        """Leaves the bar as it is; again has no effect."""


def total(iterables: Iterable[Any]) -> int | None:
    """Number of calls of a map over these, if all have a length."""
    try:
        return min(len(one) for one in iterables)
    except (TypeError, ValueError):
        return None


def bar(what: str, count: int | None) -> Bar:
    """A bar for `count` results of the function `what`."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return _Line(what, count)
    made: Bar = tqdm(total=count, desc=what, unit="task")
    return made


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """Takes the bars of a terminal away while something else is printed there, and shows them again."""
    # Bars of the user's own, too. Another thread may be importing the module just now.
    tqdm = getattr(sys.modules.get("tqdm.std"), "tqdm", None)
    has_bars = bool(getattr(tqdm, "_instances", None))
    others = tqdm.external_write_mode() if tqdm is not None and has_bars else contextlib.nullcontext()
    lines = list(_lines)
    for one in lines:
        one.erase()
    try:
        with others:
            yield
    finally:
        for one in lines:
            one.show()


def over(results: Iterator[T], what: str, count: int | None) -> Iterator[T]:
    """The results, with a bar that counts them."""
    shown = bar(what, count)
    try:
        for one in results:
            shown.update(1)
            yield one
    finally:
        shown.close()
        close = getattr(results, "close", None)
        if close is not None:
            close()


class _Line:
    """A line that is written over. Where it cannot be, a sentence reports once what to install."""

    def __init__(self, what: str, count: int | None):
        self._what = what
        self._count = count
        self._done = 0
        self._begun = monotonic()
        self._next_at = 0.0
        if _can_be_written_over():
            _lines.append(self)
            self.show()
        elif _HOW not in _told:
            _told.append(_HOW)
            logging.getLogger("argon").warning("%s", _HOW)

    def update(self, n: int) -> None:
        """Counts results."""
        self._done += n
        if monotonic() >= self._next_at:
            self._next_at = monotonic() + _EVERY_S
            self.show()

    def close(self) -> None:
        """Ends the line."""
        if self in _lines:
            self._write(f"{self._text()} in {monotonic() - self._begun:.1f} s\n")
            _lines.remove(self)

    def show(self) -> None:
        """Writes it anew."""
        if self in _lines:
            self._write(self._text())

    def erase(self) -> None:
        """Makes room on the line."""
        self._write(f"{' ' * len(self._text())}\r")

    def _text(self) -> str:
        of = "" if self._count is None else f" of {self._count:,}"
        return f"{self._what}: {self._done:,}{of}"

    def _write(self, text: str) -> None:
        # A stream of the user's may raise what it likes; the tasks go on.
        with contextlib.suppress(Exception):
            sys.stderr.write(f"\r{text}")
            sys.stderr.flush()


def _can_be_written_over() -> bool:
    try:
        return "ipykernel" in sys.modules or sys.stderr.isatty()
    except Exception:
        return False
