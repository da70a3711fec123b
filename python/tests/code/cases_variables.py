"""Cases of what travels: the variables of functions.

They run as a main program's text, so nothing here can be imported by a worker. `remote` is that of
test_shipping.py.
"""

# Lambdas and leaks are what is tested here.
# ruff: noqa: F821

import json
import logging
import math as m
import os.path
import xml.dom
from math import hypot

CASES = []


def case(function):
    CASES.append(function)
    return function


limit = 10


# kind: what the call refers to | a global variable that changes between two calls | right | nothing is remembered
#    from the call before
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


# kind: what the call refers to | a task that appends to a global list | right | each task has its copy
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


def remembers(x):
    remembers.seen = [*getattr(remembers, "seen", []), x]
    return remembers.seen


def counts():
    globals()["counted"] = globals().get("counted", 0) + 1
    return globals()["counted"]


@case
def what_a_function_writes_down_about_itself_is_not_seen_by_the_next_task(remote):
    assert [remote(remembers, n) for n in range(3)] == [[0], [1], [2]]
    assert [remote(counts) for _ in range(3)] == [1, 1, 1]


@case
def an_inner_function_may_change_what_its_outer_one_made(remote):
    def outer():
        count = 0

        def inner():
            nonlocal count
            count += 1

        inner()
        inner()
        return count

    assert [remote(outer) for _ in range(2)] == [2, 2]


# kind: what the call refers to | a function that reads a name that is not there | loud | `NameError`, as here
@case
def a_global_that_does_not_exist_is_missed_there(remote):
    failure = remote.fails(lambda: nowhere)
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
