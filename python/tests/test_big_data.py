"""Big values: out of band, in chunks, shared, and in a manager whose memory stays bounded."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

from argon._session import inbox
from argon._wire import memory
from argon._wire import protocol as wire
from cluster import Cluster

MIB = 1 << 20


def peak_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def test_arrays_travel_both_ways_as_they_are(client: Any) -> None:
    array = np.arange(MIB, dtype=np.float64).reshape(1024, 1024)
    twice = client.queue(lambda given: given * 2, array)
    assert np.array_equal(twice, array * 2)
    assert twice.flags.writeable
    assert client.queue(lambda given: (given.flags.aligned, given.dtype.str, given.shape), array[:, ::2]) == (
        True,
        "<f8",
        (1024, 512),
    )


# kind: what the call refers to | a numpy array that changes after `defer` | right | the array is copied before
#    `defer` returns
def test_an_array_that_changes_after_defer_arrives_as_it_was(client: Any) -> None:
    array = np.zeros(MIB)
    deferred = client.defer(lambda given: float(given.sum()), array)
    array[:] = 1
    assert deferred.result() == 0.0


def test_a_quarter_of_a_gibibyte_passes_a_manager_of_bounded_memory(own_cluster: Cluster) -> None:
    own_cluster.add_worker(1)
    client = own_cluster.client()
    assert client.queue(abs, -1) == 1
    assert own_cluster.manager is not None
    before = peak_mib(own_cluster.manager.pid)
    data = np.ones(256 * MIB, dtype=np.uint8)
    assert client.queue(lambda given: int(given[::MIB].sum()), data) == 256
    assert client.queue(
        lambda: bytes(256 << 20),
    ) == bytes(256 * MIB)
    assert peak_mib(own_cluster.manager.pid) - before < 2 * 256 + 64


def test_a_shared_array_travels_once(own_cluster: Cluster) -> None:
    own_cluster.add_worker(2)
    client = own_cluster.client()
    handle = client.share(np.ones(16 * MIB, dtype=np.uint8))
    sums = list(client.map(lambda place: int(handle[place]) + len(handle), range(50)))
    assert sums == [1 + 16 * MIB] * 50
    assert client._session.sent_bytes < MIB


RATES = np.ones(100_000)


# kind: what the call refers to | a task that changes a numpy array that it captured, got or found in a global | right | it
#    changes its copy
def test_a_task_may_change_arrays_wherever_it_has_them_from(client: Any) -> None:
    captured, small = np.zeros(100_000), np.zeros(3)

    def change(given: Any, default: Any = np.zeros(50_000), *, named: Any) -> Any:  # noqa: B008
        found = [RATES, captured, small, given, default, named["nested"][0]]
        for one in found:
            one[0] += 5
            one.sort()
        return [float(one[-1]) for one in found]

    for _ in range(2):
        assert client.queue(change, np.zeros(100_000), named={"nested": [np.zeros(70_000)]}) == [6, 5, 5, 5, 5, 5]
    assert captured[0] == small[0] == 0 and RATES[0] == 1


# kind: what the call refers to | a task that changes a shared array | loud | the error says that it is read-only, and why
def test_a_task_that_changes_a_shared_array_is_told_why_it_must_not(client: Any) -> None:
    handle = client.share(np.zeros(100_000))

    def change() -> None:
        handle[0] = 1

    with pytest.raises(ValueError, match="read-only") as caught:
        client.queue(change)
    assert "client.share" in str(caught.value.__cause__)


def test_a_payload_takes_the_memory_that_has_come_and_not_what_was_announced() -> None:
    length = 1 << 30
    room = memory.room(length, 1000)
    assert len(room) == memory.FIRST_BYTES_MAX
    for size in (1 << 20, 3 << 20, 20 << 20):
        room = memory.grown(room, 0, size, length)
        assert size <= len(room) <= 4 * size + memory.FIRST_BYTES_MAX
    assert len(memory.room(5, 5)) == 5 and len(memory.grown(bytearray(5), 5, 7, 7)) == 7


@pytest.mark.parametrize("comes", [0, 3 << 20])
def test_an_outcome_that_announces_a_gibibyte_takes_what_comes(comes: int) -> None:
    session = mock.MagicMock(journal={bytes(24): mock.MagicMock()})
    connection = mock.MagicMock(partial={}, streaming=set(), broken=None)
    head = wire.OutcomeHead(bytes(24), 1, wire.OK, 0, 0, 0, 0, 7, 1 << 30)
    tracemalloc.start()
    try:
        inbox._on_outcome(session, connection, head, b"", bytearray())
        connection.buffer = connection.view = memoryview(bytes(4) + bytes([0, 0, 0, 7]) + bytes(1 << 18))
        for _ in range(comes >> 18):
            inbox._on_chunk(session, connection, 4, len(connection.buffer))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert connection.broken is None and peak < 40 << 20


def test_an_outcome_without_room_ends_its_task(monkeypatch: pytest.MonkeyPatch) -> None:
    task = mock.MagicMock(_collects=False, _error=None)
    session = mock.MagicMock(journal={bytes(24): task}, acks=[], in_flight=1)
    connection = mock.MagicMock(partial={}, streaming=set(), broken=None)
    head = wire.OutcomeHead(bytes(24), 1, wire.OK, 0, 0, 0, 0, 7, 8)
    inbox._on_outcome(session, connection, head, b"", bytearray())
    monkeypatch.setattr(memory, "grown", mock.Mock(side_effect=MemoryError))
    connection.buffer = connection.view = memoryview(bytes([0, 0, 0, 7]) + bytes(4))
    for _ in range(2):
        inbox._on_chunk(session, connection, 0, 8)
    session.settle.assert_called_once_with(task)
    assert isinstance(task._error, MemoryError) and not connection.partial and connection.broken is None
