"""Items of `map` that travel together as one task: their results, errors and output are those of tasks of one item."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, Callable

import pytest

import argon

Outcome = tuple[list[Any], "tuple[type, str] | None"]


def task_of(_: object) -> str:
    return os.environ["ARGON_TASK_ID"]


def one_by_one(results: Any) -> Outcome:
    """The same for a map that may raise in the middle."""
    values: list[Any] = []
    try:
        for value in results:
            values.append(value)
    except BaseException as error:
        kind = type(error)
        return values, (kind, "" if isinstance(error, argon.Error) else str(error))
    return values, None


def test_a_chunk_is_one_task(client: Any) -> None:
    assert len(set(client.map(task_of, range(25), chunksize=10))) == 3
    assert len(set(client.map(task_of, range(25), chunksize=1))) == 25


def changes_a_captured_list() -> Callable[[int], Any]:
    seen: list[int] = []

    def look(item: int) -> Any:
        seen.append(item)
        return list(seen) if item < 0 else seen[-1:]

    return look


def changes_the_environment(item: int) -> Any:
    before = os.environ.get("A_NAME")
    os.environ["A_NAME"] = str(item)
    return before


def changes_the_folder(item: int) -> Any:
    before = os.getcwd() == "/"
    os.chdir("/")
    return before


def changes_a_handler(item: int) -> Any:
    before = signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    return before


class Point:
    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "function",
    [
        lambda item: item**2,
        lambda item: None if item % 2 else "",
        lambda item: [item, {"of": (item,)}],
        Point,
        lambda item: bytearray(b"x" * item),
        changes_a_captured_list(),
        changes_the_environment,
        changes_the_folder,
        changes_a_handler,
    ],
)
def test_values_are_those_of_tasks_of_one_item(client: Any, function: Callable[[int], Any]) -> None:
    apart = list(client.map(function, range(25), chunksize=1))
    assert list(client.map(function, range(25), chunksize=10)) == apart
    assert dict(client.map(function, range(25), chunksize=10, ordered=False)) == dict(enumerate(apart))


def test_several_iterables_and_star_make_the_arguments(client: Any) -> None:
    assert list(client.map(pow, range(30), [2] * 30, chunksize=7)) == [item**2 for item in range(30)]
    assert list(client.map(pow, [[item, 3] for item in range(30)], star=True, chunksize=7)) == [
        item**3 for item in range(30)
    ]


class Odd(Exception):
    def __init__(self, item: int) -> None:
        super().__init__(f"odd {item}")
        self.lock = threading.Lock()


def fails_with(kind: str) -> Callable[[int], Any]:
    def fail(item: int) -> Any:
        if item != 7:
            return item
        if kind == "division":
            return 1 // (item - 7)
        if kind == "own":
            raise Odd(item)
        if kind == "value":
            return threading.Lock()
        if kind == "stop":
            raise StopIteration
        if kind == "exit":
            sys.exit(3)
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise KeyError(item)

    return fail


@pytest.mark.parametrize("kind", ["key", "division", "own", "value", "stop", "exit", "killed"])
def test_errors_are_those_of_tasks_of_one_item(client: Any, kind: str) -> None:
    apart = one_by_one(client.map(fails_with(kind), range(12), chunksize=1))
    together = one_by_one(client.map(fails_with(kind), range(12), chunksize=10))
    assert apart[1] is not None and apart[0] == list(range(7))
    assert together == apart


def test_an_error_has_the_traceback_of_its_item_alone(client: Any) -> None:
    texts = []
    for size in (1, 10):
        with pytest.raises(ZeroDivisionError) as caught:
            list(client.map(fails_with("division"), range(12), chunksize=size))
        texts.append(str(caught.value.__cause__))
    assert texts[0] == texts[1] and "in fail" in texts[0]


def test_a_child_that_an_item_forks_runs_no_further_item(client: Any) -> None:
    def fork(item: int) -> int:
        if item == 3 and os.fork() == 0:
            return item
        print("item", item)
        return item

    text = StringIO()
    with redirect_stdout(text):
        assert list(client.map(fork, range(10), chunksize=10)) == list(range(10))
    assert text.getvalue() == "".join(f"item {item}\n" for item in range(10))


def test_an_argument_that_cannot_travel_is_refused_in_its_turn(client: Any) -> None:
    items = [1, 2, threading.Lock(), 4]
    apart = one_by_one(client.map(id, items, chunksize=1))
    together = one_by_one(client.map(lambda item: item, items, chunksize=4))
    assert apart[1] is not None and together[1] is not None
    assert together == ([1, 2], (argon.CannotTravel, ""))


def test_what_the_input_raises_comes_behind_its_items(client: Any) -> None:
    def broken_off() -> Any:
        yield from range(25)
        raise OSError("the disk is gone")

    values, error = one_by_one(client.map(lambda item: item, broken_off(), chunksize=10))
    assert values == list(range(25)) and error == (OSError, "the disk is gone")


def test_by_itself_only_tiny_items_travel_together(client: Any) -> None:
    assert list(client.map(lambda item: item + 1, range(20_000))) == list(range(1, 20_001))
    assert list(client.map(lambda item: item + 1, iter(range(5_000)))) == list(range(1, 5_001))
    tiny = list(client.map(task_of, range(20_000)))
    assert len(set(tiny)) < 15_000

    def nap(item: int) -> str:
        time.sleep(0.05)
        return os.environ["ARGON_TASK_ID"]

    slow = list(client.map(nap, range(80), ahead=40))
    assert len(set(slow)) == 80


def test_by_itself_a_function_that_keeps_something_is_a_task_for_each_item(client: Any) -> None:
    seen: list[int] = []

    def look(item: int) -> tuple[int, str]:
        seen.append(item)
        return len(seen), os.environ["ARGON_TASK_ID"]

    found = list(client.map(look, range(3_000)))
    assert {number for number, _ in found} == {1} and len({task for _, task in found}) == 3_000


def test_no_item_begins_behind_a_slow_one(client: Any) -> None:
    def nap(item: int) -> str:
        if item >= 3_000:
            time.sleep(0.05)
        return os.environ["ARGON_TASK_ID"]

    tasks = list(client.map(nap, range(3_020)))[3_000:]
    assert len(set(tasks)) == 20


def test_leaving_the_loop_cancels_what_is_under_way(client: Any) -> None:
    results = client.map(lambda item: item < 500 or time.sleep(600), range(1_000))
    assert next(results)
    results.close()
    assert client.queue(pow, 2, 3) == 8 and client.unfinished == 0


def test_no_more_items_are_taken_than_asked(client: Any) -> None:
    taken = 0

    def items() -> Any:
        nonlocal taken
        for taken in range(1, 10_001):
            yield taken

    for given, _ in enumerate(client.map(lambda item: item, items(), ahead=200)):
        assert taken - given <= 200


@pytest.mark.parametrize(
    "options",
    [{"never_twice": True}, {"retries": 1}, {"timeout": 60}, {"label": "a"}, {"memory": 512}, {"capture": True}],
)
def test_options_about_one_item_exclude_chunks(client: Any, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(argon.OptionError, match=f"{name} is about one item"):
        client.with_options(**options).map(abs, range(100), chunksize=10)
    assert len(set(client.with_options(**options).map(task_of, range(300)))) == 300


def test_wrong_sizes_are_refused(client: Any) -> None:
    for size in (0, -1, "ten"):
        with pytest.raises(argon.OptionError, match="chunksize must be a whole number"):
            client.map(abs, [1], chunksize=size)
    with pytest.raises(argon.OptionError, match="by its name is called for one"):
        client.map(argon.python("math:sqrt"), [1], chunksize=2)


def test_a_shared_value_reaches_each_item(client: Any) -> None:
    table = client.share({item: -item for item in range(300)})
    assert list(client.map(lambda item: table[item], range(300), chunksize=50)) == [-item for item in range(300)]
    assert list(client.map(lambda item, given: given[item], range(9), [table] * 9, chunksize=4)) == [
        -item for item in range(9)
    ]
