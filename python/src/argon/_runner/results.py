"""What a task returned, as bytes for the client.

Owns the second try: what plain pickle refused, or would have named in a main program that is not ours. Loaded when it
is needed first.
"""

from __future__ import annotations

from .. import _bundle, _by_value, _culprit

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any


def dumps(value: object) -> list[_bundle.Buffer]:
    """The bundle of a value. Raises CannotTravel."""
    buffers: list[Any] = []
    pickled = _by_value.dumps(_bundle.aside(value), buffers.append, is_returning=True)
    return _bundle.joined(pickled, buffers)


def returned(value: object) -> list[_bundle.Buffer]:
    """The same for what a task returned, with a sentence that says what it is in it."""
    try:
        return dumps(value)
    except _bundle.CannotTravel as error:
        raise TypeError(_culprit.of_result(value, error)) from None
