"""A program that names no manager gets a pool of this machine, which ends with it and is nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import SOURCE, Cluster, Process, argon, wait_for

#: Where nothing listens: an own network would need root.
QUIET = """
import argon, os, signal, sys, threading
from argon._wire import address
address.DEFAULT_PORT = int(os.environ.get("DEFAULT_PORT", "1"))

def pools():
    from argon._local import pool
    return [one._process.pid for one in pool.running()]
"""


class Home:
    """A user without a key, a manager or variables, whose programs find the program `argon`."""

    def __init__(self, folder: Path):
        self.folder = folder
        (folder / "home").mkdir()
        self._started = 0

    def env(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("ARGON_", "XDG_"))}
        return {**kept, "HOME": str(self.folder / "home"), "PYTHONPATH": str(SOURCE), "ARGON_PROGRAM": argon(), **more}

    def start(self, program: str, **env: str) -> Process:
        self._started += 1
        name = f"python-{self._started}"
        command = [sys.executable, "-c", QUIET + program]
        full = self.env(**env)
        # `Process` adds to the environment of the tests, and a variable of theirs must not get in.
        wrapped = ["env", "-i", *(f"{key}={value}" for key, value in full.items()), *command]
        return Process(name, wrapped, self.folder)

    def run(self, program: str, **env: str) -> str:
        ran = self.start(program, **env)
        assert ran.finish() == 0, ran.stderr
        return ran.stdout

    def fails(self, program: str, **env: str) -> str:
        ran = self.start(program, **env)
        assert ran.finish() == 1, ran.stdout
        return ran.stderr


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # Nobody reaps the children of a killed program where there is no init.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def assert_gone(*pids: int) -> None:
    for pid in pids:
        wait_for(f"the end of {pid}", lambda pid=pid: is_gone(pid))


def test_a_program_that_names_nothing_gets_a_pool_that_ends_with_it(home: Home) -> None:
    ran = home.start("""
client, other = argon.Client(), argon.Client()
print(list(client.map(lambda n: n * n, range(5))), other.queue(os.getpid) != os.getpid())
print(*pools(), sum(int(line.split()[1]) for line in [f"x {client.status()['slots_total']}"]))
""")
    assert ran.finish() == 0, ran.stderr
    first, second = ran.stdout.splitlines()
    assert first == "[0, 1, 4, 9, 16] True"
    pid, slots = map(int, second.split())
    assert slots == len(os.sched_getaffinity(0))
    assert is_gone(pid)
    assert ran.stderr == "", "nothing is printed where no terminal is"
    assert not [path for path in (home.folder / "home").rglob("*") if path.is_file()], "and nothing is left"


def test_the_pool_ends_at_once_when_the_program_is_killed_while_a_task_runs(home: Home) -> None:
    program = home.start("""
def work():
    import os, time
    print("task", os.getpid(), flush=True)
    time.sleep(600)

argon.Client().connect()
print("pool", *pools(), flush=True)
argon.Client().queue(work)
""")

    def pids() -> dict[str, int]:
        words = [line.split() for line in program.stdout.splitlines()]
        return {one[0]: int(one[1]) for one in words if len(one) == 2}

    wait_for("the task to run", lambda: "task" in pids())
    os.kill(program.pid, signal.SIGKILL)
    program.finish()
    assert_gone(pids()["pool"], pids()["task"])


def test_the_interrupt_of_a_terminal_is_for_the_program_alone(home: Home) -> None:
    said = home.run("""
client = argon.local()
client.connect()
print(os.getpgid(pools()[0]) != os.getpgid(0), os.getsid(pools()[0]) != os.getsid(0))
""")
    assert said == "True True\n"


def test_forks_share_the_pool_and_keep_it_as_long_as_they_need_it(home: Home) -> None:
    program = home.start("""
client = argon.Client()
print(client.queue(int, "1"), *pools(), flush=True)
reader, writer = os.pipe()
if os.fork() == 0:
    os.close(writer)
    os.read(reader, 1)     # its parent has ended
    print(client.queue(int, "2"), argon.Client().queue(int, "3"), *pools(), flush=True)
    os._exit(0)
