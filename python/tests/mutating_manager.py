#!/usr/bin/env python3
"""A manager that lies: a proxy between clients and a real manager, which changes what the manager sends.

    mutating_manager.py --manager HOST:PORT --seed N

It prints the port that it listens on, and serves until its standard input ends. Every session that connects gets the
next seed, and so a plan of its own: which frames are changed, what is put between them, when the connection is cut. The
first connections of a session are changed and cut, later ones are passed through, so that every session can end. Used
by the tests of all client languages; needs only the standard library and nothing of the package.

A seed that is divisible by 3 is *honest about outcomes*: frames of other kinds are changed, and hostile ones are put
between them, but no outcome, ticket or question is. Its clients must get every value, and every value right.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import socket
import struct
import sys
import threading
import time

HELLO, CHALLENGE, WELCOME, REFUSED = 0x01, 0x02, 0x04, 0x05
PING, GOODBYE, OPEN, REPLY, ACCEPTED, CREDIT = 0x08, 0x0A, 0x10, 0x17, 0x18, 0x19
NEED_BLOB, CHUNK, OUTCOME, OUTPUT, ASK = 0x21, 0x22, 0x33, 0x38, 0x3C

# Outcomes, what they are collected with, and what tasks ask for before they have one.
TRUE_IF_HONEST = (OUTCOME, CHUNK, ACCEPTED, ASK)

CHANGED_CONNECTIONS = 3
FRAMES_MAX = 60
LIFE_S = 1.0
WAIT_S = 60.0


def frame(kind: int, body: bytes) -> bytes:
    """One frame."""
    return struct.pack(">IB", 1 + len(body), kind) + body


def outcome(task: bytes, stream: int, length: int, part: bytes = b"", report: bytes = b"", status: int = 0) -> bytes:
    """An OUTCOME frame."""
    head = struct.pack(">24sIBBHQIIQ", task, 1, status, 0, 0, 7, len(report), stream, length)
    return frame(OUTCOME, head + report + part)


def hostile(chance: random.Random, session: bytes) -> bytes:
    """What a client must survive. It names no task that the session can have."""
    foreign = session[:8] + chance.randbytes(16)
    stream = chance.randrange(1 << 30, 1 << 31)
    deep = b"[" * chance.choice((10, 600, 100_000))
    return chance.choice(
        (
            lambda: outcome(foreign, stream, 1 << 30, b"x" * 1000),
            lambda: outcome(foreign, stream, 300_000, b"x") + frame(CHUNK, struct.pack(">I", stream)) * 2_000,
            lambda: b"".join(outcome(foreign[:-2] + struct.pack(">H", n), stream + n, 1 << 29) for n in range(500)),
            lambda: outcome(foreign, 0, 1 << 40, b"x"),
            lambda: outcome(foreign, 0, 3, b"abc", b'{"message":"\x1b[31m"}', 2),
            lambda: frame(CHUNK, struct.pack(">I", stream) + b"more"),
            lambda: frame(CHUNK, chance.randbytes(chance.randrange(6))),
            lambda: frame(PING, b"12345678") * 3_000,
            lambda: frame(PING, chance.randbytes(100_000)),
            lambda: frame(REFUSED, b'{"code":"busy","message":"later\x1b[2J"}'),
            lambda: frame(REFUSED, deep),
            lambda: frame(GOODBYE, b'{"reason":["it leaves"]}'),
            lambda: frame(REPLY, deep),
            lambda: frame(REPLY, b'{"request":[1],"ok":true,"waiting":7}'),
            lambda: frame(REPLY, b'{"request":1,"ok":true,"waiting":[7,null,{"code":{}},{"code":"x\x1b"}]}'),
            lambda: frame(ACCEPTED, foreign + bytes(16)),
            lambda: frame(ACCEPTED, chance.randbytes(chance.randrange(90))),
            lambda: frame(CREDIT, struct.pack(">QQ", 0, 0)),
            lambda: frame(CREDIT, b"\xff" * chance.choice((0, 7, 8, 15, 17))),
            lambda: frame(NEED_BLOB, chance.randbytes(32) * 300),
            lambda: frame(NEED_BLOB, chance.randbytes(chance.randrange(40))),
            lambda: frame(OUTPUT, struct.pack(">24sIB", foreign, chance.randrange(1 << 32), 3) + deep),
            lambda: frame(OUTPUT, chance.randbytes(chance.randrange(30))),
            lambda: frame(
                ASK, struct.pack(">24sII", foreign, 1, 1) + b'{"kind":"perl-module","name":"../../etc/passwd"}'
            ),
            lambda: frame(ASK, struct.pack(">24sII", foreign, 1, 2) + deep),
            lambda: frame(chance.randrange(256), chance.randbytes(chance.randrange(200))),
            lambda: struct.pack(">IB", chance.choice((0, 1 << 20, (1 << 20) + 1, (1 << 32) - 1)), chance.randrange(80)),
        )
    )()


def changed(chance: random.Random, data: bytes) -> bytes:
    """Bits, bytes, holes, insertions and telling values, in the body or in the head of a frame."""
    new = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(new) + 1) if chance.random() < 0.5 else chance.randrange(min(len(new), 70) + 1)
        way = chance.randrange(5)
        if way == 0:
            new[at : at + 1] = chance.randbytes(1)
        elif way == 1 and at < len(new):
            new[at] ^= 1 << chance.randrange(8)
        elif way == 2:
            del new[at : at + chance.randrange(8)]
        elif way == 3:
            new[at:at] = chance.randbytes(chance.randrange(6))
        else:
            value = chance.choice((bytes(4), b"\xff" * 4, b"\xff" * 8, b"\0\0\0\1", b"\0\x10\0\0", b"[", b'"'))
            new[at : at + len(value)] = value
    if chance.random() < 0.7 and len(new) > 4:
        # The length of what is there: the change is not found at once by a frame that never ends.
        new[:4] = struct.pack(">I", len(new) - 4)
    return bytes(new)


class Plan:
    """What happens to the sessions, by their ids; and which seed each has."""

    def __init__(self, seed: int):
        self._next = seed
        self._of_session: dict[bytes, list[int]] = {}
        self._lock = threading.Lock()

    def connection(self, session: bytes) -> random.Random | None:
        """The chance of the next connection of a session; None if that is passed through."""
        with self._lock:
            entry = self._of_session.get(session)
            if entry is None:
                entry = self._of_session[session] = [self._next, 0]
                self._next += 1
            entry[1] += 1
            if entry[1] > CHANGED_CONNECTIONS:
                return None
            chance = random.Random(entry[0] * 1000 + entry[1])
            chance.is_honest = entry[0] % 3 == 0  # type: ignore[attr-defined]
            return chance


class Connection:
    """One connection of a client, and that to the manager beside it."""

    def __init__(self, plan: Plan, client: socket.socket, manager: tuple[str, int]):
        self._plan = plan
        self._client = client
        self._manager = socket.create_connection(manager, WAIT_S)
        for one in (client, self._manager):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.settimeout(WAIT_S)
        self._opened = threading.Event()
        self._session = b""

    def serve(self) -> None:
        """Both ways, until one ends."""
        threading.Thread(target=self._to_manager, daemon=True).start()
        with contextlib.suppress(OSError, EOFError):
            self._to_client()
        self.close()

    def close(self) -> None:
        for one in (self._client, self._manager):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _to_manager(self) -> None:
        """Passes on what the client says, and finds the id of its session."""
        seen = b""
        with contextlib.suppress(OSError):
            while data := self._client.recv(1 << 18):
                if not self._opened.is_set():
                    seen += data
                    self._look_for_open(seen)
                self._manager.sendall(data)
        self._opened.set()
        with contextlib.suppress(OSError):
            self._manager.shutdown(socket.SHUT_WR)

    def _look_for_open(self, seen: bytes) -> None:
        at = 4
        while at + 5 <= len(seen):
            length, kind = struct.unpack_from(">IB", seen, at)
            if at + 4 + length > len(seen):
                return
            if kind == OPEN:
                self._session = bytes.fromhex(json.loads(seen[at + 5 : at + 4 + length])["session"])
                self._opened.set()
            at += 4 + length

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._manager.recv(count - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def _frame(self) -> bytes:
        head = self._exactly(4)
        return head + self._exactly(struct.unpack(">I", head)[0])

    def _to_client(self) -> None:
        while True:
            data = self._frame()
            self._client.sendall(data)
            if data[4] == WELCOME:
                break
        self._opened.wait(WAIT_S)
        if not self._session:
            return  # The client has left before it named its session, which takes no seed.
        chance = self._plan.connection(self._session)
        if chance is not None:
            self._lie(chance)
            return
        while data := self._manager.recv(1 << 18):
            self._client.sendall(data)

    def _lie(self, chance: random.Random) -> None:
        """Changes frames and puts others between them, then cuts the connection."""
        is_honest = chance.is_honest  # type: ignore[attr-defined]
        end = time.monotonic() + chance.uniform(0.1, LIFE_S)
        self._manager.settimeout(0.05)
        for _ in range(chance.randrange(FRAMES_MAX)):
            if chance.random() < 0.15:
                self._client.sendall(hostile(chance, self._session))
            data = self._frame_before(end)
            if data is None:
                return
            is_outcome = data[4] in TRUE_IF_HONEST
            if chance.random() < 0.25 and not (is_honest and is_outcome):
                data = changed(chance, data)
                if is_honest and len(data) > 4 and data[4] in TRUE_IF_HONEST:
                    return
            if chance.random() < 0.1:
                data += data
            if chance.random() < 0.1:
                self._client.sendall(data[: chance.randrange(len(data))])
                return
            self._client.sendall(data)

    def _frame_before(self, end: float) -> bytes | None:
        """The manager's next frame; None if the connection is to be cut."""
        while time.monotonic() < end:
            try:
                first = self._manager.recv(1, socket.MSG_PEEK)
            except TimeoutError:
                continue
            if not first:
                return None
            self._manager.settimeout(WAIT_S)
            try:
                return self._frame()
            finally:
                self._manager.settimeout(0.05)
        return None


def main() -> None:
    """Serves until its standard input ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--manager", required=True)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    host, _, port = given.manager.rpartition(":")
    plan = Plan(given.seed)
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            try:
                connection = Connection(plan, client, (host, int(port)))
            except OSError:
                client.close()
                continue
            threading.Thread(target=connection.serve, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
