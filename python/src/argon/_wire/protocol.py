"""The numbers of the wire protocol: kinds, flags, limits, the layouts of the binary heads, and the handshake's proof.

Pure functions and constants: nothing here opens a socket or decides anything. The source is `spec/protocol.md`, and
`spec/vectors/` is what this module is tested with.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import struct
from json import dumps as json_dumps
from typing import Any, NamedTuple

VERSION = 2
MAGIC = b"ARGN"

HELLO, CHALLENGE, PROOF, WELCOME, REFUSED = 0x01, 0x02, 0x03, 0x04, 0x05
PING, PONG, GOODBYE = 0x08, 0x09, 0x0A
OPEN, SUBMIT, OFFERED, ACK, CANCEL, COLLECT = 0x10, 0x11, 0x12, 0x13, 0x14, 0x15
REQUEST, REPLY, ACCEPTED, CREDIT = 0x16, 0x17, 0x18, 0x19
BLOB, NEED_BLOB, CHUNK = 0x20, 0x21, 0x22
RUN, OUTCOME, OUTPUT, OUTPUT_CREDIT = 0x32, 0x33, 0x38, 0x39
ASK, ANSWER, READY = 0x3C, 0x3D, 0x40
CHILD, WAITS = 0x43, 0x44

DETACHED, NEVER_TWICE, OFFERED_AGAIN = 0x0001, 0x0002, 0x0004
RETRY_ERROR, RETRY_DIED, RETRY_TIMEOUT = 0x0008, 0x0010, 0x0020
CAPTURE, LIST = 0x0040, 0x0080

OK, ERROR, DIED, TIMEOUT, CANCELLED, LOST, REJECTED = range(7)
STATUS_NAMES = ("ok", "error", "died", "timeout", "cancelled", "lost", "rejected")

PERL, PYTHON, NATIVE, EXEC = 1, 2, 3, 4
CODEC_RUNTIME, CODEC_JSON = 0, 1
HIGH, NORMAL, LOW = 0, 1, 2
YES, NO = 0, 1

FRAME_BYTES_MAX = 1_048_576
PART_BYTES_MAX = 262_144
PAYLOAD_BYTES_MAX = 1_073_741_824
META_BYTES_MAX = 65_536
LABEL_BYTES_MAX = 200
BLOBS_MAX = 16
ID_BYTES = 24
TOKEN_BYTES = 16
SESSION_BYTES = 16
SECRET_BYTES = 32
FAMILY_BYTES = 8

# A frame's length and kind.
FRAME = struct.Struct(">IB")
# A task's head from attempt to meta_length, which is the same for all calls of one function with the same options:
# attempt, flags, priority, runtime, timeout_ms, retries, codec, blob_count, backoff_ms, memory_mib, meta_length.
CALL = struct.Struct(">IHBBIHBBIII")
# A whole SUBMIT up to its blobs: frame length, kind, id, call, stream, payload_length.
SUBMIT_FRAME = struct.Struct(">IB24s28sIQ")
TASK_HEAD_BYTES = 64
# Offsets of flags and stream in a SUBMIT frame, for the second time it is sent.
FLAGS_AT, STREAM_AT = 33, 57
# A whole OUTCOME up to its report: length, kind, id, attempt, status, codec, flags, run_us, meta_length, stream,
# payload_length.
OUTCOME_FRAME = struct.Struct(">IB24sIBBHQIIQ")
OUTCOME_HEAD_BYTES = 56
BLOB_HEAD = struct.Struct(">32sIQ")
OUTPUT_HEAD = struct.Struct(">24sIB")
OUTPUT_CREDIT_BODY = struct.Struct(">24sIQ")
ASK_HEAD = struct.Struct(">24sII")
CREDIT_BODY = struct.Struct(">QQ")
SEQUENCE = struct.Struct(">Q")

#: What the proofs cover of a connection that is not encrypted.
PLAIN_CHANNEL = bytes(32)

_KEY_LINE = re.compile(
    r"argon1-(cluster|client|worker|observer|admin)-([0-9a-f]{64})"
    r"(?:-([0-9a-f]{64})(?:-([0-9a-f]{16})-([A-Za-z0-9][A-Za-z0-9._@-]{0,31}))?)?"
)
_PIN_LINE = re.compile(r"pin ([0-9a-f]{64})")


def frame(kind: int, body: bytes) -> bytes:
    """One frame: its length and kind, then the body."""
    return FRAME.pack(1 + len(body), kind) + body


def json_frame(kind: int, message: dict[str, Any]) -> bytes:
    """A frame whose body is JSON."""
    return frame(kind, to_json(message))


def to_json(value: Any) -> bytes:
    """Compact JSON in UTF-8."""
    return json_dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class TaskHead(NamedTuple):
    """The head of SUBMIT and RUN."""

    id: bytes
    attempt: int
    flags: int
    priority: int
    runtime: int
    timeout_ms: int
    retries: int
    codec: int
    blob_count: int
    backoff_ms: int
    memory_mib: int
    meta_length: int
    stream: int
    payload_length: int


class OutcomeHead(NamedTuple):
    """The head of OUTCOME."""

    id: bytes
    attempt: int
    status: int
    codec: int
    flags: int
    run_us: int
    meta_length: int
    stream: int
    payload_length: int


def read_submit(data: bytes | bytearray) -> TaskHead:
    """The head of a whole SUBMIT or RUN frame."""
    _, _, task, call, stream, length = SUBMIT_FRAME.unpack_from(data)
    return TaskHead._make((task, *CALL.unpack(call), stream, length))


def read_outcome(data: bytes | bytearray) -> OutcomeHead:
    """The head of a whole OUTCOME frame."""
    return OutcomeHead._make(OUTCOME_FRAME.unpack_from(data)[2:])


class KeyText(NamedTuple):
    """What the text of a key says: what it opens, its 32 bytes, and the pin of the manager's certificate if it has one.

    The key of a person also has an id and a name.
    """

    scope: str
    secret: bytes
    pin: bytes | None
    id: str | None = None
    owner: str | None = None


def parse_key(text: str) -> KeyText | None:
    """The text of a key: `argon1-SCOPE-HEX`, `argon1-SCOPE-HEX-PIN` or `argon1-ROLE-HEX-PIN-ID-NAME`; None for others.

    The pin may be on a line `pin HEX` instead. Further lines are of later releases, but for a second key, which would
    leave open what the file is for.
    """
    first, *others = text.strip().splitlines() or [""]
    found = _KEY_LINE.fullmatch(first.strip())
    if not found or (found[5] and (found[1] == "cluster" or found[5].lower() == "admin")):
        return None
    pin = found[3]
    for line in map(str.strip, others):
        if line.startswith("argon1-"):
            return None
        if line.startswith("pin "):
            said = _PIN_LINE.fullmatch(line)
            if not said or (pin and pin != said[1]):
                return None
            pin = said[1]
    return KeyText(found[1], bytes.fromhex(found[2]), bytes.fromhex(pin) if pin else None, found[4], found[5])


def role_key(cluster_key: bytes, role: str) -> bytes:
    """The key of a role, which opens that role only."""
    return hmac.digest(cluster_key, b"argon-v1 role " + role.encode(), hashlib.sha256)


def transcript(hello: bytes, challenge: bytes, channel: bytes = bytes(32)) -> bytes:
    """The bytes that both sides sign: the bodies exactly as they were sent, and the channel they were sent on."""
    return b"".join((len(hello).to_bytes(4, "big"), hello, len(challenge).to_bytes(4, "big"), challenge, channel))


def dialler_proof(key: bytes, said: bytes) -> bytes:
    """Proof of the side that opened the connection."""
    return hmac.digest(key, b"argon-v1 dialler proof\0" + said, hashlib.sha256)


def listener_proof(key: bytes, said: bytes) -> bytes:
    """Proof of the side that accepted the connection."""
    return hmac.digest(key, b"argon-v1 listener proof\0" + said, hashlib.sha256)
