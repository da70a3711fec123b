"""Turns a function and its arguments into the record of a task: the part of a call that costs time.

What all calls of one function with the same options have in common is made once and kept. `client` owns the interface.
"""

from __future__ import annotations

import contextvars
import hashlib
import os
import sys
from json import dumps as json_dumps
from typing import TYPE_CHECKING, Any, Callable, Union

from .._code import payloads, settings, shipping
from .._session.environment import Environment
from .._session.options import Options
from .._session.task import Blob
from .._wire import protocol as wire
from ..deferred import Deferred
from ..errors import CannotTravel, OptionError
from ..remote import Named
from ..shared import Shared, SharedElsewhere, hash_of
from . import trace

if TYPE_CHECKING:
    from .._session.session import Session
    from ..client import Client

_KEPT_MAX = 512
#: Characters of a folder's name: meta data has 64 KiB.
_FOLDER_MAX = 4096
# Small arguments are copied at the call; of big ones `queue` sends the memory itself, since its caller waits.
Target = Union[Callable[..., Any], Named]


class Call:
    """A function with its options, ready to be called with many arguments."""

    __slots__ = ("blobs", "codec", "context", "head", "tail")

    def __init__(self, head: bytes, tail: bytes, blobs: tuple[Blob, ...], codec: int):
        self.head = head
        self.tail = tail
        self.blobs = blobs
        self.codec = codec
        self.context: object = None


class Calls:
    """The calls of one client with one set of options."""

    def __init__(self, options: Options, shared: dict[bytes, Blob], environment: Environment):
        self._options = options
        self._environment = environment
        # The blobs of the values that this client shared.
        self._shared = shared
        self._kept: dict[Any, Call] = {}
        self._folder = _folder()
        # A notebook shows what is printed in the cell whose context it is printed in.
        self._is_notebook = "ipykernel" in sys.modules

    def of(self, target: Target, flags: int = 0) -> Call:
        """The call of a function as it is now."""
        if isinstance(target, Named):
            key: Any = (target, flags)
            call = self._kept.get(key)
            return call or self._keep(key, self._make(target.runtime, wire.CODEC_JSON, (), dict(target.meta), flags))
        try:
            prepared = shipping.prepare(target, hash_of if self._shared else None)
        except payloads.CannotTravel as problem:
            raise CannotTravel(str(problem)) from problem.__cause__
        meta = prepared.meta
        context = settings.current()
        key = (
            prepared.blob,
            meta.get("call"),
            meta.get("modules"),
            meta.get("own"),
            id(context) if context else 0,
            flags,
        )
        call = self._kept.get(key)
        if call is None:
            blobs = () if prepared.blob is None else (_blob([prepared.blob]), *self._blobs(prepared.shared))
            if context:
                meta = {**meta, "settings": context}
            call = self._keep(key, self._make(wire.PYTHON, wire.CODEC_RUNTIME, blobs, meta, flags), context)
        return call

    def task(
        self,
        client: Client,
        session: Session,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        is_waited_for: bool = False,
    ) -> Deferred[Any]:
        """The record of one task, not yet offered. Raises CannotTravel."""
        parts: list[Any]
        hashes: set[bytes]
        if call.codec == wire.CODEC_JSON:
            parts, hashes = [_json_arguments(args, kwargs)], set()
        else:
            parts, hashes = self._bundle_of(args, kwargs)
        blobs, head, tail = call.blobs, call.head, call.tail
        if hashes:
            blobs = (*blobs, *(one for one in self._blobs(hashes) if one not in blobs))
            head = head[:15] + bytes([len(blobs)]) + head[16:]
            tail = b"".join(one.hash for one in blobs) + tail[32 * len(call.blobs) :]
        if trace.is_there():
            head, tail = trace.traced(head, tail)
        task_id = session.next_id()
        size = len(parts[0]) if len(parts) == 1 else sum(memoryview(part).nbytes for part in parts)
        if size <= wire.PART_BYTES_MAX:
            payload = parts[0] if len(parts) == 1 else b"".join(parts)
            frame = b"".join(
                (
                    wire.SUBMIT_FRAME.pack(1 + 64 + len(tail) + size, wire.SUBMIT, task_id, head, 0, size),
                    tail,
                    payload,
                )
            )
            task: Deferred[Any] = Deferred(client, session, task_id, frame, len(tail) + size, self._options)
        else:
            if size > wire.PAYLOAD_BYTES_MAX:
                raise CannotTravel(
                    f"the arguments take {size} bytes, more than the {wire.PAYLOAD_BYTES_MAX} that one task may have"
                )
            frame = wire.SUBMIT_FRAME.pack(1 + 64 + len(tail), wire.SUBMIT, task_id, head, 0, size) + tail
            task = Deferred(client, session, task_id, frame, len(tail) + size, self._options)
            task._parts = [_lasting(part, is_waited_for) for part in parts]
        if blobs:
            task._blobs = blobs
        if self._is_notebook:
            task._context = contextvars.copy_context()
        return task

    def _bundle_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Any], set[bytes]]:
        try:
            if self._shared and _names_shared(args, kwargs):
                return shipping.dumps_call(args, kwargs, hash_of)
            return payloads.dumps((args, kwargs))
        except payloads.CannotTravel as problem:
            if self._shared and isinstance(problem.__cause__, SharedElsewhere):
                return self._tell(args, kwargs, hash_of)
            return self._tell(args, kwargs, None)

    def _tell(self, args: tuple[Any, ...], kwargs: dict[str, Any], shared: Any) -> tuple[list[Any], set[bytes]]:
        """The same again, for a sentence that names the argument."""
        try:
            return shipping.dumps_call(args, kwargs, shared)
        except payloads.CannotTravel as problem:
            raise CannotTravel(str(problem)) from problem.__cause__

    def _blobs(self, hashes: Any) -> list[Blob]:
        return [self._shared[one] for one in sorted(hashes)]

    def _keep(self, key: Any, call: Call, context: object = None) -> Call:
        if len(self._kept) >= _KEPT_MAX:
            self._kept.clear()
        # The context is kept, too, so that the number in the key stays its own.
        call.context = context
        self._kept[key] = call
        return call

    def _make(self, runtime: int, codec: int, blobs: tuple[Blob, ...], meta: dict[str, Any], flags: int) -> Call:
        if len(blobs) > wire.BLOBS_MAX:
            raise OptionError(f"Client: a task may use at most {wire.BLOBS_MAX - 1} shared values")
        if runtime == wire.PYTHON and self._environment.meta is not None:
            meta = {**meta, "environment": self._environment.meta}
            blobs = (*blobs, *self._environment.blobs)
        if self._options.label is not None:
            meta = {**meta, "label": self._options.label}
        if self._folder is not None:
            meta = {**meta, "folder": self._folder}
        text = wire.to_json(meta)
        head = self._options.call(runtime, codec, len(blobs), len(text), flags)
        return Call(head, b"".join(blob.hash for blob in blobs) + text, blobs, codec)


