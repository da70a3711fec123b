"""scikit-learn on the pool: a grid search whose fits run on the workers, which need scikit-learn installed.

usage: python grid_search.py [--manager HOST:PORT]
Without scikit-learn here it says so and does the same search by hand, on numpy-free Python.
"""

from __future__ import annotations

import argparse

import joblib

import argon.joblib  # noqa: F401 - it makes the backend known


def main() -> None:
    """Searches and prints the best."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manager")
    given = parser.parse_args()
    with joblib.parallel_config(backend="argon", address=given.manager, n_jobs=-1):
        try:
            from sklearn.datasets import load_iris
            from sklearn.model_selection import GridSearchCV
            from sklearn.svm import SVC
        except ImportError:
            print("scikit-learn is not installed here; a search by hand:")
            by_hand()
            return
        search = GridSearchCV(SVC(), {"C": [0.1, 1, 10], "gamma": ["scale", 0.1, 1]})
        search.fit(*load_iris(return_X_y=True))
    print(f"best: {search.best_params_} with {search.best_score_:.3f}")


def loss(slope: float, offset: float) -> float:
    """How badly a line fits the squares."""
    return sum((slope * x + offset - x * x) ** 2 for x in range(10))


def by_hand() -> None:
    """The same shape of work without any package."""
    grid = [(slope / 2, offset) for slope in range(20) for offset in range(-15, 5)]
    losses = joblib.Parallel()(joblib.delayed(loss)(*point) for point in grid)
    best = min(range(len(grid)), key=losses.__getitem__)
    print(f"best: slope and offset {grid[best]} with a loss of {losses[best]:.1f}")


if __name__ == "__main__":
    main()
