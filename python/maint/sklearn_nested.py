"""Runs nested searches of scikit-learn on a pool: a grid search whose scores are cross-validated in the pool, too.

usage: PYTHON maint/sklearn_nested.py     (a Python with scikit-learn and cloudpickle)

It needs packages that the tests do not install, so it is a check of its own. Exits with 1 if a result differs from that
without a pool.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python" / "src"), str(ROOT / "python" / "tests")]

import joblib  # noqa: E402
from sklearn.datasets import make_classification  # type: ignore[import-untyped]  # noqa: E402
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # type: ignore[import-untyped]  # noqa: E402

import argon.joblib  # noqa: E402, F401 - makes the backend known
from cluster import Cluster  # noqa: E402


def scores(jobs: int) -> Any:
    """Cross-validated scores of a grid search, each level with its own jobs."""
    x, y = make_classification(200, random_state=0)
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, n_jobs=jobs, cv=3)
    return cross_val_score(search, x, y, n_jobs=jobs, cv=3)


def parents(n: int) -> list[int]:
    """The parents of the processes that run jobs of jobs."""
    return joblib.Parallel(n_jobs=2)(joblib.delayed(os.getppid)() for _ in range(n))


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start_manager()
            worker = cluster.add_worker(2)
            options = {"address": cluster.address, "key": str(cluster.key)}
            here = scores(1)
            with joblib.parallel_config(backend="argon", n_jobs=2, **options):
                there = scores(2)
                found = joblib.Parallel()(joblib.delayed(parents)(n) for n in (2, 3))
        finally:
            cluster.stop()
    is_right = list(here) == list(there) and {one for some in found for one in some} == {worker.pid}
    print(f"{'right' if is_right else 'WRONG'}: {list(here)} {list(there)}, jobs of jobs below {found}")
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
