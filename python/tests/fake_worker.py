"""The socket of a worker as a task sees it, for tests of clients in tasks: it answers each task, and notes the frames."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import tempfile
import threading
import time
from typing import Any, Callable

from argon._code import payloads
from argon._wire import protocol as wire

TOKEN = "ab" * 16
TASK = "11" * 8 + "22" * 8 + f"{7:016x}"


class FakeWorker:
    """Answers CHILD with CREDIT, and each SUBMIT with what `answer` gives after `pause` seconds."""

    def __init__(self, monkeypatch: Any) -> None:
        # Not in the folder of a test, whose name may be too long for the address of a socket.
        self._folder = tempfile.mkdtemp(prefix="argon-")
        self.path = os.path.join(self._folder, "socket")
        self.frames: list[tuple[int, bytes]] = []
        self.answer: Callable[[int], Any] = lambda number: number
        self.pause = 0.05
        self.refusals: list[dict[str, str]] = []
        self.connections = 0
        self.held = threading.Event()
        self.held.set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._monkeypatch = monkeypatch
        self.enter(TASK)
        threading.Thread(target=self._accept, daemon=True).start()

    def enter(self, task: str) -> None:
        """Lets this process be the task's."""
        values = {"WORKER_SOCKET": self.path, "TASK_TOKEN": TOKEN, "TASK_ID": task, "ATTEMPT": "1"}
        for name, value in values.items():
            self._monkeypatch.setenv(f"ARGON_{name}", value)

    def close(self) -> None:
        self._listener.close()
        shutil.rmtree(self._folder)

    def kinds(self) -> list[int]:
        return [kind for kind, _ in list(self.frames)]

    def waits(self) -> list[int]:
        """What WAITS said, in order."""
        return [body[0] for kind, body in list(self.frames) if kind == wire.WAITS]

    def first(self, kind: int) -> Any:
        return json.loads(next(body for one, body in self.frames if one == kind))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        buffer = b""
        with connection:
            while True:
                more = connection.recv(65536)
                if not more:
                    return
                buffer += more
                while len(buffer) > 4 and len(buffer) >= 4 + int.from_bytes(buffer[:4], "big"):
                    end = 4 + int.from_bytes(buffer[:4], "big")
                    frame, buffer = buffer[:end], buffer[end:]
                    self.frames.append((frame[4], frame[5:]))
                    if not self._take(connection, frame):
                        return

    def _take(self, connection: socket.socket, frame: bytes) -> bool:
        if frame[4] == wire.CHILD:
            if self.refusals:
                connection.sendall(wire.json_frame(wire.REFUSED, self.refusals.pop(0)))
                return False
            connection.sendall(wire.frame(wire.CREDIT, wire.CREDIT_BODY.pack(1000, 1 << 26)))
        elif frame[4] == wire.SUBMIT:
            threading.Thread(target=self._end, args=(connection, wire.read_submit(frame)), daemon=True).start()
        elif frame[4] == wire.GOODBYE:
            return False
        return True

    def _end(self, connection: socket.socket, head: wire.TaskHead) -> None:
        time.sleep(self.pause)
        self.held.wait(20)
        payload = b"".join(payloads.dumps(self.answer(int.from_bytes(head.id[16:], "big")))[0])
        fields = wire.OUTCOME, head.id, 1, wire.OK, 0, 0, 5, 0, 0, len(payload)
        with contextlib.suppress(OSError):
            connection.sendall(wire.OUTCOME_FRAME.pack(57 + len(payload), *fields) + payload)
