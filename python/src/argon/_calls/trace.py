"""The trace that the caller is in, where its program has loaded OpenTelemetry: it goes on in the task."""

from __future__ import annotations

import sys

from .._wire import protocol as wire

_FIELDS = ("traceparent", "tracestate")
#: Characters of a value: meta data has 64 KiB.
_VALUE_MAX = 512
#: Bytes of the head of a call before the length of its meta data.
_BEFORE_LENGTH = wire.CALL.size - 4


def is_there() -> bool:
    """True if the program has loaded OpenTelemetry."""
    return "opentelemetry.trace" in sys.modules


def traced(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """The head and the end of a call with the fields of the present trace in the meta data; the same without a trace."""
    fields = _present()
    if not fields:
        return head, tail
    # Meta data is an object, and the last thing of the end.
    longer = tail[:-1] + (b"" if tail.endswith(b"{}") else b",") + wire.to_json(fields)[1:]
    length = int.from_bytes(head[_BEFORE_LENGTH:], "big") + len(longer) - len(tail)
    return head[:_BEFORE_LENGTH] + length.to_bytes(4, "big"), longer


def _present() -> dict[str, str]:
    try:
        from opentelemetry import propagate  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return {}
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    found = ((name, carrier.get(name)) for name in _FIELDS)
    return {name: value for name, value in found if value and len(value) <= _VALUE_MAX}
