"""A runner as a worker would start it, and the worker's side of its socket, for tests."""

from __future__ import annotations

import hashlib
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from argon._code import exceptions, modules, payloads, shipping

RUNNER = Path(shipping.__file__).parent.parent / "_runner"
RUN, OUTCOME, ASK, ANSWER, BLOB, NEED_BLOB, CHUNK, READY, LOG = 0x32, 0x33, 0x3C, 0x3D, 0x20, 0x21, 0x22, 0x40, 0x47
SESSION = bytes(range(16))
LIMIT_S = 20
OUTPUT_LEFT, OUTPUT_TAKEN = 0x41, 0x42
#: In the flags of an OUTCOME: the runner exits after it.
LEAVES = 0x0001


def preamble() -> bytes:
    """What the worker writes before anything else (the same in Rust: `worker/runtime/python.rs`)."""
    names = (RUNNER / "files.txt").read_text().split()
    files = {name: (RUNNER.parent / name).read_text() for name in names}
    program = f"files = {json.dumps(files)}\n{(RUNNER / 'start.py').read_text()}".encode()
    return struct.pack(">I", len(program)) + program


class Ended(Exception):
    """The runner closed its socket."""


class Outcome:
    def __init__(self, body: bytes, payload: bytes) -> None:
        self.id, self.attempt, self.status, self.codec, flags, self.run_us = struct.unpack_from(">24sIBBHQ", body)
        self.leaves = bool(flags & LEAVES)
        length = struct.unpack_from(">I", body, 40)[0]
        self.report = json.loads(body[56 : 56 + length]) if length else None
        self.payload = payload

    @property
    def value(self) -> Any:
        assert self.status == 0, self.failure
        return json.loads(self.payload) if self.codec else payloads.loads(bytearray(self.payload))

    @property
    def failure(self) -> dict[str, Any]:
        assert self.status == 1
        failure = json.loads(self.payload) if self.codec else payloads.loads(self.payload)
        if "exception" in failure:
            failure["exception"] = payloads.loads(failure["exception"])
        elif "parts" in failure:
            failure["exception"] = exceptions.together(payloads.loads(failure["parts"]))
        return failure


