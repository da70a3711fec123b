"""What a program's tests patch in the standard library is theirs: the client goes on with what it took at its import."""

from __future__ import annotations

import contextlib
from typing import Any
from unittest import mock

import pytest

import argon
from cluster import Cluster

_NAMES = [
    "json.dumps",
    "json.loads",
    "pickle.dumps",
    "pickle.loads",
    "random.random",
    "socket.getaddrinfo",
    "socket.gethostname",
    "socket.socket",
    "threading.Thread",
    "time.monotonic",
    "time.sleep",
    "time.time",
]


def _use(cluster: Cluster) -> None:
    """Everything from the first connection to the goodbye, with plain and pickled values and an error."""
    with contextlib.ExitStack() as stack:
        client: Any = stack.enter_context(cluster.client())
        assert client.queue(abs, -1) == 1
        factor = 2
        assert list(client.map(lambda one: one * factor, range(300))) == list(range(0, 600, 2))
        assert client.queue(sorted, {1, 2}) == [1, 2]
        assert client.defer(abs, -3).result(20) == 3
        with pytest.raises(ZeroDivisionError):
            client.queue(divmod, 1, 0)
        assert client.status()["slots_total"] > 0
        executor = stack.enter_context(cluster.executor())
        assert executor.submit(abs, -2).result(20) == 2


@pytest.mark.parametrize("name", _NAMES)
def test_a_patched_name_does_not_reach_the_client(cluster: Cluster, name: str) -> None:
    assert argon.Client  # It was imported before, as in a program.
    with mock.patch(name) as patched:
        patched.side_effect = AssertionError(f"the client called {name}")
        _use(cluster)


def test_a_clock_that_stands_still_does_not_reach_the_client(cluster: Cluster) -> None:
    with mock.patch("time.monotonic", return_value=0.0), mock.patch("time.time", return_value=0.0):
        _use(cluster)
        assert cluster.client().defer(abs, -1).result(20) == 1
