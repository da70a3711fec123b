"""The record of one task at the client: its frame, its outcome, its waiters. The session's journal holds these.

Fields are read and written under the session's lock until `done` is set, and without it afterwards.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

if TYPE_CHECKING:
    import contextvars

    from ..client import Client
    from .options import Options
    from .session import Session


class Blob(NamedTuple):
    """Bytes that are named by their hash: code, or a shared value."""

    hash: bytes
    parts: list[memoryview]
    size: int


class Task:
    """One task. Users see it as `argon.Deferred`."""

    __slots__ = (
        "__weakref__",
        "_attempt",
        "_blobs",
        "_callbacks",
        "_cancelled",
        "_client",
        "_codec",
        "_collects",
        "_context",
        "_done",
        "_error",
        "_frame",
        "_held_back",
        "_id",
        "_options",
        "_output",
        "_parts",
        "_payload",
        "_report",
        "_run_us",
        "_sent_on",
        "_session",
        "_size",
        "_status",
        "_tries",
        "_value",
        "_waiters",
    )

    def __init__(self, client: Client | None, session: Session, task: bytes, frame: bytes, size: int, options: Options):
        # Keeps the client alive, and with it the session.
        self._client = client
        self._session = session
        self._id = task
        # The SUBMIT frame; for a payload that travels in chunks only its head, and the payload's parts beside it.
        self._frame = frame
        self._parts: list[memoryview] | None = None
        self._size = size
        self._options = options
        self._blobs: tuple[Blob, ...] = ()
        # Of which connection it went out on; 0 when it was not sent yet.
        self._sent_on = 0
        self._done = False
        self._waiters: tuple[threading.Lock, ...] = ()
        self._callbacks: list[Callable[[Any], None]] | None = None
        self._cancelled = False
        self._held_back = False
        self._collects = False
        self._tries = 0
        self._status = -1
        self._codec = 0
        self._attempt = 0
        self._run_us = 0
        self._report: Any = None
        self._payload: Any = None
        self._error: BaseException | None = None
        self._value: Any = None
        # Captured output, and for each attempt how many bytes of it were seen and granted.
        self._output: dict[int, list[int]] | None = None
        self._context: contextvars.Context | None = None
