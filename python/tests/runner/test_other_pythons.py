"""Templates and clients in the other Pythons that this machine has, the oldest and the newest of them.

`scripts/test-versions` runs all tests in other Pythons, which takes systems of their own and too long for each change.
"""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from template_process import TemplateProcess, needs_templates

from argon._code import shipping
from cluster import Cluster

PACKAGES = str(Path(shipping.__file__).parent.parent.parent)
LIMIT_S = 60
#: Of Python 3: the oldest that the package supports, and one that is not there yet.
MINORS = range(9, 20)


def _others() -> list[str]:
    """One interpreter of each other version, the oldest first."""
    found: dict[int, str] = {}
    named = [shutil.which(f"python3.{minor}") for minor in MINORS]
    kept = glob.glob(str(Path.home() / ".pyenv/versions/*/bin/python3"))
    for program in (*named, *sorted(kept)):
        if program is None:
            continue
        asked = [program, "-c", "import sys; print(sys.version_info[0] * 1000 + sys.version_info[1])"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        version = int(answer.stdout) - 3000 if answer.returncode == 0 else -1
        if version in MINORS and version != sys.version_info[1]:
            found.setdefault(version, program)
    return [found[version] for version in sorted(found)]


OTHERS = _others()
ENDS = pytest.mark.parametrize("python", list(dict.fromkeys(OTHERS[:1] + OTHERS[-1:])))


@needs_templates
@ENDS
def test_a_template_of_another_python_forks_runners(python: str) -> None:
    with TemplateProcess(python) as template:
        runner = template.fork()
        assert not template.ready["version"].startswith(f"3.{sys.version_info[1]}.")
        assert runner.by_name("math:gcd", 12, 18).value == 6
        assert "No module named" in runner.by_name("nowhere:nothing").failure["message"]
        # Both looks after a task: what is put back, and what the runner leaves for.
        before = runner.by_name("os:getcwd").value
        assert runner.by_name("os:chdir", "/").status == 0
        assert runner.by_name("os:getcwd").value == before
        assert runner.by_name("os:open", "/", os.O_RDONLY).leaves
        assert runner.ended() == 0
        runner.release()


@ENDS
def test_a_client_in_another_python_calls_by_name(python: str, cluster: Cluster) -> None:
    program = """if True:
        import argon, sys
        with argon.Client(sys.argv[1], key=sys.argv[2], timeout=30) as client:
            print(client.queue(argon.python("math:gcd"), 12, 18))
            print(sorted(client.map(argon.python("math:factorial"), range(4))))
            try:
                client.queue(argon.python("math:gcd"), "x")
            except argon.TaskError as error:
                print(error)
    """
    ran = subprocess.run(
        [python, "-c", program, cluster.address, str(cluster.key)],
        env={**os.environ, "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert re.fullmatch(r"6\n\[1, 1, 2, 6\]\n.*TypeError: 'str' object.*\n", ran.stdout), ran.stdout
