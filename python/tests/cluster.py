"""Starts the real program for a test: a manager, workers, other programs; all on loopback and on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "python" / "src"


def argon() -> str:
    """The program under test: that of ARGON_BIN, or the debug build of this checkout."""
    path = os.environ.get("ARGON_BIN") or str(ROOT / "target" / "debug" / "argon")
    assert os.path.exists(path), f"{path} is missing; run `cargo build -p argon-node` first, as `make test` does"
    return path


def wait_for(what: str, condition: Callable[[], T], seconds: float = 60.0) -> T:
    """Waits until the condition gives something that is true. The limit ends a hang and judges no speed."""
    until = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < until, f"waited {seconds} s in vain for {what}"
        time.sleep(0.01)


class Process:
    """A program whose output goes to files."""

    def __init__(self, name: str, command: list[str], folder: Path, env: dict[str, str] | None = None):
        self.name = name
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        # A manager that is given its port keeps its store here, not in the home of the user, where another test may have
        # left the store of the same port.
        env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), **(env or {})}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, env=env
            )
        self.pid = self.child.pid

    @property
    def stdout(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    def ready(self, fact: str) -> str:
        """A fact of the ready line."""

        def line() -> str | None:
            assert self.child.poll() is None, f"{self.name} ended instead of being ready: {self.stderr}"
            lines = [one for one in self.stdout.split("\n")[:-1] if one.startswith("argon-ready ")]
            return lines[0] if lines else None

        pairs = dict(pair.split("=", 1) for pair in wait_for(f"{self.name} to be ready", line).split()[1:])
        return pairs[fact]

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.child.poll() is None:
            self.child.send_signal(number)
        if number == signal.SIGKILL:
            self.child.wait(10)

    def finish(self, seconds: float = 60.0) -> int:
        """Waits for its end: its exit status."""
        return self.child.wait(seconds)


class Cluster:
    """Processes that share a key."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.key = folder / "key"
        self.address = ""
        self.manager: Process | None = None
        self.manager_options: list[str] = []
        self.workers: list[Process] = []
        self.processes: list[Process] = []
        self._clients: list[Any] = []

    def start_manager(self, *options: str) -> None:
        """Starts the manager, again on the port that it had."""
        self.manager_options = list(options) or self.manager_options
        port = self.address.rpartition(":")[2] or "0"
        command = [argon(), "manager", "--port", port, *self.manager_options, *self._key()]
        # The store of this user may be of another release, and of a manager that had this port.
        self.manager = self.start("manager", command, {"XDG_STATE_HOME": str(self.folder)})
        self.address = self.manager.ready("addr")

    def kill_manager(self) -> None:
        assert self.manager is not None
        self.manager.kill()

    def add_worker(
        self, slots: int = 2, *options: str, env: dict[str, str] | None = None, environments: bool = False
    ) -> Process:
        command = [argon(), "worker", "--port", "0", "--manager", self.address, "--workers", str(slots)]
        if not environments:
            command.append("--no-environments")
        if "--python" not in options and not environments:
            # A test is about this Python, whichever is the first of this machine.
            command += ["--python", sys.executable]
        worker = self.start("worker", [*command, *options, *self._key()], env)
        worker.ready("pid")
        self.workers.append(worker)
        return worker

    def client(self, **options: Any) -> Any:
        import argon as package

        client = package.Client(self.address, key=self.key, **options)
        self._clients.append(client)
        return client

    def executor(self, **options: Any) -> Any:
        import argon as package

        executor = package.Executor(self.address, key=self.key, **options)
        self._clients.append(executor)
        return executor

    def python(self, program: str, *arguments: str, env: dict[str, str] | None = None) -> Process:
        """Starts a Python program that finds `client`, connected to this cluster."""
        preamble = f"import argon, sys, os\nclient = argon.Client({self.address!r}, key={str(self.key)!r})\n"
        return self.run_python(["-c", preamble + program, *arguments], env)

    def run_python(self, arguments: list[str], env: dict[str, str] | None = None) -> Process:
        """Starts a Python that finds this checkout's package and this cluster's key."""
        path = os.pathsep.join(filter(None, [str(SOURCE), (env or {}).get("PYTHONPATH")]))
        every = {"ARGON_KEY": str(self.key), **(env or {}), "PYTHONPATH": path}
        return self.start("python", [sys.executable, *arguments], every)

    def status(self) -> dict[str, Any]:
        command = [argon(), "status", "--json", "--manager", self.address, *self._key()]
        said = subprocess.run(command, capture_output=True, timeout=20, check=True).stdout
        return json.loads(said)  # type: ignore[no-any-return]

    def start(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Process:
        process = Process(f"{name}-{len(self.processes)}", command, self.folder, env)
        self.processes.append(process)
        return process

    def stop(self) -> None:
        for client in self._clients:
            with contextlib.suppress(Exception):
                client.shutdown()
        for process in reversed(self.processes):
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _key(self) -> list[str]:
        return ["--key", str(self.key)]
