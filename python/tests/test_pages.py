"""The Python code in the guides and in python/README.md does what it says: all blocks of a page run as one program."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest

from cluster import ROOT, Cluster, argon

MODULES = ["__init__", "aio", "joblib"]
PAGES = [
    ROOT / "docs" / "guide" / "python.md",
    ROOT / "docs" / "guide" / "coming-from.md",
    ROOT / "python" / "README.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_code_of_the_page_runs(cluster: Cluster, page: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    text = "\n".join(blocks)
    for address in ("127.0.0.1:8000", "mgrhost:8000"):
        text = text.replace(address, cluster.address)
    program = cluster.run_python(["-c", text], {"ARGON_MANAGER": cluster.address, "ARGON_PROGRAM": argon()})
    assert program.finish(300) == 0, program.stderr


@pytest.mark.parametrize("module", MODULES)
def test_the_example_in_the_documentation_of_the_module_runs(cluster: Cluster, module: str) -> None:
    tree = ast.parse((ROOT / "python" / "src" / "argon" / f"{module}.py").read_text())
    lines = (ast.get_docstring(tree) or "").splitlines()
    text = textwrap.dedent("\n".join(line for line in lines if line.startswith("    ") or not line))
    program = cluster.run_python(["-c", text.replace("mgrhost:8000", cluster.address)])
    assert text.strip() and program.finish(60) == 0, program.stderr


@pytest.mark.parametrize("example", sorted((ROOT / "python" / "examples").glob("*.py")), ids=lambda path: path.name)
def test_the_example_runs(cluster: Cluster, example: Path) -> None:
    program = cluster.run_python([str(example), "--manager", cluster.address])
    assert program.finish(90) == 0, program.stderr
    assert program.stdout
