#!/usr/bin/env python3
"""What a task costs from Python to Python: prints one JSON object of figures, as perl.pl does."""

import argparse
import gc
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python" / "src"))

import argon  # noqa: E402


# A function that is there on every worker: by reference, so that nothing but the call travels.
nothing = gc.isenabled


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--manager", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--trips", type=int, default=2000)
    parser.add_argument("--tasks", type=int, default=20000)
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


main()
