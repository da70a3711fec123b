"""What people see of clients, tasks and maps, in a terminal and in a notebook; it never waits for anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import argon
import argon.aio
from argon._shown import facts
from cluster import SOURCE, Cluster, wait_for

#: A package that hides the installed one.
HIDDEN = 'raise ImportError("hidden")\n'


def square(n: int) -> int:
    return n * n


def test_a_client_shows_where_it_is_without_connecting() -> None:
    client = argon.Client("mgrhost:8000,[::1]:9", key="/nowhere")
    begun = time.monotonic()
    assert repr(client) == "<argon.Client mgrhost:8000, [::1]:9: not connected yet>"
    assert repr(argon.aio.Client("mgrhost:1", key="/nowhere")) == "<argon.aio.Client mgrhost:1: not connected yet>"
    assert repr(argon.local()) == "<argon.Client a pool of this machine: not connected yet>"
    html = client._repr_html_()
    assert "argon status --manager mgrhost:8000" in html and html.startswith("<div>")
    client.shutdown()
    assert repr(client).endswith(": closed>")
    assert time.monotonic() - begun < 10


def test_a_client_shows_why_no_manager_was_reached() -> None:
    client = argon.Client("127.0.0.1:1", key="argon1-client-" + "5a" * 32)
    with pytest.raises(argon.Unreachable):
        client.queue(abs, -1)
    assert repr(client) == "<argon.Client 127.0.0.1:1: unreachable>"
    assert "No manager answers at 127.0.0.1:1" in client._repr_html_()


def test_states_and_counts_follow_the_tasks(cluster: Cluster, client: Any) -> None:
    assert client.queue(square, 2) == 4
    assert repr(client) == f"<argon.Client {cluster.address}: connected>"
    waits = client.with_options(label="a <b> & c").defer(time.sleep, 60)
    assert repr(client) == f"<argon.Client {cluster.address}: connected, 1 task unfinished>"
    assert repr(waits) == f"<argon.Deferred {waits.id} under way>"
    assert "a &lt;b&gt; &amp; c" in waits._repr_html_(), "text of others is escaped"
    waits.cancel()
    wait_for("its end", waits.done)
    assert repr(waits) == f"<argon.Deferred {waits.id} cancelled>"
    failed = client.defer(divmod, 1, 0)
    assert isinstance(failed.exception(), ZeroDivisionError)
    assert repr(failed) == f"<argon.Deferred {failed.id} error>"
    assert "ZeroDivisionError: " in failed._repr_html_()


def test_a_map_shows_what_was_taken_of_how_many(client: Any) -> None:
    results = client.map(square, range(10))
    assert repr(results) == "<argon map of square: 0 of 10 taken, 0 tasks under way>"
    assert next(results) == 0
    assert repr(results) == "<argon map of square: 1 of 10 taken, 9 tasks under way>"
    assert list(results)[-1] == 81
    assert repr(results) == "<argon map of square: 10 of 10 taken, ended>"
    endless = client.map(square, iter(range(10)), ordered=False, ahead=4)
    next(endless)
    assert repr(endless).startswith("<argon map of square: 1 taken, ")
    assert "10 of 10 taken" in results._repr_html_()


def test_an_executor_shows_its_calls(cluster: Cluster) -> None:
    executor = cluster.executor()
    assert repr(executor) == f"<argon.Executor {cluster.address}: not connected yet, 0 under way, 0 waiting>"
    future = executor.submit(time.sleep, 60)
    assert "1 under way, 0 waiting" in repr(executor)
    assert "1 under way" in executor._repr_html_()
    future.kill()
    executor.shutdown()
    assert "shut down" in repr(executor)


def test_a_function_has_the_name_that_people_give_it() -> None:
    from functools import partial

    names = [facts.name_of(one) for one in (square, partial(square, 1), str.upper, argon.perl("A::b"), Path)]
    assert names == ["square", "square", "upper", "A::b", "Path"]


MAPS = """
import asyncio, argon.aio

def square(n):
    return n * n

assert list(client.map(square, range(5), progress=True)) == [0, 1, 4, 9, 16]
assert dict(client.map(square, iter([3]), ordered=False, progress=True)) == {0: 9}
with argon.Executor(*sys.argv[1:2], key=sys.argv[2]) as executor:
    assert list(executor.map(square, range(7), chunksize=2, progress=True)) == [n * n for n in range(7)]

async def main():
    async with argon.aio.Client(sys.argv[1], key=sys.argv[2]) as own:
        assert [value async for value in own.map(square, range(6), progress=True)] == [n * n for n in range(6)]
        assert [pair async for pair in own.map(square, [2], ordered=False, progress=True)] == [(0, 4)]
asyncio.run(main())
try:
    list(client.map(lambda n: 1 / n, [1, 0], progress=True))
