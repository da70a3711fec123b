"""The life of one runner process: sends READY, runs one task after another, sends the outcome of each.

It decides nothing about retries or limits. Whatever ends the process, the worker reports.
"""

from __future__ import annotations

import builtins
import faulthandler
import gc
import os
import struct
import sys
import time

from .._code import payloads
from .family import Family
from .leases import PREFETCHED, LeasePipe
from .code import Blobs, Metas, check_version
from . import current
from .channel import BLOB, NEED_BLOB, OUTPUT_TAKEN, PART_BYTES_MAX, READY, RUN, RUN_HEAD_BYTES, Closed, WorkerChannel
from .leftovers import Leftovers
from .logs import Logs
from .modules import RemoteModules
from .process import Handles, end, end_forked, end_soon, print_error, set_title, status_of
from .reset import Reset

TYPE_CHECKING = False  # As in typing.
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from .channel import Message

#: id, attempt, flags, codec, blob_count, meta_length.
_RUN_HEAD = struct.Struct(">24sIH8xBB8xI")
#: id and attempt, status, codec, flags, run_us, meta_length.
_OUTCOME_HEAD = struct.Struct(">28sBBHQI")
_OK, _ERROR = 0, 1
#: In the flags of an OUTCOME: this process exits after it.
_LEAVES = 0x0001
_CODEC_JSON = 1
PAYLOAD_BYTES_MAX = 1 << 30
#: As it is before a task replaces it.
_getpid = os.getpid


