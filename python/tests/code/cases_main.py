"""What travels, one behaviour a function. Run as a main program's text: nothing here can be imported by a worker.

`remote(function, *args)` returns what the function returns in a runner that has no package at all; `remote.fails` tells how
it fails there, `remote.refused` the sentence with which it is refused here.
"""

import abc
import asyncio
import collections
import contextlib
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import io
import itertools
import json
import logging
import math as m
import operator
import os.path
import pathlib
import re
import socket
import sys
import threading
import types
import typing
import uuid
import weakref
import xml.dom
from collections import OrderedDict, defaultdict, deque
from math import hypot

CASES = []


def case(function):
    CASES.append(function)
    return function


# --- functions


@case
def a_lambda_travels(remote):
    assert remote(lambda x: x + 1, 2) == 3


@case
def a_closure_travels_with_what_it_captured(remote):
    factor = 3
    assert remote(lambda x: x * factor, 5) == 15


@case
def closures_nest(remote):
    def outer(a):
        def middle(b):
            return lambda c: (a, b, c)

        return middle

    assert remote(outer(1)(2), 3) == (1, 2, 3)


def factorial(n):
    return 1 if n < 2 else n * factorial(n - 1)


@case
def a_function_calls_itself(remote):
    assert remote(factorial, 10) == 3628800


@case
def a_local_function_calls_itself(remote):
    def count(n):
        return 0 if n == 0 else 1 + count(n - 1)

    assert remote(count, 5) == 5


def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)


@case
def functions_call_each_other(remote):
    assert remote(is_even, 10) is True


@case
def all_kinds_of_parameters_travel(remote):
    def f(a, /, b, *more, c=3, d, **rest):
        return a, b, more, c, d, rest

    assert remote(f, 1, 2, 8, 9, d=4, z=5) == (1, 2, (8, 9), 3, 4, {"z": 5})


@case
def defaults_travel(remote):
    def f(a=[1], *, b={"x": 2}):  # noqa: B006
        a.append(len(a))
        return a, b

    assert remote(f) == ([1, 1], {"x": 2})
    assert remote(f) == ([1, 1], {"x": 2})


@case
def a_loop_variable_is_what_it_was_at_the_call(remote):
    assert [remote(lambda: i) for i in range(3)] == [0, 1, 2]  # noqa: B023


@case
def a_function_keeps_its_name_text_and_annotations(remote):
    def described(a: int) -> str:
        """Says something."""

    described.extra = [1]
    look = remote(lambda f: (f.__name__, f.__doc__, f.__annotations__, f.extra), described)
    assert look == ("described", "Says something.", {"a": int, "return": str}, [1])


@case
def functions_are_arguments_and_results(remote):
    assert remote(lambda f, g: g(f(3)), lambda x: x + 1, [].append) is None
    assert remote(lambda fs: [f(2) for f in fs], [lambda x: x, lambda x: -x]) == [2, -2]
    assert remote(lambda n: lambda x: x + n, 5)(1) == 6


@case
def a_generator_may_be_used_inside(remote):
    def squares(n):
        yield from (i * i for i in range(n))

    assert remote(lambda: sum(squares(4))) == 14


@case
def an_async_function_may_be_run_inside(remote):
    async def work(x):
        await asyncio.sleep(0)
        return x + 1

    assert remote(lambda: asyncio.run(work(1))) == 2


@case
def a_partial_travels(remote):
    assert remote(functools.partial(pow, 2), 5) == 32
    assert remote(functools.partial(lambda a, b, c: (a, b, c), 1, c=3), 2) == (1, 2, 3)


def doubled(function):
    @functools.wraps(function)
    def wrapper(*args):
        return 2 * function(*args)

    return wrapper


@doubled
def decorated(x):
    return x + 1


@case
def a_decorated_function_travels(remote):
    assert remote(decorated, 1) == 4
    assert remote(lambda f: f.__name__, decorated) == "decorated"


@functools.lru_cache(maxsize=7)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@case
def a_cached_function_travels_with_its_cache_size(remote):
    assert remote(fibonacci, 80) == 23416728348467685
    assert remote(lambda: fibonacci.cache_info().maxsize) == 7


@functools.singledispatch
def kind_of(_value):
    return "thing"


@kind_of.register(int)
def _(_value):
    return "number"


@case
def a_generic_function_travels_with_its_cases(remote):
    assert remote(lambda: (kind_of(1), kind_of("x"))) == ("number", "thing")


@contextlib.contextmanager
def noting(notes):
    notes.append("in")
    yield
    notes.append("out")


@case
def a_context_manager_travels(remote):
    def f():
        notes = []
        with noting(notes):
            notes.append("body")
        return notes

    assert remote(f) == ["in", "body", "out"]