class Conversation:
    """The worker's side of a runner's socket."""

    def __init__(self, ours: socket.socket) -> None:
        self.socket = ours
        self.socket.settimeout(LIMIT_S)
        self.buffer = b""
        self.asked: list[str] = []
        self.logged: list[dict[str, Any]] = []
        self.blobs: dict[bytes, bytes] = {}
        self.sent: set[bytes] = set()
        self.sequence = 0
        self.answer = modules.reply

    def call(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """What a function returns in the runner."""
        return self.run(function, args, kwargs).value

    def fails(self, function: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """How it fails there."""
        return self.run(function, args, kwargs).failure

    def run(self, function: Any, args: Any = (), kwargs: Any = None, **more: Any) -> Outcome:
        prepared = shipping.prepare(function)
        buffers, _ = shipping.dumps_call(tuple(args), kwargs or {})
        blobs = [prepared.blob] if prepared.blob is not None else []
        return self.task(prepared.meta, b"".join(buffers), blobs, **more)

    def by_name(self, call: str, *args: Any) -> Outcome:
        """A call from another language."""
        return self.task({"call": call}, json.dumps(args).encode(), codec=1)

    def task(self, meta: Any, payload: bytes, blobs: Any = (), **more: Any) -> Outcome:
        self.send_task(meta, payload, blobs, **more)
        return self.outcome()

    def send_task(
        self,
        meta: Any,
        payload: bytes,
        blobs: Any = (),
        *,
        codec: int = 0,
        session: bytes = SESSION,
        send_blobs: bool = True,
        flags: int = 0,
    ) -> None:
        hashes = []
        for blob in blobs:
            name = hashlib.sha256(blob).digest()
            hashes.append(name)
            self.blobs[name] = blob
            if name not in self.sent and send_blobs:
                self.send_blob(name)
        self.sequence += 1
        text = json.dumps(meta).encode() if not isinstance(meta, bytes) else meta
        stream = self.sequence if len(payload) > 262144 else 0
        head = struct.pack(
            ">16sQIHBBIHBBIIIIQ",
            *(session, self.sequence, 1, flags, 1, 2, 0, 0, codec, len(hashes), 0, 0, len(text), stream, len(payload)),
        )
        self.send(RUN, head + b"".join(hashes) + text, payload, stream)

    def send_blob(self, name: bytes) -> None:
        blob = self.blobs[name]
        self.sent.add(name)
        stream = 1_000_000 + len(self.sent) if len(blob) > 262144 else 0
        self.send(BLOB, name + struct.pack(">IQ", stream, len(blob)), blob, stream)

    def send(self, kind: int, head: bytes, payload: bytes = b"", stream: int = 0) -> None:
        first = b"" if stream else payload
        self.socket.sendall(struct.pack(">IB", 1 + len(head) + len(first), kind) + head + first)
        for begin in range(0, len(payload) if stream else 0, 262144):
            piece = payload[begin : begin + 262144]
            self.socket.sendall(struct.pack(">IBI", 5 + len(piece), CHUNK, stream) + piece)

    def outcome(self) -> Outcome:
        """Serves the runner until the outcome of its task is there. Raises Ended."""
        while True:
            kind, body = self.frame()
            if kind == ASK:
                question = json.loads(body[32:])
                self.asked.append(question["name"])
                is_yes, text = self.answer(body[32:])
                self.send(ANSWER, body[:32] + bytes([0 if is_yes else 1]) + text)
            elif kind == NEED_BLOB:
                for begin in range(0, len(body), 32):
                    self.send_blob(body[begin : begin + 32])
            elif kind == OUTPUT_LEFT:
                # What a worker answers when it has read the pipes.
                self.send(OUTPUT_TAKEN, b"")
            elif kind == LOG:
                self.logged.append(json.loads(body[28:]))
            else:
                assert kind == OUTCOME, kind
                return self._outcome(body)

    def _outcome(self, body: bytes) -> Outcome:
        meta, stream, length = struct.unpack_from(">IIQ", body, 40)
        payload = body[56 + meta :]
        while stream and len(payload) < length:
            kind, chunk = self.frame()
            assert kind == CHUNK and chunk[:4] == stream.to_bytes(4, "big")
            payload += chunk[4:]
        return Outcome(body, payload)

    def frame(self) -> tuple[int, bytes]:
        while len(self.buffer) < 4 or len(self.buffer) < 4 + int.from_bytes(self.buffer[:4], "big"):
            more = self.socket.recv(1 << 20)
            if not more:
                raise Ended
            self.buffer += more
        end = 4 + int.from_bytes(self.buffer[:4], "big")
        frame, self.buffer = self.buffer[4:end], self.buffer[end:]
        return frame[0], frame[1:]


class RunnerProcess(Conversation):
    """Use it in a with statement, or call close."""

    def __init__(
        self,
        python: str = sys.executable,
        flags: list[str] | None = None,
        fds: list[int] | None = None,
        **environment: str,
    ) -> None:
        ours, its_end = socket.socketpair()
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        bootstrap = (RUNNER / "bootstrap.txt").read_text().rstrip("\n")
        self.process = subprocess.Popen(
            [python, *(flags or []), "-c", bootstrap],
            env={**kept, "ARGON_WORKER": "here:1", **environment, "ARGON_RUNNER_FD": str(its_end.fileno())},
            pass_fds=[its_end.fileno(), *(fds or [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        its_end.close()
        super().__init__(ours)
        try:
            self.socket.sendall(preamble())
            kind, body = self.frame()
        except (Ended, OSError):
            raise AssertionError(self.process.communicate(timeout=LIMIT_S)[1].decode()) from None
        assert kind == READY
        self.ready = json.loads(body)

    def __enter__(self) -> RunnerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """Ends the runner as a worker does, and tells its status."""
        self.socket.close()
        try:
            self.process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return self.process.returncode

    def ended(self) -> int:
        """The status of a runner that ends by itself."""
        return self.process.wait(LIMIT_S)

    def printed(self, fd: int, expected: bytes) -> bytes:
        """What came through a pipe, once it ends with what is expected."""
        pipe = self.process.stdout if fd == 1 else self.process.stderr
        assert pipe is not None
        text, until = b"", time.monotonic() + LIMIT_S
        while not text.endswith(expected) and time.monotonic() < until:
            if select.select([pipe], [], [], until - time.monotonic())[0]:
                more = os.read(pipe.fileno(), 65536)
                if not more:
                    break
                text += more
        return text
