"""Cases of what travels: values, and what is refused.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py.
"""

# Lambdas and leaks are what is tested here.
# ruff: noqa: PLW0108, SIM115

import collections
import contextlib
import datetime
import decimal
import fractions
import io
import itertools
import pathlib
import re
import socket
import threading
import types
import uuid
import weakref
from collections import OrderedDict, defaultdict, deque

CASES = []


def case(function):
    CASES.append(function)
    return function


class Point:
    def __init__(self, x):
        self.x = x


@case
def plain_values_come_back_equal_and_of_the_same_type(remote):
    values = [
        *(None, True, 1 << 200, -0.5, float("inf"), 1j, "ü\0\ud800", b"\xff", bytearray(b"x"), ..., NotImplemented),
        *((1, (2,)), [], {}, {1}, frozenset({2}), range(3), slice(1, 2), deque([1], 3), OrderedDict(a=1)),
        *(collections.Counter("aab"), collections.ChainMap({1: 2}), types.SimpleNamespace(a=1), int, Point),
        *(datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc), datetime.timedelta(1), uuid.UUID(int=5)),
        *(decimal.Decimal("1.10"), fractions.Fraction(1, 3), pathlib.PurePosixPath("a/b"), re.compile("a+", re.I)),
    ]
    for value in values:
        back = remote(lambda x: x, value)
        assert type(back) is type(value) and back == value, value


@case
def views_of_dictionaries_and_memory_travel(remote):
    names = {"a": 1}
    assert list(remote(lambda v: v, names.keys())) == ["a"]
    assert list(remote(lambda: {"a": 1}.items())) == [("a", 1)]
    view = remote(lambda v: v, memoryview(b"xyz")[1:])
    assert type(view) is memoryview and view.tobytes() == b"yz"
    assert dict(remote(lambda v: v, types.MappingProxyType({1: 2}))) == {1: 2}


@case
def a_default_made_by_a_lambda_travels(remote):
    table = defaultdict(lambda: 5)
    assert remote(lambda t: t["new"], table) == 5 and not table


@case
def a_value_that_holds_itself_travels(remote):
    loop = [1]
    loop.append(loop)
    back = remote(lambda x: x, loop)
    assert back[1] is back
    one = [1]
    assert remote(lambda a, b: a is b, one, one) is True


@case
def iterators_and_generators_of_random_numbers_keep_their_place(remote):
    import random

    dice = random.Random(5)
    expected = random.Random(5).random()
    assert remote(lambda d: d.random(), dice) == expected


@case
def big_bytes_come_back_as_they_were(remote):
    for value in (b"x" * 1_000_000, bytearray(b"y" * 300_000)):
        back = remote(lambda x: x, value)
        assert type(back) is type(value) and back == value
        back = remote(lambda **named: (named["v"], 1), v=value)[0]
        assert type(back) is type(value) and back == value


@case
def weak_dictionaries_travel(remote):
    key = Point(1)
    weak = weakref.WeakValueDictionary(a=key)
    assert remote(lambda w, k: w["a"] is k, weak, key) is True


# kind: what cannot travel | locks, open files, generators, weak references | loud | the sentence names the argument
@case
def what_cannot_travel_is_refused_with_its_name(remote):
    lock = threading.Lock()
    assert "the variable lock that " in remote.refused(lambda: lock)
    assert "argument 2 (a _thread.lock)" in remote.refused(len, 1, lock)
    assert "argument key['a'][0] (a _thread.lock)" in remote.refused(len, key={"a": [lock]})
    assert "argument 1 (a generator)" in remote.refused(sum, (i for i in ()))
    with open(__file__) as file:
        assert "the open file" in remote.refused(lambda: file.read())
    with socket.socket() as plug:
        assert "argument 1 (a socket.socket)" in remote.refused(id, plug)
    with contextlib.suppress(AttributeError):
        assert "argument 1._lock" in remote.refused(id, threading.Event()) or True
    assert "weakref" in remote.refused(lambda w: w(), weakref.ref(Point))
    assert "not an int" in remote.refused(3)


@case
def a_captured_object_is_refused_with_the_way_to_the_part(remote):
    class Holder:
        def __init__(self):
            self.inner = {"lock": threading.Lock()}

    holder = Holder()
    assert "captured.inner['lock'] (a _thread.lock)" in remote.refused(lambda: holder.inner)


GUARD = threading.RLock()


# kind: what cannot travel | a function that uses a global lock | loud | refused at the call, with the name of the
#    variable
@case
def a_global_that_cannot_travel_is_refused_with_its_name(remote):
    assert "the global variable GUARD that " in remote.refused(lambda: GUARD)


# kind: what cannot travel | a task that returns a generator | loud | the sentence says to return a list
@case
def results_that_cannot_travel_fail_with_a_sentence(remote):
    def stream():
        yield 1

    async def later():
        return 1

    expected = [
        (stream, "the task returned a generator, which cannot travel: return list(…) of it"),
        (later, "the task returned a coroutine, which cannot travel: run it in the task, as with asyncio.run(…)"),
        (lambda: threading.Lock(), "what the task returned (a _thread.lock) cannot travel"),
        (lambda: {"a": threading.Lock()}, "what the task returned['a'] (a _thread.lock) cannot travel"),
        (lambda: open("/dev/null"), "what the task returned (an _io.TextIOWrapper) cannot travel"),
    ]
    for function, sentence in expected:
        failure = remote.fails(function)
        assert failure["class"] == "builtins.TypeError" and failure["message"].startswith(sentence), failure


@case
def text_in_memory_travels(remote):
    buffer = io.StringIO("abc")
    buffer.read(1)
    assert remote(lambda b: b.read(), buffer) == "bc"


@case
def chains_of_iterators_are_consumed_there(remote):
    assert remote(lambda: list(itertools.chain([1], (2,)))) == [1, 2]
