"""Times that a user gives: numbers, timedeltas and text."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest

import argon
from argon._session.durations import seconds
from cluster import Cluster

HOUR = 3600.0


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (0, 0.0),
        (2, 2.0),
        (0.25, 0.25),
        ("90", 90.0),
        ("1.5", 1.5),
        ("90s", 90.0),
        ("5m", 300.0),
        ("1h30m", 1.5 * HOUR),
        ("1h 30m 15s", 1.5 * HOUR + 15),
        ("250ms", 0.25),
        (" 2 d ", 48 * HOUR),
        ("1.5h", 1.5 * HOUR),
        (timedelta(minutes=2), 120.0),
        (timedelta(days=1), 24 * HOUR),
    ],
)
def test_a_time_is_a_number_a_timedelta_or_text(given: Any, expected: float) -> None:
    assert seconds("timeout", given) == pytest.approx(expected)


@pytest.mark.parametrize(
    "given",
    [-1, "-1s", "", " ", "s", "5x", "5 5s", "1m1m", "1,5s", "nan", "inf", True, None, float("nan"), float("inf"),
     timedelta(seconds=-1), b"5s", [5], "5m nonsense"],
)  # fmt: skip
def test_what_is_no_time_is_refused_in_words(given: Any) -> None:
    with pytest.raises(argon.OptionError, match=r"timeout must be a time .*'1h30m'"):
        seconds("timeout", given)


def test_a_time_beyond_the_wire_is_refused() -> None:
    with pytest.raises(argon.OptionError, match="at most 4294967 seconds"):
        argon.Client("127.0.0.1:1", timeout="60d")


def test_options_take_every_form_of_a_time(cluster: Cluster) -> None:
    client = cluster.client(give_up_after=timedelta(seconds=30), backoff="10ms", retries=1)
    with pytest.raises(argon.TimedOut):
        client.with_options(timeout="100ms", retries=0).queue(time.sleep, 60)
    with pytest.raises(TimeoutError):
        client.defer(time.sleep, 1).result("10ms")
    with pytest.raises(TimeoutError):
        client.defer(time.sleep, 1).result(-1)


def test_call_is_another_name_of_queue(cluster: Cluster) -> None:
    assert cluster.client().call(pow, 2, 10) == 1024
