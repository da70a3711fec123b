"""Whoever waits for more than two seconds is told for what, once; and a key that others can read opens nothing."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import argon
import argon.aio
from cluster import Cluster, Process, wait_for

LINE = "argon: waiting: "


def codes(told: list[dict[str, Any]]) -> list[str]:
    return [one["code"] for one in told]


def present(told: list[dict[str, Any]]) -> list[str]:
    """The codes, but for a manager that a busy machine keeps from answering."""
    return [code for code in codes(told) if code != "manager_away"]


def wait_until(done: Callable[[], Any], deferred: Any) -> None:
    """Waits for a result that does not come: only a call that waits is told for what."""
    until = time.monotonic() + 60
    while True:
        with pytest.raises(TimeoutError):
            deferred.result(5)
        if done():
            return
        assert time.monotonic() < until, "no reason was told"


# kind: the reason of a wait | a Python call on a pool without workers | loud | a warning names what is missing
def test_a_pool_without_workers_is_told_once_and_forgotten(
    own_cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "argon")
    told: list[dict[str, Any]] = []
    client, silent, hooked = (
        own_cluster.client(),
        own_cluster.client(on_waiting=None),
        own_cluster.client(on_waiting=told.append),
    )
    calls = [one.defer(abs, -1) for one in (client, silent, hooked)]
    wait_until(lambda: present(told), hooked.defer(abs, -1))
    assert present(told) == ["no_worker"]
    (reason,) = (one for one in told if one["code"] == "no_worker")
    assert reason["tasks"] == 2 and "worker" in reason["message"]
    with pytest.raises(TimeoutError):
        silent.defer(abs, -1).result(3)
    assert not caplog.messages

    def messages() -> list[str]:
        return [one for one in caplog.messages if "does not answer" not in one]

    wait_until(messages, calls[0])
    assert [one.startswith(LINE) for one in messages()] == [True] and "worker" in messages()[0]
    own_cluster.add_worker(1)
    assert [one.result(30) for one in calls] == [1, 1, 1]


def test_busy_slots_are_told_to_the_hook_only(own_cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "argon")
    own_cluster.add_worker(1)
    told: list[dict[str, Any]] = []
    hooked, client = own_cluster.client(on_waiting=told.append), own_cluster.client()
    slow = hooked.defer(time.sleep, 4)
    behind = [hooked.defer(abs, -1), client.defer(abs, -1)]
    assert [one.result(30) for one in behind] == [1, 1] and slow.result() is None
    assert present(told) == ["busy"]
    assert not [one for one in caplog.messages if "does not answer" not in one]


def test_a_full_queue_is_told(own_cluster: Cluster) -> None:
    own_cluster.kill_manager()
    own_cluster.start_manager("--queue-size", "2")
    told: list[dict[str, Any]] = []
    client = own_cluster.client(on_waiting=told.append)
    deferreds = [client.defer(abs, -number) for number in range(5)]
    wait_until(lambda: "queue_full" in codes(told), deferreds[-1])
    own_cluster.add_worker(1)
    assert [one.result(30) for one in deferreds] == list(range(5))


# kind: the reason of a wait | a manager that is frozen, for Python | loud | it is told of, and waited for
def test_a_manager_that_is_frozen_is_told(own_cluster: Cluster) -> None:
    told: list[dict[str, Any]] = []
    own_cluster.add_worker(1)
    assert own_cluster.manager is not None
    manager = own_cluster.manager

    def thaw(reason: dict[str, Any]) -> None:
        told.append(reason)
        manager.kill(signal.SIGCONT)

    with argon.Client(own_cluster.address, key=own_cluster.key, on_waiting=thaw) as client:
        assert client.queue(abs, -1) == 1
        manager.kill(signal.SIGSTOP)
        assert client.defer(abs, -2).result(60) == 2
    assert codes(told) == ["manager_away"]
    assert told[0]["message"] == f"the manager at {own_cluster.address} does not answer"


@pytest.mark.parametrize("kind", ["client", "executor", "asyncio"])
def test_a_manager_that_is_away_is_told(own_cluster: Cluster, kind: str) -> None:
    told: list[dict[str, Any]] = []
    given: dict[str, Any] = {"key": own_cluster.key, "on_waiting": told.append}
    own_cluster.add_worker(1)
    if kind == "asyncio":

        async def main() -> int:
            async with argon.aio.Client(own_cluster.address, **given) as client:
                assert await client.queue(abs, -1) == 1
                own_cluster.kill_manager()
                waiting = asyncio.ensure_future(client.queue(abs, -2))
                while not told:
                    await asyncio.sleep(0.01)
                own_cluster.start_manager()
                return await asyncio.wait_for(waiting, 60)

        assert asyncio.run(main()) == 2
    else:
        made: Any = argon.Client if kind == "client" else argon.Executor
        with made(own_cluster.address, **given) as pool:
            start = pool.defer if kind == "client" else pool.submit
            assert start(abs, -1).result(30) == 1
            own_cluster.kill_manager()
            call = start(abs, -2)
            wait_for("the reason", lambda: told)
            own_cluster.start_manager()
            assert call.result(60) == 2
    assert codes(told).count("manager_away") == 1 and codes(told)[0] == "manager_away"
    assert own_cluster.address in told[0]["message"]


EXIT = """
executor = argon.Executor(client._session.reconnect.addresses[0], key=os.environ["ARGON_KEY"], {options})
executor.submit(abs, -1).result()
print("ready", flush=True)
import time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.01)
[executor.submit(abs, -number) for number in range(2000)]
"""


# kind: the reason of a wait | a program that ends while its executor's manager is gone | loud | it says what it waits for
def test_a_program_says_what_its_end_waits_for(own_cluster: Cluster) -> None:
    program = left_alone(own_cluster, "")
    wait_for("both reasons", lambda: program.stderr.count(LINE) >= 2)
    assert "the program ends when" in program.stderr and "No manager answers at" in program.stderr
    program.kill(signal.SIGINT)
    program.finish(30)


def test_a_program_that_gives_up_ends(own_cluster: Cluster) -> None:
    begun = time.monotonic()
    program = left_alone(own_cluster, "give_up_after=1")
    assert program.finish(60) == 0, program.stderr
    assert time.monotonic() - begun < 30


def left_alone(cluster: Cluster, options: str) -> Process:
    cluster.add_worker(1)
    path = cluster.folder / "gone"
    program = cluster.python(EXIT.replace("{options}", options), str(path))
    wait_for("the program to be ready", lambda: "ready" in program.stdout)
    cluster.kill_manager()
    path.touch()
    return program


# kind: keys | a key file of mode 0644, for Python | loud | refused with the remedy
@pytest.mark.parametrize("way", ["option", "variable", "default"])
def test_a_key_that_others_can_read_is_refused_with_the_remedy(
    cluster: Cluster, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARGON_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "argon" / "key"
    path.parent.mkdir()
    path.write_text(cluster.key.read_text())
    if way == "variable":
        monkeypatch.setenv("ARGON_KEY", str(path))
    given = str(path) if way == "option" else None
    for mode in (0o644, 0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(argon.Unreachable, match=f"can be read by others; run: chmod 600 {path}"):
            argon.Client(cluster.address, key=given).connect()
    path.chmod(0o600)
    with argon.Client(cluster.address, key=given) as client:
        assert client.queue(abs, -1) == 1
    with pytest.raises(argon.Unreachable, match="is a folder"):
        argon.Client(cluster.address, key=str(tmp_path)).connect()


# kind: keys | what is not a key file, for Python | loud | refused for what it is, at once
def test_what_is_not_a_key_file_is_refused_for_what_it_is(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = cluster.key.read_text().strip()
    path = tmp_path / "key"

    def opens(text: str) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        with argon.Client(cluster.address, key=str(path)) as client:
            assert client.queue(abs, -1) == 1

    for text in (f"{line}\r\n", f"\n  {line}\n\n", f"\ufeff{line}\r\n"):
        opens(text)
    for text, said in (
        (f"{line}\n{line}\n", "not an Argon key"),
        ("\n", "is empty"),
        ("\0" * 100_000, "not an Argon key"),
    ):
        with pytest.raises(argon.Unreachable, match=said):
            opens(text)
    path.unlink()
    os.mkfifo(path, 0o600)
    for odd in (str(path), "/dev/zero"):
        with pytest.raises(argon.Unreachable, match="is not a regular file"):
            argon.Client(cluster.address, key=odd).connect()
    monkeypatch.delenv("ARGON_KEY", raising=False)
    for relative in ("", "config"):
        monkeypatch.setenv("HOME", relative)
        monkeypatch.setenv("XDG_CONFIG_HOME", relative)
        with pytest.raises(argon.Unreachable, match="names a folder from the root"):
            argon.Client(cluster.address).connect()
