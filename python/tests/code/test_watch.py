"""When a function's blob is used again, and when a runner may keep what it holds."""

from __future__ import annotations

import json
import os
import types

import pytest

from argon._code import shipping

MAIN = """
import functools, json, os.path
from math import hypot
count = 1
items = []
def plain(x): return json.dumps(x) + str(hypot(count, 1))
def calls(x): return plain(x)
def loops(n): return n and loops(n - 1)
def grows(): return items
def counts():
    global count
    count += 1
def marks(): marks.seen = 1
def reaches(): globals()["count"] = 2
def outer():
    n = 0
    def inner():
        nonlocal n
        n += 1
    inner()
    return n
def wrapping(f):
    @functools.wraps(f)
    def wrapper(*args): return f(*args)
    return wrapper
@wrapping
def wrapped(x): return x + count
@functools.lru_cache
def cached(x): return x + count
@functools.lru_cache
def cached_items(): return items
def make(value):
    def kept(): return value
    def changed():
        nonlocal value
        value = 1
    return kept, changed
"""


@pytest.fixture
def main():
    module = types.ModuleType("__main__")
    exec(compile(MAIN, "main.py", "exec", dont_inherit=True), vars(module))
    return module


def is_kept(function):
    first = shipping.prepare(function).blob
    return shipping.prepare(function).blob is first


def is_constant(function):
    return "constant" in shipping.prepare(function).meta


@pytest.mark.parametrize("name", ["plain", "calls", "loops", "outer", "wrapped", "cached"])
def test_functions_of_unchangeable_parts_are_kept_here_and_there(main, name):
    assert is_kept(getattr(main, name)) and is_constant(getattr(main, name))


@pytest.mark.parametrize("name", ["counts", "marks", "reaches"])
def test_functions_that_change_what_they_find_are_kept_here_only(main, name):
    assert is_kept(getattr(main, name)) and not is_constant(getattr(main, name))


def test_functions_that_refer_to_what_can_change_are_pickled_anew(main):
    assert not is_kept(main.grows) and not is_constant(main.grows)
    assert not is_kept(main.cached_items)


def test_captured_values_decide_too(main):
    assert is_constant(main.make((1, "x", frozenset({b"y"})))[0])
    assert not is_constant(main.make(([],))[0])
    assert not is_constant(main.make(object())[0])
    assert not is_constant(main.make(1)[1])


@pytest.mark.parametrize(
    "change",
    [
        lambda main: setattr(main, "count", 2),
        lambda main: setattr(main, "hypot", lambda *_: 0),
        lambda main: setattr(main, "json", os),
        lambda main: setattr(main, "str", repr),
        lambda main: setattr(main.plain, "__defaults__", (5,)),
        lambda main: setattr(main.plain, "__code__", (lambda x: x).__code__),
        lambda main: setattr(main.plain, "note", 1),
    ],
    ids=["variable", "imported function", "module", "name that was builtin", "default", "code", "attribute"],
)
def test_a_change_of_any_part_is_noticed(main, change):
    before = shipping.prepare(main.calls).blob
    change(main)
    after = shipping.prepare(main.calls).blob
    assert after is not before and after != before


def test_a_function_that_is_kept_does_not_stay_alive(main):
    import gc
    import weakref

    kept = main.make(1)[0]
    shipping.prepare(kept)
    gone = weakref.ref(kept)
    del kept
    gc.collect()
    assert gone() is None


def test_functions_of_modules_travel_by_name():
    prepared = shipping.prepare(json.dumps)
    assert prepared.blob is None
    assert prepared.meta["python"] == shipping.PYTHON and prepared.meta["call"] == "json:dumps"
    assert shipping.prepare(len).meta["call"] == "builtins:len"
    assert shipping.prepare(json.JSONDecoder.decode).meta["call"] == "json.decoder:JSONDecoder.decode"


def test_a_name_that_means_something_else_now_is_not_used(monkeypatch):
    function = json.dumps
    monkeypatch.setattr(json, "dumps", len)
    assert shipping.prepare(function).blob is not None


def test_modules_that_are_to_travel_by_value_do():
    import textwrap

    import cloudpickle

    cloudpickle.register_pickle_by_value(textwrap)
    try:
        assert shipping.prepare(textwrap.dedent).blob is not None
    finally:
        cloudpickle.unregister_pickle_by_value(textwrap)
    assert shipping.prepare(textwrap.dedent).blob is None


def test_a_module_that_was_made_by_hand_is_no_place_to_import_from(monkeypatch):
    module = types.ModuleType("by_hand")
    exec("def f(): return 1", vars(module))
    monkeypatch.setitem(__import__("sys").modules, "by_hand", module)
    assert shipping._importable_name(module.f) is None
