"""What a manager sends makes a client keep no more than its own tasks need, and nothing of it controls a terminal."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import argon
from argon._outcome import result
from argon._session import inbox
from argon._session.options import Options
from argon._session.session import Session
from argon._session.task import Task
from argon._wire import connection as connections
from argon._wire import protocol as wire
from argon._wire import text
from argon._wire.connection import Connection

OWN = b"o" * 24
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]")


class Case:
    """A session with one task, and a connection whose other end is held here."""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.connection = Connection(ours, "a test")
        self.session: Session = argon.Client("127.0.0.1:9")._session
        self.session.connection = self.connection
        self.task = Task(None, self.session, OWN, wire.frame(wire.SUBMIT, bytes(64)), 0, Options())
        self.session.journal[OWN] = self.task

    def take(self, *frames: bytes) -> None:
        data = b"".join(frames)
        self.connection.begin, self.connection.end = 0, len(data)
        self.connection.buffer[: len(data)] = data
        inbox.take(self.session, self.connection)


@pytest.fixture
def case() -> Iterator[Case]:
    made = Case()
    with made.theirs, made.connection.sock:
        yield made


def begin(task: bytes, stream: int, length: int, part: bytes) -> bytes:
    return wire.OUTCOME_FRAME.pack(57 + len(part), wire.OUTCOME, task, 1, 0, 0, 0, 0, 0, stream, length) + part


def chunk(stream: int, part: bytes) -> bytes:
    return wire.frame(wire.CHUNK, stream.to_bytes(4, "big") + part)


def test_the_payload_of_a_foreign_task_is_counted_and_not_kept(case: Case) -> None:
    case.take(begin(b"x" * 24, 1, 100_000, b"a" * 50_000))
    assert case.connection.partial[1][0] is None
    case.take(chunk(1, b"a" * 50_000))
    assert case.connection.broken is None and not case.connection.partial
    assert case.session.acks == [b"x" * 24] and case.connection.foreign_streams == 0


def test_one_payload_of_a_task_is_kept_at_a_time(case: Case) -> None:
    case.take(begin(OWN, 2, 300_000, b"b"), begin(OWN, 3, 300_000, b"c"))
    for part in (b"c" * 200_000, b"c" * 99_999):
        case.take(chunk(3, part))
    assert not case.task._done
    for part in (b"b" * 200_000, b"b" * 99_999):
        case.take(chunk(2, part))
    assert case.task._done and case.task._payload == b"b" * 300_000 and case.connection.broken is None
    assert not case.connection.streaming and case.connection.foreign_streams == 0


def test_a_number_of_a_stream_is_used_once(case: Case) -> None:
    case.take(begin(OWN, 4, 300_000, b"b"), begin(b"y" * 24, 4, 300_000, b"c"))
    assert "under the number of another" in str(case.connection.broken)


def test_empty_chunks_take_nothing(case: Case) -> None:
    case.take(begin(OWN, 5, 8, b""), *[chunk(5, b"")] * 50_000)
    assert case.connection.broken is None and len(case.connection.partial[5][0]) <= 8


def test_foreign_payloads_have_a_limit(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "FOREIGN_STREAMS_MAX", 10)
    case.take(*(begin(bytes([number]) * 24, number, 9, b"") for number in range(1, 12)))
    assert "too many payloads" in str(case.connection.broken)


def test_a_manager_that_asks_and_does_not_read_is_left(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "UNREAD_BYTES_MAX", 1 << 21)
    for _ in range(40):
        case.take(wire.frame(wire.PING, b"p" * 200_000))
        case.connection.flush()
    assert case.connection.is_unread


def test_output_of_many_attempts_is_not_counted_for_ever(case: Case) -> None:
    for attempt in range(1000):
        case.take(wire.frame(wire.OUTPUT, wire.OUTPUT_HEAD.pack(OWN, attempt, 3) + b"{}"))
    assert len(case.task._output or {}) <= 70


REPORT: dict[str, Any] = {
    "message": "no\x1b[31m\r\nmore",
    "worker": "w\nargon: all is well",
    "host": "h\x1b[2J\ud800",
    "pid": 7,
    "attempts": [],
    "attempt": "two",
    "signal": {"9": 1},
    "story": ["first\x1b[0m", {}, None],
    "output": "\x1b[1mbold\n",
    "peak_kib": "much",
    "limit_kib": 1e300,
}


@pytest.mark.parametrize(
    "report", [json.dumps(REPORT), "[]", "null", "{", "[" * 100_000, '{"message":{}}', '{"story":1}']
)
def test_an_error_controls_no_terminal(case: Case, report: str) -> None:
    case.task._status, case.task._report = wire.DIED, report.encode()
    error = result.error(case.task)
    assert isinstance(error, argon.Died) and not CONTROLS.search(str(error))
    str(error).encode()
    if report.startswith('{"message": "no'):
        assert (error.worker, error.host, error.pid) == ("w argon: all is well", "h\ufffd[2J\ufffd", 7)
        assert (error.attempts, error.attempt, error.signal, error.peak_kib, error.limit_kib) == (None,) * 5
        assert error.story == ["first\ufffd[0m"] and error.output == "\x1b[1mbold\n"


@pytest.mark.parametrize(
    "body", [b'{"code":"busy\\u001b","message":"x\\ny"}', b"[]", b'{"code":{},"message":[]}', b"[" * 100_000]
)
def test_a_refusal_is_one_line(case: Case, body: bytes) -> None:
    case.take(wire.frame(wire.REFUSED, body))
    assert case.connection.broken and not re.search("[\x00-\x1f{\\[]", case.connection.broken)


@pytest.mark.parametrize("kind", [wire.REPLY, wire.GOODBYE, wire.ASK, wire.OUTPUT])
def test_json_that_is_nested_too_deep_ends_no_thread(case: Case, kind: int) -> None:
    head = wire.OUTPUT_HEAD.pack(OWN, 1, 3) if kind == wire.OUTPUT else wire.ASK_HEAD.pack(OWN, 1, 1)
    case.take(wire.frame(kind, (head if kind in (wire.ASK, wire.OUTPUT) else b"") + b"[" * 100_000))
    for one in case.session.prints:
        case.session.printer.write(one)
    for ask in case.session.asks:
        assert case.session.answer(ask)


def test_lines_of_others_stay_lines() -> None:
    assert (
        text.line("a\nb\r\nc\td\x1b[2J\x07\x9b31m\u202eexe\ufeff") == "a b  c d\ufffd[2J\ufffd\ufffd31m\ufffdexe\ufffd"
    )
    assert text.line("Übung 東京 👩\u200d💻") == "Übung 東京 👩\u200d💻"
    assert len(text.line("x" * 1000)) == text.LINE_CHARS
    assert text.lines("a\r\n\tb\rc\x1b]0;t\x07\n") == "a\n\tb\nc\ufffd]0;t\ufffd\n"
