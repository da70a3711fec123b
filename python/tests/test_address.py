"""How the addresses of managers are read."""

from __future__ import annotations

import pytest

from argon._wire.address import parse_all
from argon.errors import OptionError


def test_addresses_are_read_as_people_write_them() -> None:
    assert parse_all("a:1, b") == [("a", 1), ("b", 8000)]
    assert parse_all([("a", 1), "[::1]:2"]) == [("a", 1), ("::1", 2)]


def test_without_an_address_the_environment_names_the_managers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARGON_MANAGER", raising=False)
    assert parse_all(None) == [("127.0.0.1", 8000)]
    monkeypatch.setenv("ARGON_MANAGER", "a:1,b:2")
    assert parse_all(None) == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("wrong", ["a:99999", ":1", "a:x", []])
def test_a_broken_address_is_refused_in_words(wrong: str) -> None:
    with pytest.raises(OptionError):
        parse_all(wrong)
