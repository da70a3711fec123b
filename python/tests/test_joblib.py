"""joblib's backend "argon"."""

from __future__ import annotations

from typing import Any

import joblib
import pytest

import argon.joblib  # noqa: F401 - it registers the backend
from cluster import Cluster


def test_parallel_runs_on_the_pool(cluster: Cluster) -> None:
    with joblib.parallel_config(backend="argon", address=cluster.address, key=cluster.key, n_jobs=-1):
        parallel = joblib.Parallel()
        assert parallel(joblib.delayed(pow)(number, 2) for number in range(200)) == [number**2 for number in range(200)]
        assert parallel(joblib.delayed(lambda number: -number)(number) for number in range(5)) == [0, -1, -2, -3, -4]


def test_a_client_can_be_given(client: Any) -> None:
    with joblib.parallel_config(backend="argon", client=client, n_jobs=2):
        assert joblib.Parallel()(joblib.delayed(abs)(-number) for number in range(10)) == list(range(10))
    assert client.queue(abs, -1) == 1


# kind: a drop-in replacement | a joblib task that raises | right | the error is raised and the rest cancelled
def test_an_error_is_raised_and_ends_the_rest(client: Any) -> None:
    with joblib.parallel_config(backend="argon", client=client, n_jobs=2), pytest.raises(ZeroDivisionError):
        joblib.Parallel()(joblib.delayed(lambda number: 1 // number)(number) for number in (1, 0, 1))
    assert client.queue(abs, -1) == 1


def test_results_can_be_a_generator(client: Any) -> None:
    with joblib.parallel_config(backend="argon", client=client, n_jobs=2):
        results = joblib.Parallel(return_as="generator")(joblib.delayed(abs)(-number) for number in range(10))
        assert list(results) == list(range(10))
