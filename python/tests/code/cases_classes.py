"""Cases of what travels: classes and what is made of them.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py.
"""

# Lambdas and leaks are what is tested here.
# ruff: noqa: PLW0108, RUF012

import abc
import collections
import dataclasses
import decimal
import enum
import functools
import threading
import typing
from math import hypot

CASES = []


def case(function):
    CASES.append(function)
    return function


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


# kind: what the call refers to | an instance of a class of `__main__` | right | it comes back as an instance of the
#    same class
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


# kind: what the call refers to | a task that changes an attribute of a class | right | each task has its copy
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
            self.me = __class__

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
    b: typing.List[int] = dataclasses.field(default_factory=list)
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