def _folder() -> str | None:
    """The folder of this program, in which its tasks start where a worker has it."""
    try:
        folder = os.getcwd()
        folder.encode()
    except (OSError, UnicodeEncodeError):
        return None
    return folder if len(folder) <= _FOLDER_MAX else None


def share(value: Any) -> Shared[Any]:
    """The handle of a value whose bundle is a blob. Raises CannotTravel."""
    try:
        parts, _ = payloads.dumps(value)
    except payloads.CannotTravel as problem:
        raise CannotTravel(f"the value cannot be shared: {problem}") from problem.__cause__
    return Shared(value, _blob([_lasting(part, False) for part in parts]))


def _blob(parts: list[Any]) -> Blob:
    views = [memoryview(part).cast("B") for part in parts]
    digest = hashlib.sha256()
    for view in views:
        digest.update(view)
    size = sum(view.nbytes for view in views)
    if size > wire.PAYLOAD_BYTES_MAX:
        raise CannotTravel(f"the value takes {size} bytes, more than the {wire.PAYLOAD_BYTES_MAX} that a blob may have")
    return Blob(digest.digest(), views, size)


def _lasting(part: Any, is_waited_for: bool) -> memoryview:
    """A part that does not change before it is sent: the caller may go on, and so may what it writes into its array."""
    view = memoryview(part).cast("B")
    return view if view.readonly or is_waited_for else memoryview(bytes(view))


def _names_shared(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    for value in args:
        if type(value) is Shared:
            return True
    return bool(kwargs) and any(type(value) is Shared for value in kwargs.values())


def _json_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    if kwargs:
        raise CannotTravel(f"a task by name takes no keyword arguments, and got {', '.join(sorted(kwargs))}")
    try:
        return json_dumps(args, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as problem:
        raise CannotTravel(f"the arguments of a task by name must be plain data (JSON): {problem}") from None
