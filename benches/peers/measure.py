"""What the Python measurements share: how long, how many, and how a row looks."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

SLOTS = 2


def empty() -> None:
    """The task: nothing."""


def round_trip_us(call: Callable[[], Any], trips: int) -> float:
    """The median time of one call, in microseconds, after a tenth of them to warm up."""
    for _ in range(max(1, trips // 10)):
        call()
    times = []
    for _ in range(trips):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1e6


def tasks_per_second(run_all: Callable[[int], Any], tasks: int) -> float:
    """The rate of `tasks` tasks given at once, after a tenth of them to warm up."""
    run_all(max(1, tasks // 10))
    begun = time.perf_counter()
    run_all(tasks)
    return tasks / (time.perf_counter() - begun)


def row(system: str, trip_us: float | None, rate: float | None, note: str) -> None:
    """Prints the line that `run` puts into its table."""
    figures: Sequence[float | None] = (trip_us, rate)
    print("\t".join([system, *("-" if value is None else f"{value:.0f}" for value in figures), note]))
