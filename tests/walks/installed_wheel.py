#!/usr/bin/env python3
"""Packs an installed package of pure Python into a wheel, so that a walk can install it without a network.

usage: installed_wheel.py NAME FOLDER
"""

import glob
import os
import sys
import zipfile
from importlib import metadata

TESTS = glob.glob(os.path.join(os.path.dirname(__file__), "../../target/python-venv/lib/python3*/site-packages"))


def main(name: str, folder: str) -> None:
    """Writes the wheel."""
    found = list(metadata.distributions(name=name, path=[*TESTS, *sys.path]))
    if not found:
        sys.exit(f"{name} is not installed; scripts/setup installs it into target/python-venv")
    files = [one for one in found[0].files or () if "__pycache__" not in one.parts]
    with zipfile.ZipFile(os.path.join(folder, f"{name}-{found[0].version}-py3-none-any.whl"), "w") as wheel:
        for one in files:
            wheel.write(str(one.locate()), str(one))


main(*sys.argv[1:])