@case
def builtin_callables_travel(remote):
    assert remote(len, [1, 2]) == 2
    assert remote(str.upper, "x") == "X"
    assert remote("a-b".split, "-") == ["a", "b"]
    assert remote(operator.itemgetter(1), "xyz") == "y"
    assert remote(operator.methodcaller("upper"), "x") == "X"
    assert remote(dict, a=1) == {"a": 1}


# --- variables


limit = 10


@case
def a_global_variable_travels_as_it_is_at_the_call(remote):
    global limit
    limit = 10

    def f():
        return limit

    assert remote(f) == 10
    limit = 11
    assert remote(f) == 11
    limit = [12]
    assert remote(f) == [12]
    limit.append(13)
    assert remote(f) == [12, 13]


@case
def a_captured_variable_travels_as_it_is_at_the_call(remote):
    value = 1

    def f():
        return value

    assert remote(f) == 1
    value = 2
    assert remote(f) == 2
    value = {"a": [1]}
    assert remote(f) == {"a": [1]}
    value["a"].append(2)
    assert remote(f) == {"a": [1, 2]}


def helper():
    return "first"


@case
def a_function_that_was_defined_again_travels_as_it_is_now(remote):
    global helper

    def f():
        return helper()

    assert remote(f) == "first"

    def helper():
        return "second"

    assert remote(f) == "second"


@case
def code_that_was_changed_travels_as_it_is_now(remote):
    def f(a=1):
        return a

    assert remote(f) == 1
    f.__defaults__ = (2,)
    assert remote(f) == 2
    f.__code__ = (lambda a: -a).__code__
    assert remote(f) == -2


@case
def what_a_task_does_to_variables_is_not_seen_by_the_next(remote):
    seen = []
    count = 0

    def f():
        nonlocal count
        global limit
        count += 1
        limit = (limit, count)
        seen.append(count)
        return count, len(seen)

    assert [remote(f) for _ in range(3)] == [(1, 1)] * 3
    assert seen == []


@case
def a_global_that_does_not_exist_is_missed_there(remote):
    failure = remote.fails(lambda: nowhere)  # noqa: F821
    assert failure["class"] == "builtins.NameError"


nothing_yet = None
del nothing_yet


@case
def a_global_that_came_into_being_travels(remote):
    global nothing_yet

    def f():
        return nothing_yet

    assert remote.fails(f)["class"] == "builtins.NameError"
    nothing_yet = 5
    assert remote(f) == 5
    del nothing_yet


@case
def modules_travel_by_name(remote):
    assert remote(lambda: m.sqrt(16)) == 4
    assert remote(lambda: hypot(3, 4)) == 5
    assert remote(lambda: os.path.join("a", "b")) == "a/b"
    assert remote(lambda: xml.dom.Node.TEXT_NODE) == 3
    assert remote(lambda module: module.dumps([1]), json) == "[1]"


@case
def a_module_may_be_imported_inside(remote):
    def f():
        import base64

        return base64.b64encode(b"x")

    assert remote(f) == b"eA=="


@case
def a_logger_travels_by_name(remote):
    log = logging.getLogger("a.b")
    assert remote(lambda: log.name) == "a.b"
    assert remote(lambda x: x, log) is log


# --- classes


class Point:
    made = []

    def __init__(self, x, y=0):
        self.x, self.y = x, y

    def __eq__(self, other):
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None

    def __add__(self, other):
        return Point(self.x + other.x, self.y + other.y)

    def scaled(self, n):
        return type(self)(self.x * n, self.y * n)

    @classmethod
    def origin(cls):
        return cls(0, 0)

    @staticmethod
    def dimensions():
        return 2

    @property
    def length(self):
        return hypot(self.x, self.y)


class Named(Point):
    def __init__(self, name, *where):
        super().__init__(*where)
        self.name = name


@case
def an_instance_of_a_class_of_the_program_comes_back_as_one(remote):
    back = remote(lambda p: p + Point(1, 1), Point(1, 2))
    assert type(back) is Point and back == Point(2, 3)


@case
def a_class_of_the_program_is_not_changed_by_what_comes_back(remote):
    methods = dict(vars(Point))

    def f():
        Point.made.append(1)
        return Point, Point(1)

    assert remote(f)[0] is Point and remote(f)[1] == Point(1)
    assert dict(vars(Point)) == methods and Point.made == []


@case
def what_a_task_does_to_a_class_is_not_seen_by_the_next(remote):
    def f():
        Point.made.append(1)
        return len(Point.made)

    assert [remote(f) for _ in range(2)] == [1, 1]


