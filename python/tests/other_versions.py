"""A client of this Python whose only worker has another one. `scripts/test-versions` starts it, with such a program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

import argon
from cluster import Cluster

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def client(own_cluster: Cluster) -> Iterator[Any]:
    # The first python3 of the system where the program runs.
    own_cluster.add_worker(2, "--python", "/usr/bin/python3")
    made = own_cluster.client(timeout=30)
    yield made
    made.shutdown()


def test_functions_by_name_run_whatever_the_version(client: Any) -> None:
    version = client.queue(argon.python("platform:python_version"))
    assert not version.startswith(f"{HERE}.")
    assert client.queue(argon.python("math:gcd"), 12, 18) == 6
    assert client.queue(argon.python("builtins:sorted"), ["b", "ä", "a"]) == ["a", "b", "ä"]
    with pytest.raises(Exception, match=r"math domain error|expected a nonnegative input"):
        client.queue(argon.python("math:sqrt"), -1)


def test_code_of_another_version_is_refused_in_words(client: Any) -> None:
    with pytest.raises(argon.Died, match=f"Python {HERE}") as failure:
        client.queue(lambda number: number + 1, 1)
    assert "--python" in str(failure.value) or "install" in str(failure.value)
    assert client.queue(argon.python("math:gcd"), 4, 6) == 2
