"""Calls what others wrote, on a pool and here, and compares: documented examples and functions of the standard library.

usage: python maint/corpus.py [--by reference|value|both] [--seed N] [--sample N] [--install] [PACKAGE...]

Without a package: the standard library, and of numpy, pandas and scikit-learn what is installed. `--install` makes a
virtual environment in target/corpus that has all three, and runs there. Prints how many calls were made, how many gave
the same, and which were refused and why. Its status is 1 if any result was wrong.
tests/corpus/test_corpus.py runs a sample.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "python" / part) for part in ("src", "tests", "tests/corpus")]

import units  # noqa: E402
from judge import Judge  # noqa: E402
from modules import EXCLUDED, NOT_CALLED, PURE, names  # noqa: E402

from cluster import Cluster  # noqa: E402

VENV = ROOT / "target" / "corpus"
PREAMBLES = {
    "stdlib": "",
    "numpy": "import numpy as np",
    "pandas": "import numpy as np, pandas as pd",
    "sklearn": "import numpy as np, sklearn",
}


#: The calls here get at the standard streams, too.
out = os.fdopen(os.dup(1), "w", buffering=1)


def main() -> int:
    asked = _arguments()
    if asked.install and Path(sys.prefix).resolve() != VENV.resolve():
        return _in_its_own_environment()
    packages = asked.packages or [name for name in PREAMBLES if name == "stdlib" or importlib.util.find_spec(name)]
    print(
        f"seed {asked.seed}; {len(names(' '.join(EXCLUDED.values())))} modules of the standard library are left out:",
        file=out,
    )
    for why, text in EXCLUDED.items():
        print(f"  {len(names(text)):4}  {why}", file=out)
    print(f"of the {len(PURE)} others these functions are not called:", file=out)
    for why, text in NOT_CALLED.items():
        print(f"  {len(names(text)):4}  {why}", file=out)
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.start_manager()
            cluster.add_worker(1)
            # Examples that write a file do so there.
            os.chdir(folder)
            wrong = sum(_run(cluster, package, way, asked) for package in packages for way in _ways(asked.by))
        finally:
            cluster.stop()
    return 1 if wrong else 0


def _run(cluster: Cluster, package: str, way: str, asked: argparse.Namespace) -> int:
    found = units.of_documentation(package, PREAMBLES[package]) if package != "stdlib" else units.of_library(asked.seed)
    if asked.sample:
        found = random.Random(asked.seed).sample(found, min(asked.sample, len(found)))
    judge = Judge(cluster.client(), way == "value", lambda line: print(f"wrong: {line}", file=out))
    begun = time.monotonic()
    judge.run(found)
    counts = judge.counts
    travelled = judge.tried - counts["refused"]
    share = 100 * travelled / (judge.tried or 1)
    print(
        f"\n{package}, by {way}: {len(judge.functions)} functions, {judge.tried} calls, "
        f"{travelled} travelled ({share:.2f} %), "
        f"{len(judge.wrong)} wrong, {time.monotonic() - begun:.0f} s",
        file=out,
    )
    for verdict, count in counts.most_common():
        print(f"  {count:6}  {verdict}", file=out)
    for reason, count in judge.refusals.most_common():
        print(f"  {count:6}  refused: {reason} ({judge.examples[reason]})", file=out)
    for label in judge.changed:
        print(f"          changed by pickle: {label}", file=out)
    return len(judge.wrong)


def _ways(by: str) -> list[str]:
    return ["reference", "value"] if by == "both" else [by]


def _in_its_own_environment() -> int:
    python = VENV / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "cloudpickle", "numpy", "pandas", "scikit-learn"], check=True
    )
    return subprocess.run([python, __file__, *sys.argv[1:]], check=False).returncode


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--by", choices=("reference", "value", "both"), default="both")
    parser.add_argument("--seed", type=int, default=12)
    parser.add_argument("--sample", type=int, default=0, help="so many functions of each package instead of all")
    parser.add_argument(
        "--install", action="store_true", help="run in target/corpus, with numpy, pandas and scikit-learn"
    )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=", ".join(PREAMBLES))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
