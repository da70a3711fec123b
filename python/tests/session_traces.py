"""Reads, plays and compares the traces of `spec/traces/session`, whose grammar is in `spec/traces.md`.

`Player` owns a session of this package: it plays the inputs, on a socket whose other end it holds and with a clock that
it sets, and gives what the session did, in the words of the trace.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from argon import errors
from argon._session.options import Options
from argon._session.reconnect import Reconnect
from argon._session.session import Session
from argon._session.task import Blob, Task
from argon._session.thread import SessionThread
from argon._wire import protocol as wire
from argon._wire.connection import Connection
from argon._wire.trust import Trust

_STEP_S = 0.01
_CREDIT_TASKS, _CREDIT_BYTES = 100, 10_000
_FOREIGN = b"\xee" * 16
_TOKEN = b"\xdd" * wire.TOKEN_BYTES
_LINE = re.compile(r"(user|manager|network|time|client) +(\S.*)")
_IN_ORDER = ("OPEN", "BLOB", "SUBMIT", "OFFERED", "CANCEL", "GOODBYE", "hangs")
_PLAIN = {wire.OPEN: "OPEN", wire.OFFERED: "OFFERED", wire.PONG: "PONG", wire.GOODBYE: "GOODBYE"}
# Frames of several ids: their word, and the bytes of an id with what belongs to it.
_OF_IDS = {wire.ACK: ("ACK", 24), wire.CANCEL: ("CANCEL", 24), wire.COLLECT: ("COLLECT", 40)}


class Step(NamedTuple):
    """An input and what must follow it."""

    line: int
    input: str
    effects: list[str]


def read(path: Path) -> list[Step]:
    """The steps of a trace."""
    steps: list[Step] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        assert found, f"{path.name}:{number}: not a line of a trace: {line}"
        actor, words = found.groups()
        if actor != "client":
            steps.append(Step(number, f"{actor} {words}", []))
        else:
            steps[-1].effects.append(words)
    assert steps, f"{path.name} has no steps"
    return steps


class Comparison:
    """What was acknowledged on this connection, and has no line yet."""

    def __init__(self) -> None:
        self._acknowledged: set[str] = set()
        self._may: set[str] = set()

    def wrong(self, expected: list[str], effects: list[str]) -> list[str]:
        """What is wrong with the effects of one input."""
        done, found = list(effects), []
        for effect in expected:
            pattern = effect.removesuffix("?")
            if not self._take(pattern, pattern != effect, done) and pattern == effect:
                found.append(f"the client did not: {effect}")
        self._acknowledge(done, len(done))
        return found + [f"the client did, and the trace does not have it: {effect}" for effect in done]

    def unnamed(self) -> list[str]:
        """The connection, or the trace, is over: what was acknowledged that has no line."""
        unnamed = sorted(self._acknowledged - self._may)
        self._acknowledged, self._may = set(), set()
        return [f"it acknowledged {name}, and no line has ACK {name}" for name in unnamed]

    def _take(self, pattern: str, is_optional: bool, done: list[str]) -> bool:
        word = pattern.split(maxsplit=1)[0]
        after = next((at for at, effect in enumerate(done) if effect.split(maxsplit=1)[0] in _IN_ORDER), len(done))
        if word == "ACK":
            name = pattern.split()[1]
            self._acknowledge(done, after)
            if is_optional:
                self._may.add(name)
            is_found = name in self._acknowledged
            self._acknowledged.discard(name)
            return is_found
        places = [after] if word in _IN_ORDER else range(len(done))
        at = next((at for at in places if at < len(done) and _fits(pattern, done[at])), None)
        if at is None:
            return False
        del done[at]
        if word in _IN_ORDER:
            self._acknowledge(done, at)
        return True

    def _acknowledge(self, done: list[str], count: int) -> None:
        """Takes the acknowledgements out of the first effects."""
        self._acknowledged.update(effect.split()[1] for effect in done[:count] if effect.startswith("ACK "))
        done[:count] = [effect for effect in done[:count] if not effect.startswith("ACK ")]


def _fits(pattern: str, effect: str) -> bool:
    """Whether the effect is one of those that `gives a cancelled|closed` allows."""
    *before, last = pattern.split()
    return any(" ".join([*before, word]) == effect for word in last.split("|"))


class Player:
    """A session, its user, its manager and its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self._now = 1_000_000.0
        for name, module in list(sys.modules.items()):
            if name.startswith("argon.") and hasattr(module, "monotonic"):
                monkeypatch.setattr(module, "monotonic", lambda: self._now)
        self._session = Session(Reconnect([("127.0.0.1", 1)], None, None, Trust()), True, None)
        self._session.printer.write = lambda _: None  # type: ignore[method-assign]
        self._thread = self._session.leader._thread = _NoThread(self._session, self._session.leader)
        self._onlooker = Task(None, self._session, b"", b"", 0, Options())
        self._socket: socket.socket | None = None
        self._unwritten = self._unread = b""
        self._ids: dict[str, bytes] = {}
        self._blobs: dict[bytes, str] = {}
        self._tasks: dict[str, tuple[Task, str]] = {}
        self._given: set[str] = set()
        self._numbers: dict[str, int] = {}
        self._done: list[str] = []

    def play(self, given: str) -> list[str]:
        """Plays an input; what the session did."""
        self._done = []
        actor, word, *words = given.split()
        if actor == "time":
            self._pass(float(word.rstrip("s")))
        else:
            plain = [word for word in words if "=" not in word or word.startswith("blob=")]
            named = dict(word.split("=") for word in words if word not in plain)
            getattr(self, f"_{actor}_{word.lower()}")(plain, named)
            self._settle()
        return self._done

    def close(self) -> None:
        """Ends the session and gives its sockets back."""
        self._session.close()
        if self._socket is not None:
            self._socket.close()

    def _network_connect(self, _: list[str], named: dict[str, str]) -> None:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        self._socket, self._unwritten, self._unread = ours, b"", b""
        tasks, size = int(named.get("tasks", _CREDIT_TASKS)), int(named.get("bytes", _CREDIT_BYTES))
        with self._session.lock:
            granted = {"credit_tasks": tasks, "credit_bytes": size, "incarnation": "0a" * 16}
            self._session.opened(Connection(theirs, "the trace"), granted)

    def _network_loss(self, _: list[str], __: dict[str, str]) -> None:
        assert self._socket is not None
        self._socket.close()
        self._socket = None

    def _user_submit(self, words: list[str], named: dict[str, str]) -> None:
        name, blobs = words[0], [word[5:] for word in words if word.startswith("blob=")]
        task_id = self._ids[name] = self._session.next_id()
        flags = wire.DETACHED if "detached" in words else 0
        options = Options(wait="once" not in words, never_twice="never_twice" in words)
        payload = b"x" * int(named.get("bytes", 1))
        tail = b"".join(_hash(blob) for blob in blobs) + payload
        call = options.call(wire.PYTHON, wire.CODEC_RUNTIME, len(blobs), 0, flags)
        frame = wire.SUBMIT_FRAME.pack(65 + len(tail), wire.SUBMIT, task_id, call, 0, len(payload)) + tail
        task = Task(None, self._session, task_id, frame, len(tail), options)
        task._blobs = tuple(Blob(_hash(blob), [memoryview(blob.encode())], len(blob)) for blob in blobs)
        self._blobs.update((_hash(blob), blob) for blob in blobs)
        self._tasks[name] = task, "accepted" if flags else "ok"
        self._session.offer(task)

    def _user_cancel(self, words: list[str], _: dict[str, str]) -> None:
        self._session.cancel(self._tasks[words[0]][0])

    _user_leave = _user_cancel

    def _user_collect(self, words: list[str], _: dict[str, str]) -> None:
        task_id = self._id(words[2])
        task = Task(None, self._session, task_id, wire.frame(wire.COLLECT, task_id + _TOKEN), 0, Options())
        self._tasks[words[0]] = task, "ok"
        self._session.collect(task)

    def _user_request(self, words: list[str], _: dict[str, str]) -> None:
        self._tasks[words[0]] = self._session.request("status"), "reply"

    def _user_close(self, _: list[str], __: dict[str, str]) -> None:
        self._session.close()

    def _manager_outcome(self, words: list[str], named: dict[str, str]) -> None:
        status, attempt = wire.STATUS_NAMES.index(words[1]), int(named.get("attempt", 1))
        self._send(wire.OUTCOME_FRAME.pack(57, wire.OUTCOME, self._id(words[0]), attempt, status, 0, 0, 7, 0, 0, 0))

    def _manager_accepted(self, words: list[str], _: dict[str, str]) -> None:
        self._send(wire.frame(wire.ACCEPTED, self._id(words[0]) + _TOKEN))

    def _manager_need_blob(self, words: list[str], _: dict[str, str]) -> None:
        self._send(wire.frame(wire.NEED_BLOB, _hash(words[0])))

    def _manager_ping(self, _: list[str], __: dict[str, str]) -> None:
        self._send(wire.frame(wire.PING, b"12345678"))

    def _manager_goodbye(self, _: list[str], __: dict[str, str]) -> None:
        self._send(wire.json_frame(wire.GOODBYE, {"reason": "it leaves"}))

    def _manager_refused(self, words: list[str], _: dict[str, str]) -> None:
        self._send(wire.json_frame(wire.REFUSED, {"code": words[0], "message": "no"}))

    def _manager_reply(self, words: list[str], _: dict[str, str]) -> None:
        self._send(wire.json_frame(wire.REPLY, {"request": self._numbers[words[0]], "ok": True}))

    def _manager_credit(self, _: list[str], named: dict[str, str]) -> None:
        self._send(wire.frame(wire.CREDIT, wire.CREDIT_BODY.pack(int(named["tasks"]), int(named["bytes"]))))

    def _manager_output(self, words: list[str], named: dict[str, str]) -> None:
        head = wire.OUTPUT_HEAD.pack(self._id(words[0]), int(named["attempt"]), 1)
        self._send(wire.frame(wire.OUTPUT, head + b"x" * int(named["bytes"])))

    def _manager_ask(self, words: list[str], _: dict[str, str]) -> None:
        self._send(wire.frame(wire.ASK, wire.ASK_HEAD.pack(self._id(words[0]), 1, 1) + b'{"kind":"riddle"}'))

    def _pass(self, seconds: float) -> None:
        for _ in range(round(seconds / _STEP_S)):
            self._now += _STEP_S
            self._settle()

    def _id(self, name: str) -> bytes:
        """A name that nothing was submitted under is a task of another client."""
        return self._ids.setdefault(name, _FOREIGN + wire.SEQUENCE.pack(len(self._ids) + 1))

    def _name(self, task_id: bytes) -> str:
        return next(name for name, known in self._ids.items() if known == task_id)

    def _send(self, frame: bytes) -> None:
        self._unwritten += frame

    def _settle(self) -> None:
        """Lets the session do all that it has to do now."""
        idle = 0
        while idle < 3:
            moved = self._write()
            self._session.do_what_was_left()
            self._session.leader.look(self._onlooker)
            self._thread._run_callbacks()
            idle = 0 if moved + self._read() else idle + 1
        for name, (task, plain) in self._tasks.items():
            if task._done and name not in self._given:
                self._given.add(name)
                self._done.append(f"gives {name} {_end_of(task, plain)}")

    def _write(self) -> int:
        if self._socket is None or not self._unwritten:
            return 0
        try:
            written = self._socket.send(self._unwritten)
        except OSError:  # It is full, or was closed by the session.
            return 0
        self._unwritten = self._unwritten[written:]
        return written

    def _read(self) -> int:
        if self._socket is None:
            return 0
        try:
            data = self._socket.recv(1 << 20)
        except BlockingIOError:
            return 0
        self._unread += data
        while len(self._unread) >= 5:
            length, kind = wire.FRAME.unpack_from(self._unread)
            if len(self._unread) < 4 + length:
                break
            frame, self._unread = self._unread[: 4 + length], self._unread[4 + length :]
            self._done += self._effects_of(kind, frame)
        if not data:
            self._socket.close()
            self._socket = None
            self._done.append("hangs up")
        return len(data)

    def _effects_of(self, kind: int, frame: bytes) -> list[str]:
        body = frame[5:]
        if kind in _PLAIN:
            return [_PLAIN[kind]]
        if kind in _OF_IDS:
            word, size = _OF_IDS[kind]
            return [f"{word} {self._name(body[at : at + 24])}" for at in range(0, len(body), size)]
        if kind == wire.BLOB:
            return [f"BLOB {self._blobs[body[:32]]}"]
        if kind == wire.REQUEST:
            return self._request(json.loads(body))
        name = self._name(body[:24])
        if kind == wire.SUBMIT:
            flags = wire.read_submit(frame).flags
            names = {"again": wire.OFFERED_AGAIN, "detached": wire.DETACHED, "never_twice": wire.NEVER_TWICE}
            return [" ".join(["SUBMIT", name, *(word for word, flag in names.items() if flags & flag)])]
        if kind == wire.OUTPUT_CREDIT:
            _, attempt, size = wire.OUTPUT_CREDIT_BODY.unpack(body)
            return [f"OUTPUT_CREDIT {name} attempt={attempt} bytes={size}"]
        assert kind == wire.ANSWER, f"a frame of kind 0x{kind:02x}"
        return [f"ANSWER {name} {'no' if body[wire.ASK_HEAD.size] == wire.NO else 'yes'}"]

    def _request(self, request: dict[str, Any]) -> list[str]:
        if request["what"] == "waiting":
            return []
        name = next(name for name, (_, plain) in self._tasks.items() if plain == "reply")
        self._numbers[name] = request["request"]
        return [f"REQUEST {name}"]


class _NoThread(SessionThread):
    """The trace is the only one who drives the session."""

    def start(self) -> None:
        """Does not start it."""


def _end_of(task: Task, plain: str) -> str:
    if isinstance(task._error, errors.Closed):
        return "closed"
    return plain if task._status == wire.OK else wire.STATUS_NAMES[task._status]


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()
