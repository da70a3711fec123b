"""What reads the bytes of others gives a value or an error in words, whatever the bytes: frames, outcomes, bundles.

Valid encodings are changed under seeds, which a failure prints. Other languages have the same in `fuzz/` and
`perl/t/data/mutations.t`.
"""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

import argon
from argon._outcome import result
from argon._session import inbox
from argon._session.options import Options
from argon._session.session import Session
from argon._session.task import Task
from argon._wire import protocol as wire
from argon._wire.connection import Connection
from cluster import ROOT, SOURCE

VECTORS = json.loads((ROOT / "spec" / "vectors" / "frames.json").read_text())["frames"]
FROM_MANAGER = {
    *(
        wire.OUTCOME,
        wire.CHUNK,
        wire.CREDIT,
        wire.ACCEPTED,
        wire.NEED_BLOB,
        wire.OUTPUT,
        wire.ASK,
        wire.PING,
        wire.PONG,
    ),
}
CORPUS = [
    *(bytes.fromhex(vector["frame"]) for vector in VECTORS if vector["kind"] in FROM_MANAGER),
    wire.json_frame(wire.REPLY, {"request": 1, "ok": True, "waiting": [{"code": "busy", "message": "so"}]}),
    wire.json_frame(wire.REFUSED, {"code": "busy", "message": "too many"}),
    wire.json_frame(wire.GOODBYE, {"reason": "it stops"}),
]
TELLING = [bytes(4), b"\0\0\0\1", b"\0\0\0\6", b"\0\0\0\x30", b"\0\x10\0\0", b"\xff" * 4, b"\xff" * 8, b"[", b'"']
ROUNDS = 3000
#: A pickle that asks for more gets a MemoryError.
BUNDLE_BYTES_MAX = 2 << 30


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Up to four changes: bits, bytes, holes, insertions, lengths at their limits."""
    bytes_ = bytearray(data)
    for _ in range(chance.randint(0, 4)):
        at = chance.randrange(len(bytes_) + 1)
        change = chance.randrange(5)
        if change == 0:
            bytes_[at : at + 1] = chance.randbytes(1)
        elif change == 1 and at < len(bytes_):
            bytes_[at] ^= 1 << chance.randrange(8)
        elif change == 2:
            del bytes_[at : at + chance.randrange(8)]
        elif change == 3:
            bytes_[at:at] = chance.randbytes(chance.randrange(6))
        else:
            telling = chance.choice(TELLING)
            bytes_[at : at + len(telling)] = telling
    return bytes(bytes_)


@pytest.fixture
def connection() -> Iterator[Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours, "a test")


def session_with_tasks(connection: Connection) -> tuple[Session, list[Task]]:
    session = argon.Client("127.0.0.1:9")._session
    session.connection = connection
    ids = {bytes.fromhex(vector["fields"]["id"]) for vector in VECTORS if vector["kind"] == wire.OUTCOME}
    tasks = [Task(None, session, task, wire.frame(wire.SUBMIT, bytes(64)), 0, Options()) for task in ids]
    session.journal.update((task._id, task) for task in tasks)
    return session, tasks


def test_frames_of_any_bytes_are_taken_or_break_the_connection_in_words(connection: Connection) -> None:
    broken = set()
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        data = mutated(b"".join(chance.choices(CORPUS, k=chance.randint(1, 3))), chance)
        session, tasks = session_with_tasks(connection)
        connection.broken, connection.begin, connection.end = "", 0, len(data)
        connection.partial.clear()
        connection.buffer[: len(data)] = data
        try:
            inbox.take(session, connection)
            for task in tasks:
                deliver(task)
        except Exception as problem:
            raise AssertionError(f"seed {seed}: {data.hex()}") from problem
        broken.add(str(connection.broken)[:30])
    assert len(broken) > 5, "the frames were changed so little that nothing was noticed"


def deliver(task: Task) -> None:
    """The value, or an error; both are fine."""
    if task._done:
        try:
            result.deliver(task)
        except Exception as problem:
            assert str(problem) or type(problem) is not Exception


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        *((kind, bytes(length)) for kind in sorted(FROM_MANAGER) for length in (0, 1, 3, 5, 15, 31)),
        (wire.REPLY, b"[]"),
        (wire.REFUSED, b"[]"),
        (wire.GOODBYE, b"\xff"),
    ],
    ids=lambda value: f"0x{value:02x}" if isinstance(value, int) else f"{len(value)}_bytes",
)
def test_a_frame_that_is_cut_short_raises_nothing(connection: Connection, kind: int, body: bytes) -> None:
    frame = wire.frame(kind, body)
    session, _ = session_with_tasks(connection)
    connection.buffer[: len(frame)] = frame
    connection.begin, connection.end = 0, len(frame)
    inbox.take(session, connection)


def test_an_outcome_whose_report_is_longer_than_its_frame_breaks_the_connection(connection: Connection) -> None:
    frame = bytearray(next(bytes.fromhex(vector["frame"]) for vector in VECTORS if vector["name"] == "outcome, ok"))
    meta_length_at = 5 + 24 + 4 + 1 + 1 + 2 + 8
    frame[meta_length_at : meta_length_at + 4] = b"\0\0\xff\xff"
    session, tasks = session_with_tasks(connection)
    connection.buffer[: len(frame)] = frame
    connection.begin, connection.end = 0, len(frame)
    inbox.take(session, connection)
    assert "report" in str(connection.broken)
    assert not any(task._done for task in tasks)


# A process of its own, with a limit: a length in a pickle may ask for any amount of memory.
BUNDLES = """
import array, collections, datetime, random, resource, sys
from argon._code import payloads
from test_mutated_bytes import BUNDLE_BYTES_MAX, mutated

resource.setrlimit(resource.RLIMIT_AS, (BUNDLE_BYTES_MAX, BUNDLE_BYTES_MAX))
loop = []
loop.append(loop)
values = [
    {"a": [1, 2.5, None, True], "b": ("x", b"y", 1 << 70)}, "text " * 40, loop, {1, 2}, bytes(70_000),
    datetime.date(2026, 1, 2), collections.OrderedDict(a=1), ValueError("so"), array.array("d", [1.0] * 9),
]
corpus = [b"".join(bytes(part) for part in payloads.dumps(value)[0]) for value in values]
ends = collections.Counter()
for seed in range(int(sys.argv[1])):
    chance = random.Random(seed)
    data = mutated(chance.choice(corpus), chance)
    print(seed, file=sys.stderr, flush=True)
    try:
        payloads.loads(data)
        ends["value"] += 1
    except Exception as problem:
        ends["error"] += 1
print(ends["value"], ends["error"])
"""


def test_bundles_of_any_bytes_are_values_or_errors() -> None:
    program = subprocess.run(
        [sys.executable, "-c", BUNDLES, str(ROUNDS)],
        env={"PYTHONPATH": f"{SOURCE}:{ROOT}/python/tests"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    last = program.stderr.split("\n")[-2:]
    assert program.returncode == 0, f"seed {last}: {program.stderr[-2000:]}"
    values, errors = map(int, program.stdout.split())
    assert values > 100 and errors > 100
