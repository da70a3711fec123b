"""Inputs for the systems of Python. usage: python_inputs.py SYSTEM INPUT

Each function gives what the program sees; its text says what is tried, and EXPECTED what the same program sees without a pool, or
should. Prints one line of JSON at the end.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy
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


def error_of(call: Callable[[], Any]) -> str:
    """Class and text of what a call raises."""
    try:
        return f"no error: {call()!r}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


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


@expects([0, 1, 4])
def generator(pool: Any) -> Any:
    """a generator function, whose result is looped over"""
    return list(pool.call(squares, 3))


def squares(count: int) -> Iterator[int]:
    """The task of an input."""
    for number in range(count):
        yield number**2


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


if __name__ == "__main__":
    main()
