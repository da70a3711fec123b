"""Whatever the shape of an exception's class, it arrives with the same text and args, or as a TaskError; never doubled.

Classes are made by chance out of bases, ways to call the base, attributes and slots. A failure prints its seed.
"""

from __future__ import annotations

import os
import random
import sys
from typing import Any

import pytest

import argon
from argon._code import exceptions

BASES: list[tuple[type[BaseException], ...]] = [
    *((kind,) for kind in (Exception, BaseException, ValueError, KeyError, StopIteration, ArithmeticError)),
    *((OSError,), (FileNotFoundError,), (UnicodeDecodeError,), (ImportError,), (SyntaxError,), (AttributeError,)),
    *((LookupError, OSError), (ValueError, OSError)),
]
#: What a class's own `__init__` takes and gives to its base's.
SHAPES = [
    "def __init__(self, name): super().__init__(f'there is no {name}')",
    "def __init__(self, name, *, hint='h'): super().__init__(name + hint, hint)",
    "def __init__(self, *, hint): super().__init__(hint)",
    "def __init__(self, one, two): super().__init__(two, one)",
    "def __init__(self, one, two): super().__init__(); self.one, self.two = one, two",
    "def __init__(self, name): self.name_here = name",
    "def __init__(self, name): super().__init__(2, f'no {name}', f'/{name}')",
    "def __init__(self, name): super().__init__('utf-8', b'ab', 0, 1, f'no {name}')",
    "def __new__(cls, name): return super().__new__(cls, name, name)",
    "pass",
]
EXTRAS = [
    "",
    "def __str__(self): return f'<{self.args}>'",
    "__slots__ = ('kept',)\n    kept_default = 1",
    "def __setattr__(self, name, value): raise TypeError(name)",
    "def __reduce__(self): return type(self), ('again',)",
    "def __eq__(self, other): raise TypeError",
]


def made(chance: random.Random) -> tuple[str, dict[str, Any]]:
    bases = chance.choice(BASES)
    shape, extra = chance.choice(SHAPES), chance.choice(EXTRAS)
    names = ", ".join(base.__name__ for base in bases)
    text = f"class Made({names}):\n    {shape}\n    {extra or 'pass'}\n"
    call = {"(self, *, hint)": "hint='x'", "one, two": "'a', 'b'"}
    given = next((value for key, value in call.items() if key in shape), "'bob'")
    return text + f"def work():\n    error = Made({given})\n    raise error\n", {}


def local(work: Any) -> BaseException:
    try:
        work()
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


# kind: exceptions that are hard to rebuild | classes of every shape, made by chance | right | the same text and args, or
#    `TaskError` with the text
@pytest.mark.parametrize("round", range(6))
def test_an_exception_arrives_as_it_was_or_as_a_task_error(client: Any, round: int) -> None:
    seed = int(os.environ.get("ARGON_SEED") or random.randrange(1 << 30))
    chance = random.Random(seed)
    same = 0
    for _ in range(25):
        text, _ = made(chance)
        main: dict[str, Any] = {"__name__": "__main__"}
        exec(text, main)
        expected, found = local(main["work"]), client.defer(main["work"]).exception(30)
        where = f"seed {seed}: {text}"
        if isinstance(found, argon.TaskError):
            assert exceptions.text(expected).strip() in str(found), where
            continue
        assert type(found).__name__ == type(expected).__name__, where
        assert exceptions.text(found) == exceptions.text(expected), where
        assert found.args == expected.args, where
        names = ("errno", "strerror", "filename", "reason", "one", "two", "name_here")
        assert [getattr(found, name, None) for name in names] == [getattr(expected, name, None) for name in names], (
            where
        )
        same += 1
    assert same == 25, f"seed {seed}: only {same} of 25 came as themselves"


# kind: exceptions that are hard to rebuild | an exception as argument, result, captured variable or item of a list, of a
#    class of any shape | right | the same text, `args` and attributes
def test_an_exception_that_is_a_value_arrives_as_it_was(client: Any) -> None:
    seed = int(os.environ.get("ARGON_SEED") or random.randrange(1 << 30))
    chance = random.Random(seed)
    for _ in range(40):
        text, _ = made(chance)
        if "__reduce__" in text:
            # The class says how, and pickle obeys it.
            continue
        main: dict[str, Any] = {"__name__": "__main__", "twice": lambda one: [one, {"again": one}]}
        exec(text, main)
        error = local(main["work"])
        main["error"] = error.with_traceback(None)
        first, again = client.queue(main["twice"], error)
        captured, seen = client.queue(eval("lambda: (error, (str(error), repr(error.args)))", main))
        where = f"seed {seed}: {text}"
        assert first is again["again"], where
        assert seen == (str(error), repr(error.args)), where
        for found in (first, captured):
            assert type(found) is type(error), where
            assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(error)), where
            for name in ("errno", "filename", "reason", "kept"):
                assert getattr(found, name, None) == getattr(error, name, None), where


def test_exceptions_that_are_values_keep_notes_members_and_references(client: Any) -> None:
    inner = Doubled("bob")
    inner.itself = inner  # type: ignore[attr-defined]
    outer = ValueError("outside", inner)
    found, again = client.queue(lambda *items: items, outer, inner)
    assert found.args[1] is again and again.itself is again and str(again) == "there is no user bob"


# kind: exceptions that are hard to rebuild | a class that registers with `copyreg` or defines `__reduce__` | right | as
#    pickle makes it
def test_a_class_that_says_how_it_is_pickled_is_obeyed(client: Any) -> None:
    import copyreg

    class Registered(Exception):
        def __init__(self, name: str):
            super().__init__(f"there is no {name}")
            self.name = name

    assert str(client.queue(lambda: Registered("bob"))) == "there is no bob"
    copyreg.pickle(Registered, lambda error: (Registered, (error.name + "!",)))  # type: ignore[arg-type]
    try:
        assert client.queue(str, Registered("bob")) == "there is no bob!"
    finally:
        del copyreg.dispatch_table[Registered]


class Doubled(Exception):
    def __init__(self, name: str):
        super().__init__(f"there is no user {name}")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups and notes are of Python 3.11")
def test_a_group_of_such_exceptions_arrives_whole(client: Any) -> None:
    def work() -> None:
        inner = Doubled("bob")
        inner.add_note("a note")
        raise ExceptionGroup("several", [inner, ExceptionGroup("more", [Doubled("eve"), KeyError("k")])])  # noqa: F821

    found = client.defer(work).exception(30)
    first, more = found.exceptions
    assert str(first) == "there is no user bob" and first.__notes__ == ["a note"]
    assert [str(one) for one in more.exceptions] == ["there is no user eve", "'k'"]


def test_the_chain_is_in_the_traceback(client: Any) -> None:
    def work() -> None:
        try:
            raise Doubled("bob")
        except Doubled as error:
            raise Doubled("eve") from error

    found = client.defer(work).exception(30)
    assert str(found) == "there is no user eve"
    told = str(found.__cause__)
    assert "no user bob" in told and "direct cause" in told and "no user no user" not in told
