"""Cases of what travels: functions.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py.
"""

# Lambdas and leaks are what is tested here.

import asyncio
import contextlib
import functools
import operator

CASES = []


def case(function):
    CASES.append(function)
    return function


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


# kind: what the call refers to | lambdas made in a loop, called at once | right | the captured variable is read at
#    the call
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
    assert remote(lambda: fibonacci.cache_parameters()["typed"]) is False
    assert remote(lambda function: function, fibonacci)(9) == 34
    # What it has found once, a runner needs not look for again.
    assert remote(fibonacci, 80) == 23416728348467685
    assert remote(lambda: fibonacci.cache_info().hits) == 0


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
