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

import argon as package
from cluster import ROOT, SOURCE, Cluster, argon

PROGRAM = """
import argon, sys
assert "python/src" not in argon.__file__, argon.__file__
with argon.Client(sys.argv[1], key=sys.argv[2]) as client:
    print(client.queue(lambda number: number + 1, 41))
"""


def build(kind: str, folder: Path, program: str = "") -> Path:
    """Builds with the backend that pyproject.toml names, which needs no network."""
    source = folder / "source"
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", ".*_cache")
    shutil.copytree(ROOT / "python", source, ignore=ignore)
    return built_in(source, kind, folder, program)


def built_in(source: Path, kind: str, folder: Path, program: str = "") -> Path:
    call = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", call, str(folder)],
        cwd=source,
        env={**os.environ, "ARGON_PROGRAM": program},
        capture_output=True,
        text=True,
        check=False,
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
        scripts = wheel.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert scripts.split() == ["[console_scripts]", "argon", "=", "argon._local.command:main"]
    assert "argon/py.typed" in names
    assert "argon/_code/payloads.py" in names
    assert not [name for name in names if not name.startswith(("argon/", "argon_pool-"))]


def test_a_wheel_with_the_program_is_for_its_system_and_of_its_release(tmp_path: Path) -> None:
    archive = build("wheel", tmp_path, argon())
    assert archive.name.startswith("argon_pool-") and "-py3-none-manylinux_2_" in archive.name, archive.name
    with zipfile.ZipFile(archive) as wheel:
        packed = next(one for one in wheel.infolist() if one.filename.endswith(".data/scripts/argon"))
        assert not [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
        program = Path(wheel.extract(packed, tmp_path))
    program.chmod(0o755)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["argon", package.__version__]


def test_a_program_of_another_release_is_not_packed(tmp_path: Path) -> None:
    other = tmp_path / "argon"
    other.write_text("#!/bin/sh\necho argon 9.9.9\n")
    other.chmod(0o755)
    with pytest.raises(AssertionError, match=r"another release than this package: it prints 'argon 9\.9\.9'"):
        build("wheel", tmp_path, str(other))


def test_the_script_of_a_plain_package_finds_the_program_or_tells_how_to_get_one(tmp_path: Path) -> None:
    def script(**env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from argon._local.command import main; main()", "--version"]
        every = {"PYTHONPATH": str(SOURCE), "PATH": str(tmp_path), **env}
        return subprocess.run(command, env=every, capture_output=True, text=True, check=False)

    # What pip would write there finds itself first.
    own = tmp_path / "argon"
    own.write_text(f"#!{sys.executable}\nfrom argon._local.command import main\nmain()\n")
    own.chmod(0o755)
    without = script()
    assert without.returncode == 1
    assert "this package has no program" in without.stderr and "make wheel" in without.stderr
    assert script(ARGON_PROGRAM=argon()).stdout.startswith("argon ")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "argon").symlink_to(argon())
    assert script(PATH=f"{tmp_path}{os.pathsep}{tmp_path / 'bin'}").stdout.startswith("argon ")
    broken = script(ARGON_PROGRAM=str(tmp_path / "none"))
    assert broken.returncode == 1 and "does not start: No such file" in broken.stderr
