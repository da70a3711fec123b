"""A big value that many tasks use and that travels once: once to the manager, once to each worker."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ._session.task import Blob

__all__ = ["Shared"]

T = TypeVar("T")


class SharedElsewhere(TypeError):
    """Raised while an argument is pickled, when a handle of a shared value stands in it."""


class Shared(Generic[T]):
    """The handle that `Client.share` returns. A task that gets it as an argument, or captured it, finds the value."""

    __slots__ = ("_blob", "value")

    value: T
    """The value here."""

    def __init__(self, value: T, blob: Blob):
        self.value = value
        self._blob = blob

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise SharedElsewhere("a shared value can only be an argument of a task, or captured by its function")

    def __repr__(self) -> str:
        return f"<argon.Shared {self._blob.hash.hex()[:12]} {self._blob.size} bytes>"


def hash_of(value: object) -> bytes | None:
    """The hash of a handle, None for every other object. `payloads` calls it for each object."""
    return value._blob.hash if type(value) is Shared else None
