"""Packages that a client lists: a worker installs them once, and tasks of the client have them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import shutil
import socket
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest

import argon
from argon import aio
from argon._session import packages
from cluster import Cluster, wait_for


def wheel(folder: Path, name: str = "parcel", version: str = "1.0") -> None:
    """A wheel with one module that knows its version."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"NAME = '{name} {version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text)}\n"
    files[f"{info}/RECORD"] = record + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


def add_worker(cluster: Cluster, index: str, *options: str) -> Any:
    cache = {"XDG_CACHE_HOME": str(cluster.folder / "cache")}
    options = ("--python", sys._base_executable, "--python-index", index, *options)
    return cluster.add_worker(2, *options, env=cache, environments=True)


def _by_value() -> Any:
    def name() -> Any:
        import parcel

        return parcel.NAME

    return name


name = _by_value()


def test_a_list_is_installed_once_for_all_workers_and_clients(own_cluster: Cluster, tmp_path: Path) -> None:
    index = tmp_path / "wheels"
    for version in ("1.0", "2.0"):
        wheel(index, version=version)
    worker = add_worker(own_cluster, f"file://{index}")
    client = own_cluster.client(packages=["parcel==1.0"])
    assert client.queue(name) == "parcel 1.0"
    assert own_cluster.client(packages=["parcel == 2.0"]).queue(name) == "parcel 2.0"
    # Side by side on the same slots.
    assert set(client.map(lambda _: name(), range(20))) == {"parcel 1.0"}
    with pytest.raises(ModuleNotFoundError):
        own_cluster.client(environment=False).queue(name)
    worker.kill()
    shutil.rmtree(index)
    index.mkdir()
    add_worker(own_cluster, f"file://{index}")
    # Nothing is left to install it from.
    assert own_cluster.client(packages=["parcel==1.0"]).queue(name) == "parcel 1.0"


def test_every_kind_of_client_and_the_tasks_of_its_tasks_have_the_packages(
    own_cluster: Cluster, tmp_path: Path
) -> None:
    import joblib

    import argon.joblib

    wheel(tmp_path / "wheels")
    add_worker(own_cluster, str(tmp_path / "wheels"))
    place: dict[str, Any] = {"key": own_cluster.key, "packages": ["parcel"]}
    with argon.Executor(own_cluster.address, **place) as executor:
        assert executor.submit(name).result(120) == "parcel 1.0"

    async def main() -> Any:
        async with aio.Client(own_cluster.address, **place) as client:
            return await client.queue(name)

    assert asyncio.run(main()) == "parcel 1.0"
    with joblib.parallel_config(backend="argon", address=own_cluster.address, **place):
        assert joblib.Parallel(2)(joblib.delayed(name)() for _ in range(3)) == ["parcel 1.0"] * 3

    def outer() -> Any:
        return argon.current_client().queue(name)

    assert own_cluster.client(packages=["parcel"]).queue(outer) == "parcel 1.0"


def test_a_broken_list_ends_tasks_with_the_words_of_the_installer(own_cluster: Cluster, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels")
    worker = add_worker(own_cluster, str(tmp_path / "wheels"))
    client = own_cluster.client(packages=["parcel==9", "parcel-two"])
    for _ in range(2):
        with pytest.raises(argon.Died) as caught:
            client.queue(name)
        message = str(caught.value)
        assert f"the 2 packages of the task cannot be installed on worker {worker.ready('name')}" in message, message
        assert "No matching distribution found" in message or "no version" in message, message
    assert own_cluster.client(packages=["parcel"]).queue(name) == "parcel 1.0"


def test_a_worker_that_installs_nothing_says_so(own_cluster: Cluster) -> None:
    own_cluster.add_worker(1, "--no-packages", environments=True)
    with pytest.raises(argon.Died, match="installs no packages"):
        own_cluster.client(packages=["parcel"]).queue(name)


def test_a_waiting_client_is_told_of_the_build_and_ends_it_by_cancelling(own_cluster: Cluster) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        worker = add_worker(own_cluster, f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        reasons: list[dict[str, Any]] = []
        client = own_cluster.client(packages=["parcel", "other"], on_waiting=reasons.append)
        deferred = client.defer(name)
        silent.settimeout(120)
        connection, _ = silent.accept()
        with connection:
            result: list[BaseException] = []

            def wait() -> None:
                try:
                    deferred.result(120)
                except BaseException as error:
                    result.append(error)

            thread = threading.Thread(target=wait)
            thread.start()
            found = wait_for("the notice", lambda: [one for one in reasons if one["code"] == "environment"], 120)
            assert found[0]["message"].startswith(
                f"1 task waits: worker {worker.ready('name')} is installing 2 packages ("
            ), found
            # Tasks that need none go on.
            assert own_cluster.client(environment=False).queue(len, "abc") == 3
            deferred.cancel()
            thread.join(120)
            assert isinstance(result[0], argon.Cancelled)
            connection.settimeout(120)
            while connection.recv(4096):
                pass


def test_files_that_name_packages_are_read_here(tmp_path: Path) -> None:
    (tmp_path / "base.txt").write_text("one==1\n")
    text = "# mine\n-r base.txt\ntwo[extra]>=2 ; python_version > '3'  # why\nthree==3 \\\n    --hash=sha256:abc\n\n"
    (tmp_path / "requirements.txt").write_text(text)
    expected = ["one==1", "three==3", "two[extra]>=2 ; python_version > '3'"]
    assert packages.requirements(str(tmp_path / "requirements.txt")) == expected
    if sys.version_info < (3, 11):
        return
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'mine'\ndependencies = ['b>1', 'a']\n")
    assert packages.requirements(tmp_path / "pyproject.toml") == ["a", "b>1"]
    (tmp_path / "uv.lock").write_text(
        "version = 1\n[[package]]\nname = 'mine'\nversion = '0'\nsource = { virtual = '.' }\n"
        "[[package]]\nname = 'a'\nversion = '1.2'\nsource = { registry = 'https://example.org/simple' }\n"
    )
    assert packages.requirements(tmp_path / "uv.lock") == ["a==1.2"]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ([], "names no package"),
        (["a", 7], "has 7, which is not text"),
        (["--index-url=x"], "not a requirement"),
        (["a\nb"], "not a requirement"),
        ("no-such-file.txt", "there is no such file"),
    ],
)
def test_what_is_no_list_of_packages_is_refused(given: Any, part: str) -> None:
    with pytest.raises(argon.OptionError, match=part):
        argon.Client("127.0.0.1:1", packages=given)
    with pytest.raises(argon.OptionError, match="a worker has its own index"):
        options = Path(__file__).with_name("requirements_with_options.txt")
        try:
            options.write_text("--index-url https://example.org/simple\na\n")
            packages.requirements(options)
        finally:
            options.unlink()
