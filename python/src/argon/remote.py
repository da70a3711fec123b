"""Tasks that are named instead of shipped: functions and classes of other languages, with plain data.

Arguments and values are JSON: None, booleans, numbers, strings, lists and dictionaries with strings as keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._wire import protocol as wire

__all__ = ["Named", "perl", "perl_class", "python"]


@dataclass(frozen=True)
class Named:
    """Something that a worker finds by its name; pass it wherever a function goes."""

    runtime: int
    meta: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return self.meta[0][1]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refuses, in words: a name is called by a worker."""
        raise TypeError(f"{self} is a name for a worker: pass it to queue, defer or map instead of calling it")


def perl(function: str) -> Named:
    """A Perl function by its full name, as `perl("List::Util::sum")`; the worker loads its module.

    It is called in scalar context.
    """
    return Named(wire.PERL, (("call", function),))


def perl_class(name: str) -> Named:
    """A Perl task class: what runs is `My::Task->new(@args)->run`."""
    return Named(wire.PERL, (("class", name),))


def python(function: str) -> Named:
    """A Python function that the worker's machine has, as `python("package.module:function")`.

    Plain data needs no equal versions of Python: the worker's first interpreter serves.
    """
    return Named(wire.PYTHON, (("call", function),))
