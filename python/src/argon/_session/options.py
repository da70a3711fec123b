"""The options of a task: checked once, in the caller's words, and turned into the fields of the SUBMIT head."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from .._wire import protocol as wire
from ..errors import OptionError
from .durations import Duration, milliseconds, seconds_or_none

_PRIORITIES = {"high": wire.HIGH, "normal": wire.NORMAL, "low": wire.LOW}
_RETRY_FLAGS = {"error": wire.RETRY_ERROR, "died": wire.RETRY_DIED, "timeout": wire.RETRY_TIMEOUT}


@dataclass(frozen=True)
class Options:
    """Options of `Client(...)` and `Client.with_options(...)`."""

    priority: str = "normal"
    timeout: Duration | None = None
    retries: int = 0
    retry_on: str | Iterable[str] = ("error", "died", "timeout")
    backoff: Duration | None = None
    never_twice: bool = False
    memory: int = 0
    capture: bool = False
    label: str | None = None
    wait: bool = True
    """False: a task that the manager has no room for ends as `Rejected` instead of waiting here."""

    def __post_init__(self) -> None:
        if self.priority not in _PRIORITIES:
            _refuse(f"priority must be 'high', 'normal' or 'low', not {self.priority!r}")
        _whole("retries", self.retries, 65_535)
        _whole("memory", self.memory, 4_294_967_295)
        if self.never_twice and self.retries:
            _refuse("never_twice and retries exclude each other")
        if self.label is not None and len(self.label.encode()) > wire.LABEL_BYTES_MAX:
            _refuse(f"label is longer than {wire.LABEL_BYTES_MAX} bytes")
        names = (self.retry_on,) if isinstance(self.retry_on, str) else tuple(self.retry_on)
        object.__setattr__(self, "retry_on", names)
        for name in names:
            if name not in _RETRY_FLAGS:
                _refuse(f"retry_on knows 'error', 'died' and 'timeout', not {name!r}")
        for name in ("timeout", "backoff"):
            object.__setattr__(self, name, seconds_or_none(name, getattr(self, name)))

    def changed(self, given: dict[str, Any]) -> Options:
        """The same with some options set anew."""
        known = {field.name for field in fields(Options)}
        for name in given:
            if name not in known:
                advice = "; the address comes first: Client('HOST:PORT')" if name in ("host", "port") else ""
                _refuse(f"there is no option {name!r}{advice}; the options are {', '.join(sorted(known))}")
        return replace(self, **given)

    def call(self, runtime: int, codec: int, blob_count: int, meta_length: int, flags: int = 0) -> bytes:
        """The part of the SUBMIT head that all tasks of one call share."""
        if self.never_twice:
            flags |= wire.NEVER_TWICE
        if self.capture:
            flags |= wire.CAPTURE
        if self.retries:
            for name in self.retry_on:
                flags |= _RETRY_FLAGS[name]
        # Numbers of seconds since `__post_init__`.
        timeout: Any = self.timeout or 0.0
        backoff: Any = self.backoff if self.backoff is not None else 0.1 if self.retries else 0.0
        return wire.CALL.pack(
            0,
            flags,
            _PRIORITIES[self.priority],
            runtime,
            milliseconds(timeout),
            self.retries,
            codec,
            blob_count,
            milliseconds(backoff),
            self.memory,
            meta_length,
        )


def _whole(name: str, value: Any, limit: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
        _refuse(f"{name} must be a whole number from 0 to {limit}, not {value!r}")


def _refuse(sentence: str) -> None:
    raise OptionError(f"Client: {sentence}")
