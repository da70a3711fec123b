"""A template as a worker would start it, and the worker's side of its socket, for tests."""

from __future__ import annotations

import json
import os
import platform
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from types import TracebackType
from typing import Any

import pytest
from runner_process import LIMIT_S, READY, RUNNER, Conversation, preamble

FORK, FORKED = 0x45, 0x46
#: What a worker passes in ARGON_SYSCALLS.
_SYSCALLS = {
    "x86_64": "recvmsg:47,clone:56,prctl:157",
    "aarch64": "recvmsg:212,clone:220,prctl:167",
}
SYSCALLS = _SYSCALLS.get(platform.machine(), "")
needs_templates = pytest.mark.skipif(not SYSCALLS, reason="workers use templates on 64-bit Linux only")
#: FIONREAD of Linux.
_FIONREAD = str(0x541B)


class TemplateProcess:
    """Use it in a with statement, or call close."""

    def __init__(self, python: str = sys.executable, **environment: str) -> None:
        self.socket, its_end = socket.socketpair()
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        bootstrap = (RUNNER / "bootstrap.txt").read_text().rstrip("\n")
        read_end, write_end = os.pipe()
        with open(os.devnull, "r+b") as nothing:
            self.process = subprocess.Popen(
                [python, "-c", bootstrap],
                env={
                    **kept,
                    "ARGON_WORKER": "here:1",
                    "ARGON_TEMPLATE": "1",
                    "ARGON_SYSCALLS": SYSCALLS,
                    "ARGON_FIONREAD": _FIONREAD,
                    **environment,
                    "ARGON_RUNNER_FD": str(its_end.fileno()),
                },
                pass_fds=[its_end.fileno()],
                stdin=nothing,
                stdout=nothing,
                stderr=write_end,
                start_new_session=True,
            )
        os.close(write_end)
        its_end.close()
        self._errors = read_end
        self.socket.settimeout(LIMIT_S)
        self._buffer = b""
        self._runners = 0
        try:
            self.socket.sendall(preamble())
            kind, body = self._frame()
        except (EOFError, OSError):
            errors = self.errors()
            self.close()
            raise AssertionError(errors) from None
        assert kind == READY
        self.ready = json.loads(body)

    def __enter__(self) -> TemplateProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> int:
        """Ends it as a worker does, and returns its status."""
        self.socket.close()
        try:
            return self.process.wait(LIMIT_S)
        finally:
            self.process.kill()
            os.close(self._errors)

    def errors(self) -> str:
        """Everything that it writes to its standard error, to the end."""
        text = b""
        while select.select([self._errors], [], [], LIMIT_S)[0]:
            more = os.read(self._errors, 65536)
            if not more:
                break
            text += more
        return text.decode()

    def fork(self, token: bytes = bytes(16)) -> ForkedRunner:
        """A new runner, which has sent READY."""
        return self.answered(self.request(token))

    def request(self, token: bytes = bytes(16)) -> Ends:
        """Sends FORK; `answered` waits for its answer."""
        self._runners += 1
        ends = Ends(self._runners)
        body = struct.pack(">IBQ16s", 25, FORK, ends.runner, token)
        socket.send_fds(self.socket, [body], ends.theirs)
        for descriptor in ends.theirs:
            os.close(descriptor)
        return ends

    def answered(self, ends: Ends) -> ForkedRunner:
        kind, body = self._frame()
        runner, pid = struct.unpack_from(">QI", body)
        assert (kind, runner) == (FORKED, ends.runner)
        assert pid, os.strerror(struct.unpack_from(">I", body, 12)[0])
        return ForkedRunner(ends, pid)

    def _frame(self) -> tuple[int, bytes]:
        while len(self._buffer) < 4 or len(self._buffer) < 4 + int.from_bytes(self._buffer[:4], "big"):
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self._buffer += more
        end = 4 + int.from_bytes(self._buffer[:4], "big")
        frame, self._buffer = self._buffer[4:end], self._buffer[end:]
        return frame[0], frame[1:]


class Ends:
    """The worker's ends, and those of a runner that is about to be forked."""

    def __init__(self, runner: int) -> None:
        self.runner = runner
        self.channel, its_end = socket.socketpair()
        # The worker holds the read end of the leases, too.
        self.lease_reader, self.leases = os.pipe()
        os.set_blocking(self.lease_reader, False)
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        self.theirs = [its_end.detach(), os.dup(self.lease_reader), stdout, stderr]


class ForkedRunner(Conversation):
    """A runner that a template forked: a child of this process, as it would be the worker's."""

    def __init__(self, ends: Ends, pid: int) -> None:
        self._ends = ends
        self.pid = pid
        super().__init__(ends.channel)
        kind, body = self.frame()
        assert kind == READY
        self.ready = json.loads(body)

    def __enter__(self) -> ForkedRunner:
        return self

    def __exit__(self, kind: type | None, error: object, traceback: TracebackType | None) -> None:
        self.close()

    def close(self) -> int:
        """Ends it as a worker does, and returns its status."""
        self.socket.close()
        try:
            return self.ended()
        finally:
            self.release()

    def release(self) -> None:
        """Closes the worker's ends."""
        self.socket.close()
        for descriptor in (self._ends.leases, self._ends.lease_reader, self._ends.stdout, self._ends.stderr):
            os.close(descriptor)

    def ended(self) -> int:
        """The exit status of a runner that ends by itself; minus the signal."""
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.002)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError("the runner did not end")

    def output(self, descriptor: int) -> Any:
        return {1: self._ends.stdout, 2: self._ends.stderr}[descriptor]
