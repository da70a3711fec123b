"""What is given to people: a wheel and an sdist that install into an empty environment and work there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import cloudpickle
import pytest

from cluster import ROOT, Cluster

PROGRAM = """
import argon, sys
assert "python/src" not in argon.__file__, argon.__file__
with argon.Client(sys.argv[1], key=sys.argv[2]) as client:
    print(client.queue(lambda number: number + 1, 41))
"""


def build(kind: str, folder: Path) -> Path:
    """Builds with the backend that pyproject.toml names, which needs no network."""
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*_cache")
    shutil.copytree(ROOT / "python", source, ignore=ignore)
    return built_in(source, kind, folder)


def built_in(source: Path, kind: str, folder: Path) -> Path:
    call = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", call, str(folder)], cwd=source, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / done.stdout.split()[-1]


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_empty_environment_can_install_it_and_call(cluster: Cluster, tmp_path: Path, kind: str) -> None:
    archive = build(kind, tmp_path)
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    site = Path(
        subprocess.run(
            [python, "-c", "import site; print(site.getsitepackages()[0])"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )
    # What pip would take from an index: the one package that is needed, from here.
    shutil.copytree(Path(cloudpickle.__file__).parent, site / "cloudpickle")
    if kind == "sdist":
        with tarfile.open(archive) as packed:
            packed.extractall(tmp_path / "unpacked", filter="data") if sys.version_info >= (
                3,
                12,
            ) else packed.extractall(tmp_path / "unpacked")
        unpacked = next((tmp_path / "unpacked").iterdir())
        assert (unpacked / "README.md").exists()
        archive = built_in(unpacked, "wheel", tmp_path)
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    installed = subprocess.run(
        [*pip, "install", "--no-index", "--no-deps", "--disable-pip-version-check", str(archive)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", PROGRAM, cluster.address, str(cluster.key)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "42\n"


def test_the_wheel_holds_types_and_the_runner_and_nothing_else(tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", tmp_path)) as wheel:
        names = wheel.namelist()
    assert "argon/py.typed" in names
    assert "argon/_code/payloads.py" in names
    assert not [name for name in names if not name.startswith(("argon/", "argon-"))]
