"""The same byte strings that all languages are tested with."""

from __future__ import annotations

import hashlib
import json

import pytest

from argon._wire import protocol as wire
from argon._wire import ticket
from cluster import ROOT

VECTORS = ROOT / "spec" / "vectors"
FRAMES = json.loads((VECTORS / "frames.json").read_text())["frames"]
SECRETS = json.loads((VECTORS / "secrets.json").read_text())
IDENTITY = json.loads((VECTORS / "identity.json").read_text())
PEOPLE = json.loads((VECTORS / "people.json").read_text())
HANDSHAKE = json.loads((VECTORS / "handshake.json").read_text())


def named(kind: int) -> list[dict]:
    # Between manager and worker there is a token in front of RUN, which no client or runner sees.
    found = [one for one in FRAMES if one["kind"] == kind and one["name"] != "run, to a worker"]
    assert found, f"no vector of kind {kind}"
    return found


@pytest.mark.parametrize("vector", named(wire.SUBMIT) + named(wire.RUN), ids=lambda vector: vector["name"])
def test_task_heads_are_read_and_written(vector: dict) -> None:
    frame, fields = bytes.fromhex(vector["frame"]), vector["fields"]
    head = wire.read_submit(frame)
    for name in wire.TaskHead._fields:
        expected = bytes.fromhex(fields[name]) if name == "id" else fields[name]
        assert getattr(head, name) == expected, name
    call = wire.CALL.pack(*head[1:12])
    blobs = b"".join(map(bytes.fromhex, fields["blobs"]))
    body = blobs + fields["meta"].encode() + bytes.fromhex(fields["payload"])
    length, kind = wire.FRAME.unpack_from(frame)
    assert wire.SUBMIT_FRAME.pack(length, kind, head.id, call, head.stream, head.payload_length) + body == frame


@pytest.mark.parametrize("vector", named(wire.OUTCOME), ids=lambda vector: vector["name"])
def test_outcome_heads_are_read(vector: dict) -> None:
    frame, fields = bytes.fromhex(vector["frame"]), vector["fields"]
    head = wire.read_outcome(frame)
    for name in wire.OutcomeHead._fields:
        if name in fields:
            assert getattr(head, name) == (bytes.fromhex(fields[name]) if name == "id" else fields[name]), name
    report_at = 5 + wire.OUTCOME_HEAD_BYTES
    assert frame[report_at : report_at + head.meta_length].decode() == fields["report"]


@pytest.mark.parametrize("vector", FRAMES, ids=lambda vector: vector["name"])
def test_frames_have_their_length_and_kind(vector: dict) -> None:
    frame = bytes.fromhex(vector["frame"])
    length, kind = wire.FRAME.unpack_from(frame)
    assert (length, kind) == (len(frame) - 4, vector["kind"])
    assert wire.frame(kind, frame[5:]) == frame


def test_keys_are_parsed_and_derived() -> None:
    found = wire.parse_key(HANDSHAKE["key_line"])
    assert found is not None
    key = found.secret
    assert (found.scope, key.hex(), found.pin) == ("cluster", HANDSHAKE["cluster_key"], None)
    for line in HANDSHAKE["broken_lines"]:
        assert wire.parse_key(line) is None, line
    for role, expected in HANDSHAKE["role_keys"].items():
        assert wire.role_key(key, role).hex() == expected


def test_pins_are_read_from_keys() -> None:
    pin = bytes.fromhex(IDENTITY["pin"])
    assert hashlib.sha256(bytes.fromhex(IDENTITY["certificate"])).digest() == pin
    assert wire.parse_key(IDENTITY["key_file"]) == wire.KeyText("cluster", bytes.fromhex(HANDSHAKE["cluster_key"]), pin)
    for role, line in IDENTITY["role_key_lines"].items():
        assert wire.parse_key(line) == wire.KeyText(role, bytes.fromhex(HANDSHAKE["role_keys"][role]), pin)
    for line in IDENTITY["broken_lines"]:
        assert wire.parse_key(line) is None, line


def test_keys_of_people_carry_an_id_and_a_name() -> None:
    pin = bytes.fromhex(PEOPLE["pin"])
    for row in PEOPLE["keys"]:
        expected = wire.KeyText(row["role"], bytes.fromhex(row["secret"]), pin, row["id"], row["name"])
        assert wire.parse_key(row["line"]) == expected
    for line in PEOPLE["broken_lines"]:
        assert wire.parse_key(line) is None, line


@pytest.mark.parametrize("vector", HANDSHAKE["proofs"], ids=lambda vector: vector["name"])
def test_proofs_are_those_of_the_vectors(vector: dict) -> None:
    said = wire.transcript(vector["hello"].encode(), vector["challenge"].encode(), bytes.fromhex(vector["channel"]))
    key = bytes.fromhex(vector["role_key"])
    assert said.hex() == vector["transcript"]
    assert wire.dialler_proof(key, said).hex() == vector["dialler_proof"]
    assert wire.listener_proof(key, said).hex() == vector["listener_proof"]


@pytest.mark.parametrize("vector", SECRETS["sessions"], ids=lambda vector: vector["session"])
def test_the_session_follows_from_its_secret(vector: dict) -> None:
    secret, family = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["family"])
    assert ticket.session_of(secret).hex() == vector["session"]
    assert ticket.session_of(secret, family).hex() == vector["child"]


def test_tickets_are_read_and_written_and_nothing_else_is_one() -> None:
    for vector in SECRETS["tickets"]:
        found = ticket.Ticket(bytes.fromhex(vector["id"]), bytes.fromhex(vector["token"]))
        assert ticket.parse(vector["text"]) == found
        assert str(found) == vector["text"]
        assert vector["token"] not in repr(found)
    for text in (*SECRETS["broken_tickets"], 7, None, b""):
        assert ticket.parse(text) is None, text