@case
def methods_of_every_kind_travel(remote):
    assert remote(Point(1, 2).scaled, 3) == Point(3, 6)
    assert remote(Point.scaled, Point(1, 2), 2) == Point(2, 4)
    assert remote(Point.origin) == Point(0, 0)
    assert remote(Named.origin.__func__, Point) == Point(0, 0)
    assert remote(Point.dimensions) == 2
    assert remote(lambda p: p.length, Point(3, 4)) == 5


@case
def a_class_is_called_as_a_task(remote):
    assert remote(Point, 7) == Point(7, 0)
    assert remote(decimal.Decimal, "1.5") == decimal.Decimal("1.5")


@case
def a_derived_class_travels_with_its_base(remote):
    back = remote(lambda n: n.scaled.__self__, Named("n", 1, 2))
    assert type(back) is Named and isinstance(back, Point) and back.name == "n"


@case
def a_class_that_was_defined_in_a_function_comes_back_as_itself(remote):
    class Local:
        def __init__(self):
            self.me = __class__  # noqa: F821

    back = remote(lambda: Local())
    assert type(back) is Local and back.me is Local


@case
def a_class_that_a_task_defines_comes_back(remote):
    def f():
        class There:
            def word(self):
                return "there"

        return There()

    assert remote(f).word() == "there"


@case
def a_class_that_was_defined_again_travels_as_it_is_now(remote):
    def make(word):
        class Again:
            def say(self):
                return word

        return Again

    assert [remote(lambda c: c().say(), make(word)) for word in "ab"] == ["a", "b"]


class Outer:
    class Inner:
        value = 1


@case
def a_class_within_a_class_travels(remote):
    assert remote(lambda: Outer.Inner.value) == 1
    assert type(remote(Outer.Inner)) is Outer.Inner


class Callable_:
    def __init__(self, n):
        self.n = n

    def __call__(self, x):
        self.n += 1
        return x + self.n


@case
def a_callable_object_travels(remote):
    add = Callable_(1)
    assert [remote(add, 10), remote(add, 10)] == [12, 12]
    add.n = 5
    assert remote(add, 10) == 16


@dataclasses.dataclass
class Row:
    a: int
    b: typing.List[int] = dataclasses.field(default_factory=list)  # noqa: UP006
    c: typing.ClassVar[int] = 9


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    a: int


@case
def dataclasses_travel(remote):
    assert remote(lambda r: dataclasses.replace(r, a=r.a + r.c), Row(1, [2])) == Row(10, [2])
    assert remote(lambda: sorted([Frozen(2), Frozen(1)])) == [Frozen(1), Frozen(2)]
    assert remote(lambda: [f.name for f in dataclasses.fields(Row)]) == ["a", "b"]


class Color(enum.Enum):
    RED = 1
    BLUE = "b"

    def lower(self):
        return self.name.lower()


class Access(enum.IntFlag):
    R = 4
    W = 2


@case
def a_member_of_an_enumeration_comes_back_as_itself(remote):
    assert remote(lambda c: c, Color.RED) is Color.RED
    assert remote(lambda: Color("b")) is Color.BLUE
    assert remote(lambda c: c.lower(), Color.BLUE) == "blue"
    assert remote(lambda a: a | Access.W, Access.R) == Access.R | Access.W


Pair = collections.namedtuple("Pair", "left right")
Other = collections.namedtuple("Different", "a")


class Typed(typing.NamedTuple):
    a: int
    b: str = "x"


@case
def named_tuples_travel(remote):
    assert remote(lambda p: p._replace(left=9), Pair(1, 2)) == Pair(9, 2)
    assert type(remote(lambda: Other(1))) is Other
    assert type(remote(Typed, 1)) is Typed


class Slotted:
    __slots__ = ("a", "b")


@case
def slots_travel(remote):
    value = Slotted()
    value.a = 1
    back = remote(lambda v: v, value)
    assert back.a == 1 and not hasattr(back, "b")


class Meta(type):
    def __call__(cls, *args):
        made = super().__call__(*args)
        made.tag = cls.__name__
        return made


class Made(metaclass=Meta):
    pass


@case
def a_metaclass_travels(remote):
    back = remote(lambda: Made())
    assert type(back) is Made and back.tag == "Made"


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return 4


@case
def an_abstract_class_travels(remote):
    assert remote(lambda: Square().area()) == 4
    assert remote.fails(lambda: Shape())["class"] == "builtins.TypeError"


class Reduced:
    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return Reduced, (self.value + 1,)


class Stateful:
    def __init__(self):
        self.lock, self.n = threading.Lock(), 1

    def __getstate__(self):
        return {"n": self.n}

    def __setstate__(self, state):
        self.lock, self.n = threading.Lock(), state["n"]


@case
def a_class_decides_how_it_travels(remote):
    assert remote(lambda r: r.value, Reduced(1)) == 2
    assert remote(lambda s: s.n + s.lock.acquire(False), Stateful()) == 2