except ZeroDivisionError:
    print("raised")
"""


def test_maps_count_their_results_with_the_bar_of_tqdm(cluster: Cluster) -> None:
    pytest.importorskip("tqdm")
    ran = cluster.python(MAPS, cluster.address, str(cluster.key))
    assert ran.finish() == 0, ran.stderr
    assert ran.stdout == "raised\n"
    for end in ("square: 100%", "5/5", "1task", "7/7", "6/6", "1/1", "<lambda>:  50%"):
        assert end in ran.stderr, ran.stderr


def without_tqdm(folder: Path) -> dict[str, str]:
    (folder / "hiding" / "tqdm").mkdir(parents=True)
    (folder / "hiding" / "tqdm" / "__init__.py").write_text(HIDDEN)
    return {"PYTHONPATH": str(folder / "hiding")}


def test_without_tqdm_and_a_terminal_one_sentence_says_what_to_install(cluster: Cluster, tmp_path: Path) -> None:
    ran = cluster.python(MAPS, cluster.address, str(cluster.key), env=without_tqdm(tmp_path))
    assert ran.finish() == 0, ran.stderr
    assert ran.stderr == "argon: map(progress=True) has no bar here: pip install tqdm\n"


def test_without_tqdm_a_terminal_has_a_line_that_steps_aside_for_output(cluster: Cluster, tmp_path: Path) -> None:
    program = """
import argon, sys
client = argon.Client(sys.argv[1], key=sys.argv[2])
def work(n):
    print("at", n)
    return n
list(client.map(work, range(3), progress=True))
"""
    outer, inner = os.openpty()
    try:
        hiding = without_tqdm(tmp_path)["PYTHONPATH"]
        env = {**os.environ, "PYTHONPATH": f"{hiding}{os.pathsep}{SOURCE}"}
        command = [sys.executable, "-c", program, cluster.address, str(cluster.key)]
        subprocess.run(command, env=env, stdout=inner, stderr=inner, timeout=60, check=True)
        os.set_blocking(outer, False)
        shown = os.read(outer, 65_536).decode()
    finally:
        os.close(inner)
        os.close(outer)
    assert shown.startswith("\rwork: 0 of 3\r            \rat "), shown
    assert shown.rpartition("\r")[0].rpartition("\r")[2].startswith("work: 3 of 3 in "), shown


# --- a real notebook -------------------------------------------------------------------------------------------------


class Notebook:
    """A kernel of Jupyter, to which cells are sent."""

    def __init__(self, env: dict[str, str]):
        from jupyter_client.manager import start_new_kernel

        self.manager, self.client = start_new_kernel(kernel_name="python3", env=env, startup_timeout=120)

    def run(self, cell: str, interrupt_at: str | None = None) -> list[dict[str, Any]]:
        """The outputs of the cell, until it has ended."""
        asked = self.client.execute(cell)
        found: list[dict[str, Any]] = []
        while True:
            message = self.client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                return found
            found.append({"kind": kind, **content})
            if interrupt_at is not None and interrupt_at in str(content.get("text")):
                self.manager.interrupt_kernel()

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.mark.filterwarnings("ignore")
def test_cells_of_a_real_notebook(cluster: Cluster, tmp_path: Path) -> None:
    pytest.importorskip("ipykernel")
    pytest.importorskip("jupyter_client")
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path)}
    book = Notebook({**env, "ARGON_MANAGER": cluster.address, "ARGON_KEY": str(cluster.key)})
    try:
        (shown,) = (one for one in book.run("import argon; client = argon.Client(); client") if "data" in one)
        assert "<strong>argon.Client</strong>" in shown["data"]["text/html"]
        assert shown["data"]["text/plain"].startswith("<argon.Client ")
        cell = "def square(n):\n    print('at', n)\n    return n * n\nsum(client.map(square, range(5), progress=True))"
        outputs = book.run(cell)
        assert [one["data"]["text/plain"] for one in outputs if one["kind"] == "execute_result"] == ["30"]
        printed = "".join(one["text"] for one in outputs if one["kind"] == "stream" and one["name"] == "stdout")
        assert sorted(printed.split("\n")) == ["", *(f"at {n}" for n in range(5))]
        assert "5/5" in json.dumps([one for one in outputs if one.get("name") == "stderr" or "data" in one])
        slow = "def slow(n):\n    import time\n    print('runs', flush=True)\n    time.sleep(600)\n"
        outputs = book.run(slow + "list(client.map(slow, [1]))", interrupt_at="runs")
        assert [one["ename"] for one in outputs if one["kind"] == "error"] == ["KeyboardInterrupt"]
        wait_for("the task to be cancelled", lambda: not cluster.status()["running"])
    finally:
        book.stop()
