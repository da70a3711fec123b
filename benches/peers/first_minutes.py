#!/usr/bin/env python3
"""Measures the first five minutes of a Python person: from an empty folder to the first result of an own function.

For each system: a new environment, what `pip install` brings into it, and a program that maps an own function. Prints a
table in Markdown. A time is the least of some runs, because other programs run on the machine, too; so the table has the
CPU time of all processes of a run as well. pip uses no cache. The environment itself takes the same time for all, and is
left out.

usage: first_minutes.py [--wheel FILE] [--runs N] [--folder FOLDER] [NAME...]
    --wheel   the wheel of Argon [the newest in dist/, from `make wheel`]
    NAME      the systems; without a name: all
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULT = "328350"

SYSTEMS: dict[str, tuple[str, str]] = {
    "argon": (
        "WHEEL",
        """\
import argon

def square(n):
    return n * n

print(sum(argon.Client().map(square, range(100))))
""",
    ),
    "standard library": (
        "",
        """\
from concurrent.futures import ProcessPoolExecutor

def square(n):
    return n * n

if __name__ == "__main__":
    with ProcessPoolExecutor() as pool:
        print(sum(pool.map(square, range(100))))
""",
    ),
    "joblib": (
        "joblib",
        """\
from joblib import Parallel, delayed

def square(n):
    return n * n

print(sum(Parallel(n_jobs=-1)(delayed(square)(n) for n in range(100))))
""",
    ),
    "Dask": (
        "distributed",
        """\
from dask.distributed import Client

def square(n):
    return n * n

if __name__ == "__main__":
    client = Client()
    print(sum(client.gather(client.map(square, range(100)))))
""",
    ),
    "Ray": (
        "ray",
        """\
import ray

@ray.remote
def square(n):
    return n * n

print(sum(ray.get([square.remote(n) for n in range(100)])))
""",
    ),
}


def main() -> None:
    """Prints a row for each system."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="first-minutes-"))
    rows = ["| system | version | packages | MB | lines of program | install | run | CPU of a run |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    try:
        for name in given.names or SYSTEMS:
            rows.append(row(name, folder / name.replace(" ", "-"), given))
            print(rows[-1], file=sys.stderr)
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(rows))


def row(name: str, folder: Path, given: argparse.Namespace) -> str:
    """Installs and runs one system."""
    package, program = SYSTEMS[name]
    if package == "WHEEL":
        package = str(given.wheel or max((ROOT / "dist").glob("argon_pool-*.whl"), key=os.path.getmtime))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "home").mkdir()
    python = folder / "env" / "bin" / "python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    (folder / "first.py").write_text(program)
    installed = []
    for _ in range(2):
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder / "env"], check=True)
        before = size_of(folder / "env")
        begun = time.monotonic()
        if package:
            subprocess.run([*pip, "install", "--no-cache-dir", package], check=True)
        installed.append(time.monotonic() - begun)
        size = size_of(folder / "env") - before
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout.split("\n")[:-1]
    run(folder, python)
    runs = [run(folder, python) for _ in range(given.runs)]
    names = {"distributed": "dask", "": "python"}
    version = next((one.partition("==")[2] for one in frozen if one.startswith(names.get(package, package) + "==")), "")
    if name == "argon":
        version = Path(package).name.split("-")[1]
    lines = sum(1 for line in program.splitlines() if line.strip())
    wall, cpu = (min(times) for times in zip(*runs))
    seconds = f"{min(installed):.1f} s | {wall:.2f} s | {cpu:.2f} s"
    shown = version or sys.version.split()[0]
    return f"| {name} | {shown} | {len(frozen)} | {size / 1e6:.0f} | {lines} | {seconds} |"


def run(folder: Path, python: Path) -> tuple[float, float]:
    """Seconds that the program takes, and those of its CPU and of all that it has started."""
    env = {"HOME": str(folder / "home"), "PATH": f"{python.parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    ran = subprocess.run(
        [python, "first.py"], check=False, cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    spent = time.monotonic() - begun
    if ran.returncode or RESULT not in ran.stdout:
        sys.exit(f"{folder.name}: ended with {ran.returncode}: {ran.stdout}{ran.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def size_of(folder: Path) -> int:
    """Bytes of the files below."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    main()
