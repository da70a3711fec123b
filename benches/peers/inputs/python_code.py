"""Inputs for the systems of Python: code and values.

usage: python_code.py SYSTEM INPUT, or: python_code.py list

Each function gives what the program sees; its text says what is tried, and `expects` what the same program sees without
a pool, or should. The classes and functions are those of a main program: that is a part of what is tried.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy
from python_registry import expects, main


class Point:
    """A class of the main program."""

    def __init__(self, x: int):
        self.x = x

    def moved(self) -> Point:
        """The next one."""
        return Point(self.x + 1)

    def back(self) -> Point:
        """The one before."""
        return Point(self.x - 1)

    back.__name__ = "moved"


@expects([0, 1, 2])
def loop_variable(pool: Any) -> Any:
    """lambdas made in a loop, each submitted before the next"""
    futures = []
    for number in range(3):
        futures.append(pool.submit(lambda: number))
    return [future.result() for future in futures]


@expects(12)
def closure(pool: Any) -> Any:
    """a closure over a local variable"""
    rate = 3
    return pool.call(lambda amount: amount * rate, 4)


@expects([True, 6])
def class_of_main(pool: Any) -> Any:
    """a method of a class of the main program; what comes back is of that class"""
    moved = pool.call(Point(5).moved)
    return [isinstance(moved, Point), moved.x]


@expects(4)
def alias_of_method(pool: Any) -> Any:
    """a bound method that carries the name of another one"""
    return pool.call(Point(5).back).x


@expects("later")
def function_defined_again(pool: Any) -> Any:
    """a function that is defined again between two calls, as in a notebook"""
    names = globals()
    exec("def redefined(): return 'first'", names)
    pool.call(names["redefined"])
    exec("def redefined(): return 'later'", names)
    return pool.call(names["redefined"])


@expects(7)
def global_changed(pool: Any) -> Any:
    """a global variable that changes between two calls"""
    names = globals()
    exec("rate = 1\ndef priced(): return rate", names)
    pool.call(names["priced"])
    names["rate"] = 7
    return pool.call(names["priced"])


@expects(9.0)
def array_is_changed(pool: Any) -> Any:
    """a function that writes to its copy of a big numpy array"""
    return float(pool.call(set_first, numpy.zeros(1 << 20)))


def set_first(array: Any) -> Any:
    """The task of an input."""
    array[0] = 9
    return array[0]


@expects(9.0)
def captured_array_is_changed(pool: Any) -> Any:
    """the same with a captured array"""
    array = numpy.zeros(1 << 20)

    def change() -> float:
        array[0] = 9
        return float(array[0])

    return pool.call(change)


@expects(50)
def module_attribute(pool: Any) -> Any:
    """an attribute of a module of the program that is changed before a function of the module is called"""
    with open("prices.py", "w") as file:
        file.write("RATE = 2\ndef price(n): return n * RATE\n")
    sys.path.insert(0, os.getcwd())
    import prices

    pool.call(prices.price, 1)
    prices.RATE = 5
    return pool.call(prices.price, 10)


@expects([0, 1, 4])
def generator(pool: Any) -> Any:
    """a generator function, whose result is looped over"""
    return list(pool.call(squares, 3))


def squares(count: int) -> Iterator[int]:
    """The task of an input."""
    for number in range(count):
        yield number**2


SEEN: list[int] = []


@expects([1, 1, 1, 1])
def left_behind(pool: Any) -> Any:
    """a task that appends to a global list: what the next ones find does not depend on which process they get"""
    return [pool.call(remember, number) for number in range(4)]


def remember(number: int) -> int:
    """The task of an input."""
    SEEN.append(number)
    return len(SEEN)


@expects("first line\n")
def open_file(pool: Any) -> Any:
    """a captured open file"""
    with open("lines.txt", "w") as file:
        file.write("first line\n")
    with open("lines.txt") as file:
        return pool.call(lambda: file.readline())


@expects(hashlib.md5(b"x").hexdigest())
def compiled_object(pool: Any) -> Any:
    """an object that holds memory of a C library as an argument"""
    return pool.call(hex_digest, hashlib.md5(b"x"))


def hex_digest(made: Any) -> str:
    """The task of an input."""
    return str(made.hexdigest())


@expects("5")
def environment(pool: Any) -> Any:
    """an environment variable that the program sets after its first call"""
    pool.call(abs, -1)
    os.environ["INPUT_RATE"] = "5"
    return pool.call(os.getenv, "INPUT_RATE")


@expects(True)
def folder(pool: Any) -> Any:
    """the working folder, changed after the first call"""
    pool.call(abs, -1)
    os.chdir(tempfile.mkdtemp())
    return pool.call(os.getcwd) == os.getcwd()


if __name__ == "__main__":
    main()
