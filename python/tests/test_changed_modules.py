"""A worker imports a module by its name: a program that changed it in memory is told, or sends it as it is."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cloudpickle import cloudpickle

import argon
from argon._code import own_modules, shipping

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
    fee = 3
    kinds = ["big"]
    best: "Shop"
    made = 0

    def __init__(self):
        type(self).made += 1

    def __class_getitem__(cls, item):
        return item

    def price(self):
        return RATE

    def fees(self):
        return self.fee

    def all(self):
        return self.kinds, self.price(), self.best

Shop.best = Shop()
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
    registered = cloudpickle._PICKLE_BY_VALUE_MODULES
    for name in names:
        del sys.modules[name]
        registered.discard(name)
    shipping._kept.clear()


@pytest.fixture
def colorsys_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A file beside the program with the name of a module of the standard library."""
    (tmp_path / "colorsys.py").write_text("def mine():\n    return 'mine'\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = sys.modules.pop("colorsys", None)
    own_modules._known.pop("colorsys", None)
    yield
    sys.modules.pop("colorsys", None)
    if before is not None:
        sys.modules["colorsys"] = before
    own_modules._known.pop("colorsys", None)
    own_modules._to_be_loaded.discard("colorsys")


def told(function: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shipping.prepare(function)
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
        argon._code.changed_modules._told.clear()  # type: ignore[attr-defined]
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


# kind: modules that changed | a class attribute or method that was changed in memory | loud | a warning names class and
#    attribute
def test_a_changed_class_is_told(modules: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = modules
    shop = settings.Shop()

    class Own(settings.Shop):  # type: ignore[misc, name-defined]
        def both(self) -> int:
            return int(self.fee)

    ways = [settings.Shop.fees, lambda: settings.Shop().fees(), lambda: [shop.fees()], lambda: Own().both()]
    for way in ways:
        assert told(way) == []
    monkeypatch.setattr(settings.Shop, "fee", 4)
    for way in ways:
        argon._code.changed_modules._told.clear()  # type: ignore[attr-defined]
        (text,) = told(way)
        assert f"{settings.__name__}.Shop.fee is 4 here, and 3 in its file" in text
    settings.Shop.kinds.append("small")
    monkeypatch.setattr(settings.Shop, "price", lambda self: 0)
    kinds, price = sorted(told(shop.all))
    assert "Shop.kinds is ['big', 'small'] here" in kinds and "Shop.price is the function" in price


# kind: modules that changed | the program's own function in the place of one of an installed module | loud | a
#    warning names it
def test_a_function_put_into_an_installed_module_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    put: Any = lambda text: "fake"  # noqa: E731
    put.__module__ = "__main__"
    function = lambda: textwrap.dedent("x")  # noqa: E731
    assert told(function) == []
    monkeypatch.setattr(textwrap, "dedent", put)
    assert "textwrap.dedent is the function" in told(function)[0]


# kind: modules that changed | a module sent by value, and a function of another module that imports it | loud | a warning
#    names the other module
def test_a_module_that_imports_one_that_is_sent_by_value_is_named(client: Any, modules: Any) -> None:
    settings, pricing = modules
    client.by_value(settings)
    settings.RATE = 5
    assert told(lambda: [settings.rate()]) == []
    (text,) = told(pricing.gross)
    assert f"{settings.__name__}.RATE is 5 here" in text and f"by_value({pricing.__name__!r})" in text
    client.by_value(pricing)
    argon._code.changed_modules._told.clear()  # type: ignore[attr-defined]
    assert told(pricing.by_function) == [] and client.queue(pricing.by_function, 1) == 5


# kind: modules that changed | a module beside the script that has the name of one of the standard library | right | a
#    worker takes the program's, as the program does
def test_a_module_with_a_name_of_the_standard_library_is_the_programs(client: Any, colorsys_here: Any) -> None:
    colorsys: Any = importlib.import_module("colorsys")
    assert told(lambda: [colorsys.mine()]) == []
    assert client.queue(colorsys.mine) == "mine"
    assert client.queue(lambda: [colorsys.mine()]) == ["mine"]


# kind: modules that changed | the same with an `import` statement within the function | right | the same, whether the
#    program has loaded its module or not
@pytest.mark.parametrize("is_loaded", [False, True])
def test_an_import_within_a_function_finds_the_programs_module(
    client: Any, colorsys_here: Any, is_loaded: bool
) -> None:
    if is_loaded:
        importlib.import_module("colorsys")

    def nested() -> Any:
        def inner() -> Any:
            from colorsys import mine  # type: ignore[attr-defined]

            return mine()

        return inner()

    assert client.queue(nested) == "mine"
    assert is_loaded or "colorsys" not in sys.modules


# kind: modules that changed | a file that was edited after the program has loaded it, and before the first task needs it |
#    loud | the module is refused in words; nothing of the new text runs
def test_a_file_that_was_edited_after_it_was_loaded_is_refused(client: Any, modules: Any) -> None:
    settings, _ = modules
    file = Path(settings.__file__)
    file.write_text(file.read_text() + "\n\ndef another():\n    return 1\n\n\nRATE = 178\n")
    with pytest.raises(ModuleNotFoundError, match="has changed since this program loaded it: restart"):
        client.queue(settings.rate)
    importlib.reload(settings)
    assert client.queue(settings.rate) == 178


# kind: modules that changed | a file that is edited while the program runs, after a first task has got its text | right |
#    all tasks of the program see the text that was loaded
def test_all_tasks_of_a_program_see_one_text(client: Any, modules: Any) -> None:
    settings, _ = modules
    before = client.queue(settings.rate)
    file = Path(settings.__file__)
    file.write_text(file.read_text().replace("RATE = ", "RATE = 100 + "))
    # Another runner, which has not got the text yet.
    with pytest.raises(argon.Died):
        client.queue(os._exit, 3)
    assert client.queue(settings.rate) == before


# kind: modules that changed | a file that was changed and loaded again with `importlib.reload` | right | it is compared
#    with the new text
def test_a_module_that_was_loaded_again_is_not_told(modules: Any) -> None:
    settings, pricing = modules
    assert told(pricing.gross) == []
    file = Path(settings.__file__)
    file.write_text(file.read_text().replace("RATE = 1", "RATE = 177"))
    importlib.reload(settings)
    assert settings.RATE == 177 and told(pricing.gross) == []
    settings.RATE = 1
    assert len(told(pricing.gross)) == 1


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