os.close(reader)
os._exit(0)
""")
    assert program.finish() == 0, program.stderr
    both = wait_for("the fork", lambda: program.stdout if program.stdout.count("\n") == 2 else "").split()
    assert both[0] == "1" and both[2:4] == ["2", "3"] and both[1] == both[4]
    assert_gone(int(both[1]))


def test_a_manager_that_answers_is_used_and_one_that_refuses_the_key_is_an_error(home: Home, cluster: Cluster) -> None:
    port = cluster.address.rpartition(":")[2]
    config = home.folder / "home" / ".config" / "argon"
    config.mkdir(parents=True)
    (config / "key").write_text(cluster.key.read_text())
    (config / "key").chmod(0o600)
    said = home.run("print(argon.Client().queue(int, '7'), pools())", DEFAULT_PORT=port)
    assert said == "7 []\n"
    (config / "key").write_text("argon1-cluster-" + "ab" * 32)
    said = home.fails("argon.Client().queue(int)", DEFAULT_PORT=port)
    assert "does not open the manager" in said
    assert 'A pool of this program alone is argon.local(), or the address "local"' in said
    (config / "key").unlink()
    assert "There is no cluster key" in home.fails("argon.Client().queue(int)", DEFAULT_PORT=port)


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"ARGON_MANAGER": "127.0.0.1:1"}, "No manager answers at 127.0.0.1:1 (Connection refused)"),
        ({"ARGON_MANAGER": ""}, "ARGON_MANAGER is set, but empty"),
        ({"ARGON_MANGER": "mgrhost:8000"}, "ARGON_MANGER is set, which looks like ARGON_MANAGER with a mistake in it"),
        ({"ARGON_KEY": "argon1-cluster-" + "ab" * 32}, "ARGON_KEY names the key of a manager"),
    ],
)
def test_an_environment_that_may_mean_a_manager_starts_no_pool(
    home: Home, variables: dict[str, str], reason: str
) -> None:
    key = {"ARGON_KEY": "argon1-cluster-" + "ab" * 32} if variables.get("ARGON_MANAGER") else {}
    said = home.fails("argon.Client().queue(int)", **variables, **key)
    assert "argon.errors.Unreachable" in said and reason in said, said


def test_without_the_program_the_error_names_both_remedies(home: Home) -> None:
    said = home.fails("argon.Client().queue(int)", ARGON_PROGRAM="", PATH="/nowhere")
    assert "No manager answers at 127.0.0.1:1" in said
    assert "start one there with `argon up`" in said or "`argon manager` or `argon up`" in said
    assert "the program `argon` was not found" in said and "PATH or ARGON_PROGRAM" in said
    said = home.fails("argon.local().queue(int)", ARGON_PROGRAM="/nowhere/argon")
    assert "A pool of this machine could not be started: /nowhere/argon does not start: No such file" in said
    said = home.fails("argon.local().queue(int)", ARGON_PROGRAM="/bin/false")
    assert "`/bin/false up --until-eof` was not ready: it printed nothing" in said


def test_local_asks_for_it_with_a_number_of_workers_in_every_client(home: Home) -> None:
    said = home.run(
        """
import argon.aio, asyncio
with argon.local(workers=3) as client, argon.local(workers=3) as same, argon.Executor("local") as executor:
    print(client.status()["slots_total"], same.queue(int, "1"), executor.submit(int, "2").result(), len(pools()))
async def main():
    async with argon.aio.Client("local") as client:
        print(await client.queue(int, "3"), len(pools()))
asyncio.run(main())
for wrong in (lambda: argon.local(workers=0), lambda: argon.Client("local", key="x")):
    try:
        wrong()
    except argon.OptionError as error:
        print(error)
""",
        ARGON_MANAGER="mgrhost:8000",
    )
    assert said.splitlines() == [
        "3 1 2 2",
        "3 2",
        "local: workers must be a whole number from 1 to 4096, not 0",
        "Client: a pool of this program makes its own key; leave out key",
    ]


def test_an_executor_of_many_workers_has_as_many_slots(home: Home) -> None:
    said = home.run("""
import time
with argon.Executor(7) as executor, argon.Executor(1) as small, argon.Client() as client:
    list(executor.map(time.sleep, [0.01] * 7))
    small.submit(int).result()
    print(executor._client.status()["slots_total"], small._client.status()["slots_total"])
    print(client.status()["slots_total"], len(pools()))
