"""joblib's backend "argon"."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Iterator
from typing import Any

import joblib
import pytest

import argon.joblib  # noqa: F401 - it registers the backend
from cluster import Cluster

RETURNS = ["list", "generator", "generator_unordered"]


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


def inverse(number: int) -> int:
    time.sleep(0.002)
    return 1 // number


# kind: a drop-in replacement | a `joblib.Parallel` block whose first call raised | right | a call gives its own
#    results, whatever the one before did
@pytest.mark.parametrize("return_as", RETURNS)
@pytest.mark.parametrize("more", [{}, {"pre_dispatch": "all"}, {"batch_size": 3}], ids=["auto", "all", "batch_of_3"])
def test_a_call_after_one_that_failed_gives_its_own_results(client: Any, return_as: str, more: Any) -> None:
    config = joblib.parallel_config(backend="argon", client=client, n_jobs=2)
    with config, joblib.Parallel(return_as=return_as, **more) as parallel:
        for numbers in ([0, 1, 1], [1, 0, 1], [1] * 20 + [0] + [1] * 20, [0] * 30):
            with pytest.raises(ZeroDivisionError):
                list(parallel(joblib.delayed(inverse)(number) for number in numbers))
            assert sorted(parallel(joblib.delayed(abs)(-number) for number in range(7))) == list(range(7))


def test_two_generators_of_one_block_do_not_disturb_each_other(cluster: Cluster) -> None:
    with joblib.parallel_config(backend="argon", address=cluster.address, key=cluster.key, n_jobs=2):
        first = joblib.Parallel(return_as="generator")(joblib.delayed(abs)(-number) for number in range(30))
        second = joblib.Parallel(return_as="generator")(joblib.delayed(pow)(number, 2) for number in range(30))
        assert next(second) == 0
        assert list(first) == list(range(30))
        assert list(second) == [number**2 for number in range(1, 30)]


def test_an_input_that_raises_gives_what_came_before_it(client: Any) -> None:
    def calls() -> Iterator[Any]:
        yield joblib.delayed(abs)(-1)
        yield joblib.delayed(abs)(-2)
        raise LookupError("the third")

    with joblib.parallel_config(backend="argon", client=client, n_jobs=2):
        with pytest.raises(LookupError, match="the third"):
            joblib.Parallel()(calls())
        assert joblib.Parallel()(joblib.delayed(abs)(-number) for number in range(4)) == list(range(4))


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    code: int


def raising(kind: type[BaseException]) -> None:
    raise kind(5)


@pytest.mark.parametrize("kind", [Frozen, StopIteration, GeneratorExit, KeyboardInterrupt])
def test_whatever_a_task_raises_ends_the_call(client: Any, kind: type[BaseException]) -> None:
    with joblib.parallel_config(backend="argon", client=client, n_jobs=2), pytest.raises(BaseException) as caught:
        joblib.Parallel()(joblib.delayed(raising)(kind) for _ in range(3))
    assert kind.__name__ in {type(caught.value).__name__, type(caught.value.__cause__).__name__}


def test_a_call_ends_at_its_timeout(client: Any) -> None:
    with joblib.parallel_config(backend="argon", client=client, n_jobs=2), pytest.raises(multiprocessing.TimeoutError):
        joblib.Parallel(timeout=0.2)(joblib.delayed(time.sleep)(30) for _ in range(2))
    assert client.queue(abs, -1) == 1
