"""What a task of one session changes in its process, no task of another session sees."""

from __future__ import annotations

from typing import Any, Callable

import pytest

import poison
import poison_seen
from cluster import Cluster


@pytest.fixture(scope="module")
def fresh(cluster: Cluster) -> Any:
    """What a task of a new session sees."""
    with cluster.client() as client:
        return client.by_value(poison_seen).queue(poison_seen.seen)


def spoil(cluster: Cluster, *poisons: Callable[[], Any]) -> None:
    """Runs them on all slots. What a poison does to its own outcome is its own affair."""
    with cluster.client() as client:
        client.by_value(poison)
        for one in poisons:
            for task in [client.defer(one) for _ in range(4)]:
                task.exception()


def seen_by_another(cluster: Cluster) -> list[Any]:
    with cluster.client() as client:
        client.by_value(poison_seen)
        return [task.result() for task in [client.defer(poison_seen.seen) for _ in range(4)]]


@pytest.mark.parametrize("one", poison.ALL, ids=lambda one: one.__name__)
def test_another_session_sees_a_fresh_process(
    cluster: Cluster, fresh: Any, one: Callable[[], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    spoil(cluster, one)
    capfd.readouterr()
    for seen in seen_by_another(cluster):
        assert seen == fresh
    out, err = capfd.readouterr()
    assert "poison" not in out + err


def test_all_of_it_at_once(cluster: Cluster, fresh: Any) -> None:
    with cluster.client() as poisoned:
        poisoned.by_value(poison)
        for one in poison.ALL:
            left = [poisoned.defer(one) for _ in range(2)]
            with cluster.client() as client:
                assert client.by_value(poison_seen).queue(poison_seen.seen) == fresh
            for task in left:
                task.exception()


def test_the_globals_of_one_session_stay_for_it(cluster: Cluster) -> None:
    def remember() -> None:
        import decimal

        decimal.getcontext().prec = 5

    with cluster.client() as client:
        client.queue(remember)
        precisions = {client.queue(lambda: __import__("decimal").getcontext().prec) for _ in range(4)}
    assert precisions <= {5, 28} and 5 in precisions
