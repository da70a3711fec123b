"""Inputs for the systems of Python: errors, deaths and the life of a call.

usage: python_calls.py SYSTEM INPUT, or: python_calls.py list

Each function gives what the program sees; its text says what is tried, and `expects` what the same program sees without
a pool, or should. The classes and functions are those of a main program: that is a part of what is tried.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy
from python_registry import expects, main


class NoUser(Exception):
    """An exception whose text is made of its argument."""

    def __init__(self, name: str):
        super().__init__(f"there is no user {name}")


class TwoParts(Exception):
    """An exception with more arguments than it hands on."""

    def __init__(self, code: int, text: str):
        super().__init__(text)
        self.code = code


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """An exception that nothing can be set on."""

    code: int


def error_of(call: Callable[[], Any]) -> str:
    """Class and text of what a call raises."""
    try:
        return f"no error: {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


@expects("an error")
def stop_iteration_in_map(pool: Any) -> Any:
    """the function of a `map` raises StopIteration for one of four items"""
    try:
        return list(pool.map(first_of, [["a"], ["b"], [], ["c"]]))
    except Exception:
        return "an error"


def first_of(items: list[str]) -> str:
    """The first item; StopIteration without one."""
    return next(iter(items))


@expects("an error")
def stop_iteration(pool: Any) -> Any:
    """a call that raises StopIteration"""
    try:
        return pool.call(first_of, [])
    except Exception:
        return "an error"


@expects("NoUser: there is no user ann", lambda value: "no user ann" in value and "no user there" not in value)
def odd_exception(pool: Any) -> Any:
    """an exception whose text is made of its argument"""
    return error_of(lambda: pool.call(raise_no_user))


def raise_no_user() -> None:
    """The task of an input."""
    raise NoUser("ann")


def is_error_in_words(value: Any) -> bool:
    """The call raised, though another error; the next call went well."""
    return not value[0].startswith("no error") and value[1] == 1


@expects(["TwoParts: too late", 1], is_error_in_words)
def exception_with_two_arguments(pool: Any) -> Any:
    """an exception with more arguments than it hands on; then another call"""
    return [error_of(lambda: pool.call(raise_two_parts)), pool.call(abs, -1)]


def raise_two_parts() -> None:
    """The task of an input."""
    raise TwoParts(5, "too late")


@expects(["Frozen: ", 1], is_error_in_words)
def frozen_exception(pool: Any) -> Any:
    """an exception that is a frozen dataclass; then another call"""
    return [error_of(lambda: pool.call(raise_frozen))[:8], pool.call(abs, -1)]


def raise_frozen() -> None:
    """The task of an input."""
    raise Frozen(5)


@expects([[1, 2], "ValueError"], lambda value: value[-1] == "ValueError")
def iterator_raises(pool: Any) -> Any:
    """the iterator that feeds a `map` raises on its third item"""

    def items() -> Iterator[int]:
        yield from (1, 2)
        raise ValueError("the third")

    got: list[int] = []
    try:
        for value in pool.map(abs_of, items()):
            got.append(value)
    except Exception as error:
        return [got, type(error).__name__]
    return got


def abs_of(number: int) -> int:
    """A function of the program."""
    return abs(number)


@expects(["an error", 1])
def process_exits(pool: Any) -> Any:
    """`os._exit` in a task; then another call"""
    return [error_of(lambda: pool.call(os._exit, 3)).startswith("no error") or "an error", pool.call(abs, -1)]


@expects(["an error", [2, 3, 4]])
def process_is_killed(pool: Any) -> Any:
    """one of four calls is killed by a signal; the other three"""
    futures = [pool.submit(kill_or_give, number) for number in (1, 2, 3, 4)]
    return [
        error_of(futures[0].result).startswith("no error") or "an error",
        [future.result() for future in futures[1:]],
    ]


def kill_or_give(number: int) -> int:
    """The task of an input."""
    time.sleep(0.3)
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@expects([1, 4, 9, 16])
def nested_calls(pool: Any) -> Any:
    """four tasks on two slots that call the pool and wait"""
    function = pool.nested()
    return list(pool.map(function, [1, 2, 3, 4]))


@expects(300 << 20)
def huge_result(pool: Any) -> Any:
    """a result of 300 MiB"""
    return len(pool.call(make_bytes, 300 << 20))


def make_bytes(count: int) -> bytes:
    """The task of an input."""
    return bytes(count)


@expects("seen")
def printed(pool: Any) -> Any:
    """a task that prints: its line is on the standard output of the program"""
    pool.call(print, "a line of the task")
    # Some systems bring output along a way of its own.
    time.sleep(3)
    return "not seen"


@expects(True)
def chance(pool: Any) -> Any:
    """unseeded numbers of numpy in eight tasks: no two are equal"""
    numpy.random.random()
    values = list(pool.map(random_number, range(8)))
    return len(set(values)) == 8


def random_number(_: int) -> float:
    """The task of an input."""
    time.sleep(0.1)
    return float(numpy.random.random())


@expects("free within 5 s")
def cancel(pool: Any) -> Any:
    """two running tasks of 25 s are cancelled: their slots are free"""
    futures = [pool.submit(time.sleep, 25) for _ in range(2)]
    time.sleep(1)
    begun = time.monotonic()
    for future in futures:
        future.cancel()
    pool.submit(abs, -1).result()
    seconds = time.monotonic() - begun
    return "free within 5 s" if seconds < 5 else f"free after {seconds:.0f} s"


@expects([0, 2])
def a_second_map(pool: Any) -> Any:
    """a `map` that fails and is caught, then another"""
    error_of(lambda: list(pool.map(fail_on_one, [0, 1, 2])))
    return list(pool.map(fail_on_one, [0, 2]))


def fail_on_one(number: int) -> int:
    """The task of an input."""
    if number == 1:
        raise ValueError("one")
    return number


@expects([0, 1, 2, 3, 4])
def endless_input(pool: Any) -> Any:
    """the first five results of a `map` over an endless iterator"""
    return list(itertools.islice(pool.map(abs_of, itertools.count()), 5))


if __name__ == "__main__":
    main()
