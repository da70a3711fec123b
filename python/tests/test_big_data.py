"""Big values: out of band, in chunks, shared, and in a manager whose memory stays bounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
