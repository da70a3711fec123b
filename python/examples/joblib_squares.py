"""joblib on the pool: one line more than on this machine.

usage: python joblib_squares.py [--manager HOST:PORT]
"""

from __future__ import annotations

import argparse

import joblib

import argon.joblib  # noqa: F401 - it makes the backend known


def digits(number: int) -> int:
    """Something that takes a while: the digits of a big power."""
    return len(str(3**number))


def main() -> None:
    """Runs it on the pool and prints what came."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manager")
    given = parser.parse_args()
    with joblib.parallel_config(backend="argon", address=given.manager, n_jobs=-1):
        found = joblib.Parallel()(joblib.delayed(digits)(number) for number in range(0, 4000, 100))
    print(f"3**{3900} has {found[-1]} digits; {len(found)} powers were computed on the pool")


if __name__ == "__main__":
    main()
