"""Classes that are written in C, and code that cannot be made again on the worker."""

from __future__ import annotations

import ast
import collections
import decimal
import fractions
import functools
import ipaddress
import json.encoder
import pickle
import typing
import warnings
import xml.etree.ElementTree
from collections.abc import Iterator
from typing import Any

import cloudpickle
import numpy
import pytest

import argon
from argon._code import shipping


@pytest.fixture
def by_value() -> Iterator[Any]:
    """Registers modules for the time of a test."""
    registered: list[Any] = []

    def register(module: Any) -> None:
        cloudpickle.register_pickle_by_value(module)
        registered.append(module)

    yield register
    for module in registered:
        cloudpickle.unregister_pickle_by_value(module)


# kind: what the call refers to | a function by value whose module has classes written in C | right | such a class
#    travels by name; by value it would arrive empty
def test_compiled_classes_of_a_module_by_value_travel_by_name(client: Any, by_value: Any) -> None:
    for module in (ast, json.encoder, xml.etree.ElementTree, functools):
        by_value(module)
    assert client.queue(ast.literal_eval, "[1, {'a': 2.5}]") == [1, {"a": 2.5}]
    text = client.queue(lambda: xml.etree.ElementTree.tostring(xml.etree.ElementTree.XML("<a><b/></a>")))
    assert text == b"<a><b /></a>"
    assert client.queue(functools.lru_cache(3)(lambda n: n + 1), 4) == 5
    # Abstract classes of C have nothing of their own that shows it.
    by_value(numpy)
    assert client.queue(issubclass, numpy.int32, numpy.signedinteger)


# kind: what cannot travel | a class written in C that its module does not have under its name | loud | plain pickle
#    refuses it, too
def test_a_compiled_class_without_a_name_is_refused(client: Any) -> None:
    encoder = json.encoder.c_make_encoder
    assert encoder is not None
    with pytest.raises(argon.CannotTravel, match="Encoder"):
        client.queue(lambda: encoder)


# kind: what the call refers to | a class by value that holds its own instances | loud | the sentence says that it is the
#    code that failed, not the task
def test_code_that_cannot_be_made_again_is_told_apart_from_what_a_task_raises(client: Any, by_value: Any) -> None:
    by_value(ipaddress)
    with pytest.raises(TypeError, match=r"the code cannot travel: it cannot be made again on the worker \(TypeError"):
        client.queue(ipaddress.ip_address, "10.0.0.1")


# kind: frames of the runner | `namedtuple`, `TypeVar` and others that look at their caller | right | they find a main
#    program
def test_functions_that_look_at_their_caller_find_a_main_program(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    point = client.queue(collections.namedtuple, "Point", "x y")
    assert (point.__module__, point(1, 2)) == ("__main__", (1, 2))
    monkeypatch.setattr("__main__.Point", point, raising=False)
    assert pickle.loads(pickle.dumps(point(3, 4))) == (3, 4)
    assert client.queue(pickle.dumps, decimal.Decimal(7)) == pickle.dumps(decimal.Decimal(7))
    assert client.queue(typing.NamedTuple, "Pair", [("a", int)]).__module__ == "__main__"


class Account:
    def deposit(self, amount: int) -> int:
        return amount

    def withdraw(self, amount: int) -> int:
        return -amount

    withdraw.__name__ = "deposit"


# kind: what the call refers to | a bound method under another name than its own | right | the function travels with the
#    object; plain pickle would call the method that has this name
def test_a_bound_method_that_has_the_name_of_another_is_itself(client: Any) -> None:
    account = Account()
    assert client.queue(account.withdraw, 5) == -5
    assert client.queue(lambda method: method(5), account.withdraw) == -5
    assert [method(5) for method in client.queue(lambda: [Account().deposit, Account().withdraw])] == [5, -5]
    with warnings.catch_warnings():
        # numpy advises against matrices, of which `getA` is the function of the property `A`.
        warnings.simplefilter("ignore")
        assert client.queue(numpy.matrix([[1, 2]]).getA).tolist() == [[1, 2]]


def test_a_bound_method_that_is_found_by_its_name_is_cheap(client: Any) -> None:
    third = fractions.Fraction(1, 3)
    assert client.queue(third.limit_denominator, 2) == third.limit_denominator(2)
    assert client.queue(fractions.Fraction.from_float, 0.5) == fractions.Fraction(1, 2)
    assert b"cloudpickle" not in shipping.prepare(third.limit_denominator).blob
    assert b"cloudpickle" not in shipping.prepare(fractions.Fraction.from_float).blob


class Endless:
    def __init__(self) -> None:
        self.inner = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


# kind: what cannot travel | an argument whose class fails while the object is made again | loud | the sentence says that
#    the argument failed, not the task
def test_an_argument_that_cannot_be_made_again_is_told_apart_from_what_a_task_raises(client: Any) -> None:
    with pytest.raises(TypeError, match=r"an argument cannot travel: .* \(RecursionError"):
        client.queue(id, Endless())
