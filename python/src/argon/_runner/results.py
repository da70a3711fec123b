"""Encodes the value of a task for the client.

Owns the second try: what plain pickle refused, or would have named in a main program that is not ours. Loaded when it
is needed first.
"""

from __future__ import annotations

from .._code import payloads, by_value, explain

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any


def dumps(value: object) -> list[payloads.Buffer]:
    """The bundle of a value. Raises CannotTravel."""
    buffers: list[Any] = []
    pickled = by_value.dumps(payloads.aside(value), buffers.append, is_returning=True)
    return payloads.joined(pickled, buffers)


def returned(value: object) -> list[payloads.Buffer]:
    """The same for what a task returned, with a sentence that says what it is in it."""
    try:
        return dumps(value)
    except payloads.CannotTravel as error:
        raise TypeError(explain.of_result(value, error)) from None
