"""Reads the addresses that a client is made with. It resolves no names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Union

from ..errors import OptionError

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000

Addresses = Union[str, tuple[str, int], Iterable[Union[str, tuple[str, int]]], None]

_BRACKETED = re.compile(r"\[([^\]]+)\](?::(.*))?")
_PLAIN = re.compile(r"([^:]*):([^:]*)")


def parse_all(given: Addresses) -> list[tuple[str, int]]:
    """Each address as host and port, from `"host:port"`, `"a:1,b:2"`, `("host", 8000)` or a list of those.

    None is what the environment variable ARGON_MANAGER names, else 127.0.0.1:8000.
    """
    if given is None:
        named = os.environ.get("ARGON_MANAGER", "").strip()
        return parse_all(named) if named else [(DEFAULT_HOST, DEFAULT_PORT)]
    if isinstance(given, str):
        return [_parse(text) for text in re.split(r"[\s,]+", given.strip())]
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], int):
        return [_checked(str(given[0]), str(given[1]))]
    if not isinstance(given, Iterable):
        raise OptionError(f"Client: an address is a host and a port, as in 'mgrhost:8000', not {given!r}")
    found = [address for one in given for address in parse_all(one)]
    if not found:
        raise OptionError("Client: the list of addresses is empty")
    return found


def _parse(text: str) -> tuple[str, int]:
    match = _BRACKETED.fullmatch(text) or _PLAIN.fullmatch(text)
    host, port = (match[1], match[2]) if match else (text, None)
    return _checked(host, str(DEFAULT_PORT) if port is None else port)


def _checked(host: str, port: str) -> tuple[str, int]:
    if not host:
        raise OptionError(f"Client: an address must name a host, as in 'mgrhost:8000'; ':{port}' names none")
    if not re.fullmatch(r"\d{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise OptionError(f"Client: '{port}' is not a port: it must be a number from 1 to 65535")
    return host, int(port)