class Runner:
    """The program that executes tasks."""

    def __init__(self, handles: Handles) -> None:
        os.set_inheritable(handles.channel, False)
        self._process = os.getpid()
        self._is_forked = handles.wait is not None
        self._channel = WorkerChannel(handles.channel)
        self._leases = LeasePipe(self._channel, handles.leases)
        self._family = Family()
        self._blobs = Blobs()
        current.blob = self._blobs.text
        self._metas = Metas()
        self._modules = RemoteModules(self._channel, self._family)
        if not os.environ.pop("ARGON_NO_REMOTE_MODULES", None):
            self._modules.install()
        self._logs = Logs(self._modules)
        self._reset = Reset()
        self._leftovers = Leftovers(handles.wait)
        self._report = b""
        set_title("argon runner")
        # The last output of a task that ends in a segmentation fault then shows where.
        faulthandler.enable()

    def run(self) -> NoReturn:
        """Serves until the socket is closed, then ends the process with status 0."""
        version = ".".join(map(str, sys.version_info[:3]))
        claims = "true" if self._leases.can_claim else "false"
        ready = f'{{"runtime":"python","version":"{version}","pid":{self._process},"claims":{claims}}}'
        self._channel.send(READY, ready.encode())
        if not self._is_forked:
            # A template has collected, and a collection here would unshare its memory.
            gc.collect()
        gc.freeze()
        try:
            while True:
                message = self._channel.next()
                if message[0] == RUN:
                    self._run(message)
                else:
                    self._on_message(message)
        except Closed:
            end(0)
        except SystemExit as exit:
            end(status_of(exit))
        except BaseException:
            sys.excepthook(*sys.exc_info())
            end(1)

    def _on_message(self, message: Message) -> None:
        if message[0] == BLOB:
            self._keep_blob(message)
        elif message[0] == OUTPUT_TAKEN:
            self._leases.output_taken()
        else:
            raise ValueError(f"argon runner: a message of kind {message[0]:#x} is not for a runner")

    def _keep_blob(self, message: Message) -> None:
        _, head, payload = message
        if len(payload) <= PART_BYTES_MAX:
            # Memory of its own, in which arrays lie well.
            payload = memoryview(bytes(payload))
        self._blobs.keep(bytes(head[:32]), payload)

    def _run(self, message: Message) -> None:
        payload = message.pop()
        head = message[1]
        number, attempt, flags, codec, blob_count, meta_length = _RUN_HEAD.unpack_from(head)
        if flags & PREFETCHED and not self._leases.claim():
            return
        about = bytes(head[:28])
        meta_begin = RUN_HEAD_BYTES + 32 * blob_count
        names = _names(head, meta_begin) if blob_count else _NO_NAMES
        meta = self._metas.read(bytes(head[meta_begin : meta_begin + meta_length]))
        if names and not self._blobs.has_all(names):
            self._fetch_blobs(names)
        # The first bytes of a session name its family: the client and the clients of its tasks.
        self._enter(number[:8], meta)
        self._reset.task(number.hex(), attempt)
        self._reset.start_in(meta.get("folder"))
        if "traceparent" in meta:
            self._reset.enter_trace(meta)
        self._modules.begin(about)
        self._logs.begin(meta)
        status, run_us, result = self._execute(meta, names, codec, payload)
        del payload
        if current.at_end:
            current.end()
        self._reset.restore()
        self._modules.keep_place()
        leaves = self._leftovers.look()
        report = self._about() if status else b""
        with self._modules.lock:
            self._logs.send_waiting()
            self._modules.end()
            outcome = _OUTCOME_HEAD.pack(about, status, codec, _LEAVES if leaves else 0, run_us, len(report))
            self._channel.send_outcome(self._leases.output_left(), outcome, report, result)
        if leaves:
            end_soon(0)

    def _execute(
        self, meta: dict[str, Any], names: list[bytes], codec: int, payload: memoryview
    ) -> tuple[int, int, list[Any]]:
        """Runs the task: its status, how long it took, the payload of its outcome."""
        begun = time.perf_counter_ns()
        status = _OK
        try:
            function, args, kwargs = self._prepare(meta, names, codec, payload)
            del payload
            self._leftovers.begin()
            # Functions that look at their caller's module (namedtuple, TypeVar) find a main program's.
            value = _FUNCTION(_CALL, {"__name__": "__main__", "__builtins__": builtins})(function, args, kwargs)
            self._quiet()
            ended = time.perf_counter_ns()
            if _getpid() != self._process:
                end_forked(None)
            result = self._encode(value, codec)
        except SystemExit:
            raise
        except BaseException as error:
            ended = time.perf_counter_ns()
            status = _ERROR
            self._quiet()
            if _getpid() != self._process:
                end_forked(error)
            self._end_if_out_of_memory(error)
            result = self._failure(error, codec, len(names) > 1 or (bool(names) and "call" in meta))
        return status, (ended - begun) // 1000, result

    def _quiet(self) -> None:
        # Only these modules set handlers and timers.
        if "signal" in sys.modules:
            self._leftovers.quiet()
        self._reset.quiet()

    def _enter(self, number: bytes, meta: dict[str, Any]) -> None:
        current.generation = meta.get("modules", 0)
        current.environment = meta.get("environment")
        is_other = self._family.enter(number, current.generation)
        self._modules.take_own(meta)
        if is_other:
            self._metas.forget_functions()
            self._blobs.forget_values()

    def _fetch_blobs(self, names: list[bytes]) -> None:
        missing = self._blobs.missing(names)
        unsent = [name for name in missing if not self._channel.is_coming(name)]
        if unsent:
            self._channel.send(NEED_BLOB, *unsent)
        while missing:
            self._keep_blob(self._channel.next_of(BLOB))
            missing = self._blobs.missing(names)
        self._blobs.shrink(names)

    def _prepare(self, meta: dict[str, Any], names: list[bytes], codec: int, payload: memoryview) -> Any:
        check_version(meta)
        if names and "call" not in meta:
            lookup = self._blobs.value if len(names) > 1 else None
            is_constant = meta.get("constant") is True
            if is_constant:
                function = _read("the code", self._blobs.constant, names[0])
            else:
                function = _read("the code", self._blobs.callable, names[0], lookup)
        else:
            lookup = self._blobs.value if names else None
            function = self._metas.function(meta)
        if codec == _CODEC_JSON:
            import json

            args = json.loads(bytes(payload))
            if type(args) is not list:
                raise RuntimeError("the JSON payload of a task is an array of arguments")
            return function, args, {}
        if len(payload) <= PART_BYTES_MAX and not payloads.is_one_part(payload):
            # Arrays stay where they arrived: let that be a well aligned place.
            payload = memoryview(bytearray(payload))
        args, kwargs = _read("an argument", payloads.loads, payload, lookup)
        return function, args, kwargs

    def _encode(self, value: Any, codec: int) -> list[Any]:
        if codec == _CODEC_JSON:
            return [_json_of(value)]
        payload = payloads.plain(value)
        if payload is None:
            from . import results

            payload = results.returned(value)
        size = sum(map(len, payload))
        if size > PAYLOAD_BYTES_MAX:
            raise TypeError(f"what the task returned takes {size} bytes, more than the {PAYLOAD_BYTES_MAX} allowed")
        return payload

    def _end_if_out_of_memory(self, error: BaseException) -> None:
        """Beyond its memory limit a process is of no use: the task has died. Without a limit, it asked for too much."""
        if isinstance(error, MemoryError):
            import resource

            if resource.getrlimit(resource.RLIMIT_DATA)[0] != resource.RLIM_INFINITY:
                print_error(error)
                end(1)

    def _failure(self, error: BaseException, codec: int, has_shared: bool) -> list[Any]:
        from . import failures

        try:
            return failures.payload(error, codec == _CODEC_JSON, has_shared)
        except SystemExit:
            raise
        except BaseException as trouble:
            return failures.payload_of_last_resort(error, trouble, codec == _CODEC_JSON)

    def _about(self) -> bytes:
        """The report of an ``error``: where it was. What was raised is the payload."""
        if not self._report:
            import json

            about = {"message": "the task raised an exception", "pid": self._process}
            worker = os.environ.get("ARGON_WORKER")
            self._report = json.dumps({**about, "worker": worker} if worker else about).encode()
        return self._report


def _call(function: Any, args: Any, kwargs: Any) -> Any:
    return function(*args, **kwargs)


def _names(head: bytearray, end: int) -> list[bytes]:
    """The hashes of the blobs that a RUN names."""
    return [bytes(head[begin : begin + 32]) for begin in range(RUN_HEAD_BYTES, end, 32)]


_NO_NAMES: list[bytes] = []
_CALL = _call.__code__
_FUNCTION: Any = type(_call)


def _read(what: str, read: Any, *parts: Any) -> Any:
    """Reads a part of a task. What a class raises while it is made again is not an error of the task."""
    try:
        return read(*parts)
    except Exception as error:
        is_told = isinstance(error, (ImportError, MemoryError, RuntimeError, payloads.CannotTravel))
        if is_told and not isinstance(error, RecursionError):
            # A module that is missing here, and what is said in words already.
            raise
        text = f"{what} cannot travel: it cannot be made again on the worker ({type(error).__name__}: {error})"
        raise TypeError(text) from error


def _json_of(value: Any) -> bytes:
    import json

    try:
        return json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"what the task returned cannot be written as JSON: {error}") from None


def main() -> NoReturn:
    """Serves as a template first, if the worker wants one; then as a runner."""
    if os.environ.pop("ARGON_TEMPLATE", None):
        from .template import Template

        handles = Template().run()
    else:
        handles = Handles.of_environment()
    Runner(handles).run()
