"""Packs the program `argon` into the wheel where one is built; all else stands in pyproject.toml.

The program is the file that ARGON_PROGRAM names, else target/release/argon of this checkout. With it the wheel is for
its system, and its script `argon` is the program. Without it the wheel is for all systems, and its script finds a
program elsewhere, or tells how to get one. An empty ARGON_PROGRAM asks for the plain wheel.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel

from distutils.command.build_scripts import build_scripts  # isort: skip

HERE = Path(__file__).resolve().parent


def program():
    """The program to pack, or None. Raises if the one that was named cannot be packed."""
    named = os.environ.get("ARGON_PROGRAM")
    if named == "":
        return None
    # A build starts in this folder, and a relative name is meant from the checkout's.
    path = HERE.parent / (named or "target/release/argon")
    if not path.exists():
        if named:
            raise SystemExit(f"error: ARGON_PROGRAM: there is no {path}; build it with `make build`")
        return None
    version = re.search('VERSION = "(.*)"', (HERE / "src/argon/_version.py").read_text())[1]
    said = subprocess.run(
        [str(path.resolve()), "--version"], capture_output=True, text=True, check=False
    ).stdout.strip()
    if said == f"argon {version}":
        return path.resolve()
    problem = f"{path} is of another release than this package: it prints {said!r}, and the package is {version}"
    if named:
        raise SystemExit(f"error: ARGON_PROGRAM: {problem}")
    print(f"warning: the wheel gets no program: {problem}; build it anew with `make build`")
    return None


def platform(path):
    """The tag of systems that can run the program: by the newest symbol that it takes from the C library."""
    found = [(int(major), int(minor)) for major, minor in re.findall(rb"GLIBC_(\d+)\.(\d+)\b", path.read_bytes())]
    own = re.sub(r"\W", "_", sysconfig.get_platform())
    if not found or not own.startswith("linux_"):
        return own
    return own.replace("linux_", "manylinux_{}_{}_".format(*max(found)))


class Wheel(bdist_wheel):
    """A wheel for one system and all Pythons, since the program needs none."""

    def finalize_options(self):
        """Marks it as one that is not pure."""
        super().finalize_options()
        self.root_is_pure = PROGRAM is None

    def get_tag(self):
        """The tag of Python, ABI and system."""
        return super().get_tag() if PROGRAM is None else ("py3", "none", platform(PROGRAM))


class Scripts(build_scripts):
    """Copies the program as it is, without what only a debugger reads."""

    def run(self):
        """Puts it where the wheel takes scripts from."""
        target = Path(self.build_dir) / "argon"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROGRAM, target)
        strip = shutil.which("strip")
        if strip is not None:
            subprocess.run([strip, str(target)], check=False)
        target.chmod(0o755)


PROGRAM = program()
if PROGRAM is None:
    setup(entry_points={"console_scripts": ["argon = argon._local.command:main"]})
else:
    # The option `scripts` takes names in this folder; the class above knows better where the program is.
    setup(scripts=["argon"], cmdclass={"bdist_wheel": Wheel, "build_scripts": Scripts})
