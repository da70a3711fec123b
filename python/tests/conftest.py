"""Clusters for tests: `cluster` is shared and must be left as it was found, `own_cluster` may be broken."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# A build machine may have started this with interrupts ignored, which programs that the tests start would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "src")]

from cluster import Cluster  # noqa: E402 - it lies beside this file


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A manager and a worker of two slots, for tests that harm neither."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start_manager()
        made.add_worker(2)
        yield made
    finally:
        made.stop()


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A manager without workers, for one test."""
    made = Cluster(tmp_path)
    try:
        made.start_manager()
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(cluster: Cluster) -> Iterator[Any]:
    """A client of the shared cluster."""
    made = cluster.client()
    yield made
    made.shutdown()