class Cached:
    @functools.cached_property
    def slow(self):
        return 42


class Positive:
    def __set_name__(self, owner, name):
        self.name = f"_{name}"

    def __get__(self, owner, kind=None):
        return getattr(owner, self.name, 0)

    def __set__(self, owner, value):
        setattr(owner, self.name, abs(value))


class Measured:
    size = Positive()


@case
def descriptors_travel(remote):
    assert remote(lambda: Cached().slow) == 42

    def f():
        measured = Measured()
        measured.size = -3
        return measured.size

    assert remote(f) == 3


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    def __init__(self, item: T) -> None:
        self.item = item


@case
def generic_classes_and_typing_travel(remote):
    assert type(remote(lambda: Box[int](3))) is Box
    assert remote(lambda t: t, typing.Optional[int]) == typing.Optional[int]
    assert remote(lambda: typing.get_type_hints(Row)["a"]) is int


class Words(list):
    def __init__(self, *items):
        super().__init__(items)
        self.note = "n"


class Table(dict):
    def __missing__(self, key):
        return key * 2


class Number(int):
    pass


@case
def classes_derived_from_builtin_ones_travel(remote):
    words = remote(lambda w: w, Words("a", "b"))
    assert type(words) is Words and words == ["a", "b"] and words.note == "n"
    assert remote(lambda t: t[4], Table()) == 8
    assert type(remote(lambda: Number(3))) is Number


class Registry:
    known = []

    def __init_subclass__(cls, **options):
        Registry.known.append((cls.__name__, options))


class Registered(Registry, tag=1):
    pass


@case
def a_class_that_counts_its_subclasses_travels(remote):
    assert type(remote(lambda: Registered())) is Registered
    assert Registry.known == [("Registered", {"tag": 1})]


# --- values


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


# --- exceptions


class Trouble(Exception):
    pass


class Detailed(Exception):
    def __init__(self, code, *, hint):
        super().__init__(f"{code}: {hint}")
        self.code = code


def raising(error):
    raise error


@case
def an_exception_comes_back_with_class_and_arguments(remote):
    failure = remote.fails(raising, ValueError("bad", 3))
    assert failure["class"] == "builtins.ValueError" and failure["exception"].args == ("bad", 3)
    assert "in raising" in failure["traceback"]


@case
def an_exception_class_of_the_program_comes_back_as_itself(remote):
    failure = remote.fails(lambda: raising(Trouble("t")))
    assert type(failure["exception"]) is Trouble and failure["class"] == "__main__.Trouble"


@case
def an_exception_that_cannot_be_made_again_is_told_in_words(remote):
    failure = remote.fails(lambda: raising(Detailed(5, hint="look")))
    assert "exception" not in failure
    assert failure["class"] == "__main__.Detailed" and failure["message"] == "5: look"


@case
def an_exception_that_cannot_be_written_is_told_in_words(remote):
    failure = remote.fails(lambda: raising(Trouble(threading.Lock())))
    assert "exception" not in failure and failure["class"] == "__main__.Trouble"


@case
def chained_exceptions_are_all_in_the_traceback(remote):
    def f():
        try:
            return {}["x"]
        except KeyError as error:
            raise Trouble("outer") from error

    text = remote.fails(f)["traceback"]
    assert "KeyError: 'x'" in text and "direct cause" in text and text.rstrip().endswith("Trouble: outer")


@case
def groups_and_notes_of_exceptions_travel(remote):
    if sys.version_info < (3, 11):
        assert remote.fails(lambda: ExceptionGroup)["class"] == "builtins.NameError"  # noqa: F821
        return

    def f():
        error = ValueError("v")
        error.add_note("a note")
        raise ExceptionGroup("several", [error, Trouble("t")])  # noqa: F821

    group = remote.fails(f)["exception"]
    assert [type(e) for e in group.exceptions] == [ValueError, Trouble]
    assert group.exceptions[0].__notes__ == ["a note"]


@case
def exceptions_beside_exception_come_back(remote):
    assert type(remote.fails(raising, KeyboardInterrupt())["exception"]) is KeyboardInterrupt
    assert remote.fails(lambda: eval("1 +"))["class"] == "builtins.SyntaxError"
    assert remote.fails(lambda: (lambda f: f(f))(lambda f: f(f)))["class"] == "builtins.RecursionError"


@case
def an_exception_whose_text_fails_is_told_all_the_same(remote):
    class Silent(Exception):
        def __str__(self):
            raise RuntimeError("no text")

    assert remote.fails(lambda: raising(Silent()))["class"].endswith("Silent")


# --- what is refused


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


@case
def a_global_that_cannot_travel_is_refused_with_its_name(remote):
    assert "the global variable GUARD that " in remote.refused(lambda: GUARD)


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
