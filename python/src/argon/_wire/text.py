"""Text of others that people will read: names, hosts, messages of managers and workers.

Cleaned, it cannot move a cursor, forge a line of a log or turn the direction of what stands beside it. Reports and other
JSON are read here, too: whatever they hold, reading them raises nothing but ValueError.
"""

from __future__ import annotations

import re
from json import loads as json_loads
from typing import Any

LINE_CHARS = 200
FIELD_CHARS = 1000

#: Controls but for line feed and tab, lone surrogates, and characters that are invisible or change the direction of text.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)
_SPACES = re.compile("[\t\n\x0b-\r\x85\u2028\u2029]")
_LINE_ENDS = re.compile("\r\n?")

_LINE_FIELDS = ("worker", "host", "class", "code")
_TEXT_FIELDS = ("output", "stack")
_NUMBER_FIELDS = ("pid", "attempt", "attempts", "signal", "exit", "peak_kib", "limit_kib", "run_ms")


def line(text: str, chars: int = LINE_CHARS) -> str:
    """One line of at most so many characters: white space becomes a space, what is not visible U+FFFD."""
    text = _HIDDEN.sub("\ufffd", _SPACES.sub(" ", text))
    return text if len(text) <= chars else text[: chars - 1] + "…"


def lines(text: str) -> str:
    """Several lines, which stay lines."""
    return _HIDDEN.sub("\ufffd", _LINE_ENDS.sub("\n", text))


def read_json(data: bytes | bytearray | str) -> Any:
    """The value of JSON text. Raises ValueError, also for text that is nested too deep for Python."""
    try:
        return json_loads(data)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def field(data: bytes, name: str, otherwise: str) -> str:
    """One field of a JSON object as a line; `otherwise` if it has none."""
    try:
        found = read_json(data)
    except ValueError:
        return otherwise
    value = found.get(name) if isinstance(found, dict) else None
    return line(str(value), FIELD_CHARS) if isinstance(value, (str, int)) else otherwise


def report(data: bytes) -> dict[str, Any]:
    """The fields of an outcome's report, each of its kind; others are left out.

    Output and stack are of the task and stay as they are; `argon.Error` cleans them where it shows them.
    """
    try:
        given = read_json(data)
    except ValueError:
        return {}
    if not isinstance(given, dict):
        return {}
    return {name: kept for name, value in given.items() if (kept := _kept(name, value)) is not None}


def _kept(name: str, value: Any) -> Any:
    if name == "story":
        return [lines(one) for one in value if isinstance(one, str)] if isinstance(value, list) else None
    if name in _NUMBER_FIELDS:
        return (
            value if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1 << 63 else None
        )
    if name in _LINE_FIELDS or name in _TEXT_FIELDS or name == "message":
        if not isinstance(value, str):
            return None
        return line(value) if name in _LINE_FIELDS else lines(value) if name == "message" else value
    return value