""")
    cpus = len(os.sched_getaffinity(0))
    pools = 2 if cpus < 7 else 1
    assert said.split() == [str(max(7, cpus)), str(cpus), str(cpus), str(pools)]


def test_threads_that_begin_together_share_one_pool(home: Home) -> None:
    said = home.run("""
import logging
seen = []
logging.getLogger("argon").setLevel(logging.INFO)
handler = logging.Handler()
handler.emit = lambda record: seen.append(record.getMessage())
logging.getLogger("argon").addHandler(handler)
clients = [argon.Client() for _ in range(8)]
threads = [threading.Thread(target=client.queue, args=(int,)) for client in clients]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(len(pools()), len(seen))
""")
    assert said == "1 1\n"


def test_joblib_takes_the_pool_too(home: Home) -> None:
    said = home.run("""
import joblib, argon.joblib
with joblib.parallel_config(backend="argon", address="local"):
    print(joblib.Parallel()(joblib.delayed(pow)(n, 2) for n in range(4)))
""")
    assert said == "[0, 1, 4, 9]\n"


def test_ctrl_c_in_a_terminal_ends_the_program_and_its_pool(home: Home) -> None:
    program = (
        QUIET
        + """
def work():
    import time
    print("runs", flush=True)
    time.sleep(600)

client = argon.Client()
client.connect()
print("pid", *pools(), flush=True)
client.queue(work)
"""
    )
    script = home.folder / "script.py"
    script.write_text(program)
    # Another process has the terminal, because this one has threads and must not fork.
    spawn = [sys.executable, "-c", "import pty, sys; pty.spawn(sys.argv[1:])", sys.executable, str(script)]
    shown = b""
    with subprocess.Popen(spawn, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=home.env()) as terminal:
        assert terminal.stdin and terminal.stdout
        while b"runs" not in shown:
            shown += os.read(terminal.stdout.fileno(), 4096)
        terminal.stdin.write(b"\x03")
        terminal.stdin.flush()
        shown += terminal.stdout.read()
    assert b"KeyboardInterrupt" in shown, shown
    assert_gone(int(shown.split(b"pid ")[1].split()[0]))


def test_a_task_of_the_pool_has_the_interpreter_the_variables_and_the_client_of_the_program(home: Home) -> None:
    said = home.run("""
os.environ["MY_SETTING"] = "mine"
def look():
    import argon, os, sys
    return sys.prefix, os.environ.get("MY_SETTING"), "ARGON_KEY" in os.environ, argon.Client().queue(len, "abc")
print(argon.Client().queue(look) == (sys.prefix, "mine", False, 3))
""")
    assert said == "True\n"


def test_a_pool_that_was_killed_is_an_error_and_the_next_call_starts_another(home: Home) -> None:
    said = home.run("""
client = argon.Client()
client.connect()
(pid,) = pools()
task = client.defer(__import__("time").sleep, 600)
threading.Timer(0.2, os.kill, (pid, signal.SIGKILL)).start()
try:
    task.result()
except argon.Unreachable as error:
    print(error)
task.cancel()
print(client.queue(int, "5"), pools() != [pid])
""")
    first, second = said.splitlines()
    assert "that this program had started has ended" in first
    assert second == "5 True"


def test_the_start_is_one_line_on_a_terminal_or_in_the_log(home: Home) -> None:
    program = QUIET + "print(argon.Client().queue(int, '1'))"
    outer, inner = os.openpty()
    try:
        ran = subprocess.run(
            [sys.executable, "-c", program],
            env=home.env(),
            stdout=subprocess.PIPE,
            stderr=inner,
            timeout=60,
            check=True,
        )
        os.close(inner)
        shown = b""
        while True:
            try:
                shown += os.read(outer, 4096)
            except OSError:
                break
    finally:
        os.close(outer)
    assert ran.stdout == b"1\n"
    slots = len(os.sched_getaffinity(0))
    count = f"{slots} slot" + "s" * (slots != 1)
    sentence = (
        f"argon: no manager answers at 127.0.0.1:1; started a pool of this machine, {count}; it ends with this program"
    )
    assert shown.decode() == f"{sentence}\r\n"
    logged = home.start("import logging; logging.basicConfig(level=logging.INFO)\n" + "argon.Client().queue(int)")
    assert logged.finish() == 0
    assert logged.stderr.splitlines() == [f"INFO:argon:{sentence}"]
