"""A worker imports a module by its name: a program that changed it in memory is told, or sends it as it is."""

from __future__ import annotations

import sys
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

import argon
from argon import _code

SETTINGS = """
RATE = 1
NAMES = ["a", "b"]
CACHE = {}
LIMIT = int("3")
if RATE:
    MODE = "slow"

def rate():
    return RATE

class Shop:
    def price(self):
        return RATE
"""
PRICING = """
import SETTINGS as settings
from SETTINGS import rate

TAX = 2

def gross(amount):
    return amount * settings.RATE * TAX

def by_function(amount):
    return amount * rate()

def kept(amount):
    settings.CACHE[amount] = amount
    return len(settings.NAMES), settings.LIMIT, settings.MODE

class Till:
    def total(self, amount):
        return gross(amount)
"""
#: Modules are remembered by their names, so each test has its own.
numbers = iter(range(1000))


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    number = next(numbers)
    names = f"settings_{number}", f"pricing_{number}"
    for name, text in zip(names, (SETTINGS, PRICING)):
        (tmp_path / f"{name}.py").write_text(text.replace("SETTINGS", names[0]))
    monkeypatch.syspath_prepend(tmp_path)
    yield tuple(map(__import__, names))
    registered = sys.modules["cloudpickle.cloudpickle"]._PICKLE_BY_VALUE_MODULES
    for name in names:
        del sys.modules[name]
        registered.discard(name)
    _code._kept.clear()


def told(function: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _code.prepare(function)
    assert all(one.category is argon.ModuleChanged for one in caught)
    # The line that is named is the caller's own.
    assert all(one.filename == __file__ for one in caught)
    return [str(one.message) for one in caught]


# kind: modules that changed | `settings.RATE = 5`, then a function of that module | loud | a warning names the variable,
#    both values, and `client.by_value`
def test_a_changed_value_is_told_once(modules: Any) -> None:
    settings, pricing = modules
    assert told(pricing.gross) == []
    settings.RATE = 5
    (text,) = told(pricing.gross)
    assert f"{settings.__name__}.RATE is 5 here, and 1 in its file" in text and "by_value" in text
    assert told(pricing.gross) == [] and told(pricing.by_function) == []


def test_it_is_noticed_whichever_way_the_function_finds_it(modules: Any) -> None:
    settings, pricing = modules
    ways = [
        pricing.by_function,
        lambda: pricing.gross(1),
        lambda: settings.RATE,
        pricing.Till().total,
        __import__("functools").partial(pricing.gross, 1),
    ]
    for number, way in enumerate(ways, 2):
        settings.RATE = number
        argon._changed._told.clear()  # type: ignore[attr-defined]
        assert len(told(way)) == 1, number


# kind: modules that changed | `mock.patch` of a module's function or value | loud | a warning names what was patched
def test_what_was_patched_is_told(modules: Any) -> None:
    settings, pricing = modules
    with mock.patch.object(settings, "NAMES", ["x"]):
        assert "NAMES" in told(pricing.kept)[0]
    with mock.patch.object(pricing, "rate"):
        assert f"{pricing.__name__}.rate is <MagicMock" in told(pricing.by_function)[0]
    with mock.patch.object(pricing, "gross", lambda amount: 0):
        assert f"{pricing.__name__}.gross is the function" in told(lambda: pricing.gross(1))[0]
    assert told(pricing.gross) == []


def test_what_the_file_leaves_open_is_not_told(modules: Any) -> None:
    settings, pricing = modules
    settings.CACHE["filled"], settings.LIMIT, settings.MODE = 1, 9, "fast"
    settings.unknown = types.SimpleNamespace()
    assert told(pricing.kept) == [] and told(pricing.gross) == []
    with mock.patch("json.dumps"):
        assert told(lambda: len("installed modules are not judged")) == []


# kind: modules that changed | `client.by_value(module)` | right | its functions and classes travel as they are now
def test_by_value_sends_a_module_as_it_is(client: Any, modules: Any) -> None:
    settings, pricing = modules
    warm = lambda: pricing.gross(1)  # noqa: E731
    assert client.queue(pricing.gross, 1) == client.queue(warm) == 2
    settings.RATE = 5
    assert client.by_value(settings.__name__, pricing) is client
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert client.queue(pricing.gross, 1) == client.queue(warm) == 10
        settings.RATE = 6
        assert client.queue(pricing.gross, 1) == client.queue(warm) == 12
        assert client.queue(lambda: settings.RATE) == 6
        assert client.queue(pricing.Till().total, 1) == 12
        assert type(client.queue(lambda one: one, settings.Shop())) is settings.Shop
        assert client.queue(len, [1, 2]) == 2


def test_by_value_takes_modules_and_their_names(client: Any) -> None:
    assert client.by_value("__main__") is client
    with pytest.raises(argon.OptionError, match="takes a module or its name, not a function"):
        client.by_value(told)
    with pytest.raises(ModuleNotFoundError):
        client.by_value("no_such_module")
