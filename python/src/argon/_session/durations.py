"""Times that a user gives: seconds, a `datetime.timedelta`, or text as "90s", "5m", "1h30m"."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import NoReturn, Union

from ..errors import OptionError

Duration = Union[float, str, timedelta]

MILLISECONDS_MAX = 4_294_967_295
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER = re.compile(r"\d+(\.\d+)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")


def seconds(name: str, value: Duration) -> float:
    """The number of seconds that `value` means. Raises OptionError."""
    if isinstance(value, timedelta):
        found = value.total_seconds()
    elif isinstance(value, str):
        found = _of_text(value.strip())
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        found = value
    else:
        found = math.nan
    if not math.isfinite(found) or found < 0:
        _refuse(f"{name} must be a time (seconds, a timedelta, or text such as '90s', '5m' or '1h30m'), not {value!r}")
    if round(found * 1000) > MILLISECONDS_MAX:
        _refuse(f"{name} must be at most {MILLISECONDS_MAX // 1000} seconds, not {value!r}")
    return found


def seconds_or_none(name: str, value: Duration | None) -> float | None:
    """The same where None means no limit."""
    return None if value is None else seconds(name, value)


def milliseconds(value: float) -> int:
    """Whole milliseconds for the wire, where 0 means no limit: at least 1 for any time above 0."""
    return round(value * 1000) or (1 if value else 0)


def _of_text(text: str) -> float:
    if _NUMBER.fullmatch(text):
        return float(text)
    parts, at = [], 0
    while at < len(text):
        found = _PART.match(text, at)
        if found is None:
            return math.nan
        parts.append((found[1], found[2]))
        at = found.end()
    units = [unit for _, unit in parts]
    if len(set(units)) != len(units):
        return math.nan
    return sum(float(number) * _SECONDS[unit] for number, unit in parts) if parts else math.nan


def _refuse(sentence: str) -> NoReturn:
    raise OptionError(f"Client: {sentence}")
