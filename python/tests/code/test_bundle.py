"""The form in which values travel."""

from __future__ import annotations

import pickle
import struct

import pytest

from argon._code import payloads


def joined(value, shared=None):
    return b"".join(payloads.dumps(value, shared)[0])


def test_a_plain_value_is_one_part():
    bundle = joined({"a": 1})
    assert bundle[:12] == struct.pack(">IQ", 1, len(bundle) - 12)
    assert pickle.loads(bundle[12:]) == {"a": 1}
    assert payloads.loads(bundle) == {"a": 1}


def test_big_strings_of_bytes_lie_beside_the_pickle_and_are_not_copied():
    big, other = bytes(100_000), bytearray(70_000)
    parts, _ = payloads.dumps((big, other, b"small"))
    assert [len(part) for part in parts[1:]] == [100_000, 70_000]
    assert parts[1].obj is big and parts[2].obj is other
    assert len(parts[0]) < 300
    assert payloads.loads(b"".join(parts)) == (big, other, b"small")


def test_the_first_buffer_lies_well():
    for size in range(70_000, 70_020):
        parts, _ = payloads.dumps((bytes(size), "x" * (size % 17)))
        assert len(parts[0]) % payloads.ALIGNMENT == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"abc",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        struct.pack(">I", 1),
        struct.pack(">IQ", 1, 5),
        struct.pack(">IQ", 1, 1 << 63) + b"N.",
        struct.pack(">IQ", 1, 1) + b"N.",
        struct.pack(">IQQ", 2, 2, 0),
    ],
)
def test_what_is_no_bundle_is_refused(garbage):
    with pytest.raises(ValueError, match=r"not a bundle|was announced"):
        payloads.loads(garbage)


def test_shared_values_are_named_by_hash_and_looked_up():
    handle, name = object(), bytes(range(32))
    parts, hashes = payloads.dumps([handle, 1], lambda value: name if value is handle else None)
    assert hashes == {name}
    assert payloads.loads(b"".join(parts), {name: "value"}.get) == ["value", 1]
    with pytest.raises(pickle.UnpicklingError):
        payloads.loads(b"".join(parts))


def test_nothing_of_this_package_is_named_in_a_bundle():
    # A worker has no such package.
    for value in (bytes(100_000), (memoryview(b"x"),), lambda: 1, [object]):
        assert b"argon" not in joined(value)


def test_what_cannot_travel_is_one_kind_of_error():
    def nested():
        deep = []
        for _ in range(100_000):
            deep = [deep]
        return deep

    for value in ((i for i in ()), nested()):
        with pytest.raises(payloads.CannotTravel):
            payloads.dumps(value)
