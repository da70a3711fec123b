#!/usr/bin/env python3
"""What a task costs from Python to Python: prints one JSON object of figures, as perl.pl does."""

import argparse
import collections
import copy
import gc
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python" / "src"))

import argon  # noqa: E402


# Functions that are there on every worker: by reference, so that nothing but the call travels. A copy of bytes is themselves.
nothing = gc.isenabled
same = copy.copy
AT_A_TIME = 4


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--manager", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--trips", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=20000)
    parser.add_argument("--sizes", default="1024,65536,1048576,16777216,67108864")
    given = parser.parse_args()
    begun = time.perf_counter()
    with argon.Client(given.manager, key=given.key) as client:
        client.queue(nothing)
        first = time.perf_counter() - begun
        for deferred in [client.defer(nothing) for _ in range(2000)]:
            deferred.result()
        figures = {
            "first_result_ms": first * 1e3,
            "round_trip_us": round_trips(client, given.trips),
            "tasks_per_s": bulk(client, given.tasks),
            "payload_mib_per_s": {size: payload(client, int(size)) for size in given.sizes.split(",")},
        }
    print(json.dumps(figures))


def round_trips(client, count):
    micros = []
    for _ in range(count):
        begun = time.perf_counter()
        client.queue(nothing)
        micros.append((time.perf_counter() - begun) * 1e6)
    micros.sort()
    return {"p50": micros[count // 2], "p99": micros[count * 99 // 100]}


def bulk(client, count):
    begun = time.perf_counter()
    for deferred in [client.defer(nothing) for _ in range(count)]:
        deferred.result()
    return count / (time.perf_counter() - begun)


def payload(client, size):
    """Argument and result of so many bytes: what went there and back, MiB a second, four at a time."""
    times = max(12, min(8000, 2**29 // size))
    # The first ones find no memory at hand.
    echo(client, size, AT_A_TIME)
    begun = time.perf_counter()
    echo(client, size, times)
    return times * size / 2**20 / (time.perf_counter() - begun)


def echo(client, size, times):
    data = b"x" * size
    waiting = collections.deque()
    for _ in range(times):
        waiting.append(client.defer(same, data))
        if len(waiting) >= AT_A_TIME:
            waiting.popleft().result()
    for deferred in waiting:
        deferred.result()


main()
