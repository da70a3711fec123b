"""Small segments for a manager to which large packets get lost: when they begin, and that the socket gets them.

A network that loses them is in ``tests/tests/cluster/partitions.rs``.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest

from argon._wire import dial, segments
from argon._wire.segments import MOVED, SMALL_S, STUCK, UNCLEAR


@pytest.mark.parametrize(
    ("retransmits", "data_age", "answer_age", "found"),
    [
        (0, 0, 0, MOVED),
        (2, 6, 6, MOVED),
        (0, 15, 3, STUCK),
        (6, 3, 3, STUCK),
        (0, 15, 15, UNCLEAR),
        (6, 15, 15, UNCLEAR),
    ],
)
def test_a_connection_is_stuck_when_its_data_stand_and_the_peer_still_answers(
    retransmits: int, data_age: int, answer_age: int, found: str
) -> None:
    assert segments.movement(retransmits, data_age, answer_age) == found


def test_small_segments_begin_with_a_stuck_connection_or_the_second_unclear_end_and_last_for_their_time() -> None:
    segments.note("a:1", STUCK, 10.0)
    assert segments.is_small("a:1", 11.0) and not segments.is_small("b:1", 11.0)
    segments.note("a:1", MOVED, 12.0)
    assert segments.is_small("a:1", 13.0), "it moves because they are small"
    assert not segments.is_small("a:1", 10.0 + SMALL_S)
    for movement in (UNCLEAR, MOVED, UNCLEAR):
        segments.note("c:1", movement, 10.0)
        assert not segments.is_small("c:1", 11.0), "not in a row"
    segments.note("c:1", UNCLEAR, 10.0)
    assert segments.is_small("c:1", 11.0)


def test_what_the_kernel_reports_of_a_connection_is_read_and_the_next_one_gets_small_segments() -> None:
    with _listener() as (listener, address):
        where = f"{address[0]}:{address[1]}"
        with _connected(listener, address, where) as (near, far):
            usual = far.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
            segments.note_end(where, near)
            assert not segments.is_small(where, segments.monotonic()), "it moved"
        segments.note_end(where, near)
        segments.note(where, STUCK, segments.monotonic())
        with _connected(listener, address, where) as (_, far):
            assert far.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) <= segments.SMALL_BYTES < usual


@contextlib.contextmanager
def _listener() -> Iterator[tuple[socket.socket, tuple[str, int]]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener, listener.getsockname()


@contextlib.contextmanager
def _connected(
    listener: socket.socket, address: tuple[str, int], where: str
) -> Iterator[tuple[socket.socket, socket.socket]]:
    with dial._connected(address, where)[0] as near, listener.accept()[0] as far:
        yield near, far
