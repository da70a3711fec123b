"""Estimates pi on all slots of the pool, and shows the estimate as it gets better.

usage: python monte_carlo.py [--manager HOST:PORT] [--batches N]
"""

from __future__ import annotations

import argparse
import random

import argon


def hits(seed: int, points: int = 100_000) -> int:
    """How many random points of the unit square lie in the circle."""
    chance = random.Random(seed)
    return sum(chance.random() ** 2 + chance.random() ** 2 < 1 for _ in range(points))


def main() -> None:
    """Prints the estimate after each tenth of the batches."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manager")
    parser.add_argument("--batches", type=int, default=40)
    given = parser.parse_args()
    inside = 0
    with argon.Client(given.manager) as client:
        results = client.map(hits, range(given.batches), ordered=False)
        for done, (_, found) in enumerate(results, 1):
            inside += found
            if done % max(1, given.batches // 10) == 0:
                print(f"{done:>4} batches: pi is about {4 * inside / (done * 100_000):.5f}")


if __name__ == "__main__":
    main()
