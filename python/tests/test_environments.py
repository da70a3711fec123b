"""The environment of a client on a worker: its venv where the machine has it, else the worker's own Python."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest

import argon
from argon._session import environment
from cluster import SOURCE, Cluster, Process

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "environments.json"


def venv(folder: Path, **modules: str) -> Path:
    """A venv with cloudpickle and these modules installed in it: its interpreter."""
    command = [sys._base_executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(command, check=True, timeout=300)
    packages = folder / "lib" / VERSION / "site-packages"
    shutil.copytree(Path(cloudpickle.__file__).parent, packages / "cloudpickle")
    for name, text in modules.items():
        (packages / f"{name}.py").write_text(text)
    return folder / "bin" / "python3"


def program(cluster: Cluster, python: Path, text: str) -> Process:
    """Starts a program of that interpreter, with `client` connected to the cluster."""
    preamble = f"import argon, sys, os\nclient = argon.Client({cluster.address!r}, key={str(cluster.key)!r})\n"
    return cluster.start("program", [str(python), "-c", preamble + text], {"PYTHONPATH": str(SOURCE)})


def output(process: Process) -> str:
    status = process.finish(120)
    assert status == 0, process.stderr
    return process.stdout


WHERE = "def where():\n    import sys, os, mine\n    return sys.prefix, mine.NAME, os.environ.get('VIRTUAL_ENV')\n"


def test_marks_are_those_of_the_vectors() -> None:
    for vector in json.loads(VECTORS.read_text())["marks"]:
        config = vector["config"] and tuple(vector["config"])
        assert environment.mark(vector["prefix"], vector["folder"], tuple(vector["python"]), config) == vector["mark"]


def test_tasks_run_in_the_venvs_of_their_clients_side_by_side(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker(2, environments=True)
    pythons = [venv(tmp_path / name, mine=f"NAME = {name!r}\n") for name in ("one", "two")]
    text = f"{WHERE}for _ in range(20):\n    found = client.queue(where)\nprint(*found)\n"
    started = [program(own_cluster, python, text) for python in pythons]
    for name, process in zip(("one", "two"), started):
        assert output(process).split() == [str(tmp_path / name), name, str(tmp_path / name)]


def test_a_task_of_a_task_runs_in_the_same_venv(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker(2, environments=True)
    python = venv(tmp_path / "one", mine="NAME = 'one'\n")
    (tmp_path / "inner.py").write_text(WHERE)
    text = (
        f"sys.path.insert(0, {str(tmp_path)!r})\nimport inner\n"
        "def outer():\n    import argon\n    return argon.current_client().queue(inner.where)\n"
        "print(*client.queue(outer))\n"
    )
    assert output(program(own_cluster, python, text)).split()[:2] == [str(tmp_path / "one"), "one"]


@pytest.mark.parametrize("option", ["--no-environments", "environment=False"])
def test_without_environments_tasks_run_in_the_workers_python(
    own_cluster: Cluster, tmp_path: Path, option: str
) -> None:
    own_cluster.add_worker(1, "--python", sys._base_executable, environments=option != "--no-environments")
    python = venv(tmp_path / "one", mine="NAME = 'one'\n")
    text = f"client = argon.Client({own_cluster.address!r}, key={str(own_cluster.key)!r}, environment=False)\n"
    text = "" if option == "--no-environments" else text
    text += "def where():\n    import sys\n    return sys.prefix\nprint(client.queue(where))\n"
    found = output(program(own_cluster, python, text)).strip()
    assert (
        found
        == subprocess.check_output([sys._base_executable, "-c", "import sys; print(sys.prefix)"], text=True).strip()
    )


def test_a_folder_that_is_not_the_clients_is_not_used(own_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    own_cluster.add_worker(1, "--python", sys._base_executable, environments=True)
    own = argon._session.environment.of_program().meta
    assert own is not None and own["prefix"] == sys.prefix
    other = environment.Environment({**own, "mark": "0" * 32})
    monkeypatch.setattr(environment, "of_program", lambda: other)
    client = own_cluster.client()
    assert client.queue(lambda: __import__("sys").prefix) != sys.prefix
    monkeypatch.undo()
    assert own_cluster.client().queue(lambda: __import__("sys").prefix) == sys.prefix


def test_a_venv_that_does_not_start_leaves_tasks_to_the_workers_python(own_cluster: Cluster, tmp_path: Path) -> None:
    own_cluster.add_worker(1, "--python", sys._base_executable, environments=True)
    python = venv(tmp_path / "one")
    packages = tmp_path / "one" / "lib" / VERSION / "site-packages"
    text = (
        "def where():\n    import sys\n    return sys.prefix\n"
        f"open({str(packages / 'sitecustomize.py')!r}, 'w').write('import os; os._exit(3)')\n"
        "print(client.queue(where))\n"
    )
    assert output(program(own_cluster, python, text)).strip() != str(tmp_path / "one")


def test_a_missing_compiled_package_is_one_sentence_with_both_remedies(own_cluster: Cluster) -> None:
    import numpy

    worker = own_cluster.add_worker(1, "--python", sys._base_executable)
    client = own_cluster.client()
    for call in (lambda: client.queue(lambda: numpy.arange(3).sum()), lambda: client.queue(len, numpy.arange(3))):
        with pytest.raises(ModuleNotFoundError) as caught:
            call()
        message = str(caught.value)
        assert message.startswith("No module named 'numpy"), message
        for part in (
            f"on the worker {worker.ready('name')} (Python 3.",
            f"argon.Client(packages=['numpy=={numpy.__version__}'])",
            f"the environment of the client, {sys.prefix}",
        ):
            assert part in message, message
    # Nothing of it was fetched.
    assert not client.queue(lambda: [name for name in __import__("sys").modules if name.startswith("numpy")])


def test_the_environment_of_a_program_that_brings_its_python_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    environment._of_interpreter.cache_clear()
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert environment.of_program().meta is None
    environment._of_interpreter.cache_clear()
    monkeypatch.undo()
    monkeypatch.setattr(sys, "executable", os.devnull)
    assert environment.of_program().meta is None
    environment._of_interpreter.cache_clear()
