"""What is killed, cut off, forked and interrupted: nothing is lost, nothing is mixed."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import Any

import pytest

import argon
from cluster import Cluster, wait_for


def test_a_killed_manager_costs_time_only(own_cluster: Cluster) -> None:
    own_cluster.add_worker(2)
    client = own_cluster.client()
    deferreds = [
        client.defer(lambda number: __import__("time").sleep(0.005) or number, number) for number in range(300)
    ]
    assert deferreds[10].result() == 10
    for _ in range(2):
        own_cluster.kill_manager()
        own_cluster.start_manager()
    assert [deferred.result(60) for deferred in deferreds] == list(range(300))


def test_a_killed_worker_costs_time_only(own_cluster: Cluster) -> None:
    first = own_cluster.add_worker(2)
    own_cluster.add_worker(2)
    client = own_cluster.client()
    results = client.map(lambda number: __import__("time").sleep(0.005) or number, range(400), ahead=400)
    found = [next(results) for _ in range(20)]
    first.kill()
    assert found + list(results) == list(range(400))


def test_submitted_tasks_survive_the_manager_and_the_client(own_cluster: Cluster) -> None:
    store = str(own_cluster.folder / "store")
    own_cluster.kill_manager()
    own_cluster.start_manager("--store", store)
    own_cluster.add_worker(1)
    client = own_cluster.client()
    tasks = [client.submit(abs, -number) for number in range(20)]
    client.shutdown()
    own_cluster.kill_manager()
    own_cluster.start_manager("--store", store)
    other = own_cluster.client()
    assert [other.collect(task, 60) for task in tasks] == list(range(20))


def test_a_task_that_must_never_run_twice_is_lost_with_its_worker(own_cluster: Cluster, tmp_path: Any) -> None:
    worker = own_cluster.add_worker(1)
    path = own_cluster.folder / "begun"

    def linger() -> None:
        open(str(path), "a").close()
        time.sleep(60)

    deferred = own_cluster.client(never_twice=True).defer(linger)
    wait_for("the task to run", path.exists)
    worker.kill()
    with pytest.raises(argon.Lost):
        deferred.result(30)


def test_a_full_queue_is_waited_for_or_told(own_cluster: Cluster) -> None:
    own_cluster.kill_manager()
    own_cluster.start_manager("--queue-size", "3")
    own_cluster.add_worker(1)
    client = own_cluster.client()
    slow = [client.defer(__import__("time").sleep, 0.2) for _ in range(12)]
    with pytest.raises(argon.Rejected, match="capacity"):
        for _ in range(12):
            client.with_options(wait=False).defer(abs, 1).result(60)
    for deferred in slow:
        deferred.result(60)
    assert sorted(client.map(abs, range(60))) == list(range(60))


# kind: the reason of a wait | a Python call while no manager is there | loud | address and error are reported
def test_nobody_there_is_told_soon_and_in_words(tmp_path: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    key = tmp_path / "key"
    key.write_text("argon1-cluster-" + "0" * 64)
    key.chmod(0o600)
    client = argon.Client(f"127.0.0.1:{port}", key=key)
    begun = time.monotonic()
    with pytest.raises(argon.Unreachable, match="argon manager"):
        client.queue(abs, 1)
    assert time.monotonic() - begun < 5
    client.shutdown()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("argon1-cluster-" + "0" * 64, "does not open the manager"),
        ("argon1-worker-" + "0" * 64, "role worker"),
        ("nonsense", "not an Argon key"),
    ],
)
def test_a_wrong_key_is_told_in_words(cluster: Cluster, tmp_path: Any, text: str, sentence: str) -> None:
    path = tmp_path / "key"
    path.write_text(text + "\n")
    path.chmod(0o600)
    with argon.Client(cluster.address, key=path) as client, pytest.raises(argon.Unreachable, match=sentence):
        client.queue(abs, 1)


def test_a_missing_key_is_told_in_words(cluster: Cluster, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("ARGON_KEY", raising=False)
    words = r"no cluster key.*`argon pair 127\.0\.0\.1:\d+`"
    with argon.Client(cluster.address) as client, pytest.raises(argon.Unreachable, match=words):
        client.queue(abs, 1)


def test_who_gives_up_is_told_and_the_next_call_looks_again(own_cluster: Cluster) -> None:
    own_cluster.add_worker(1)
    client = own_cluster.client(give_up_after=0.3)
    assert client.queue(abs, -1) == 1
    own_cluster.kill_manager()
    with pytest.raises(argon.Unreachable, match="Gave up"):
        client.queue(abs, -2)
    own_cluster.start_manager()
    assert client.queue(abs, -3) == 3


def test_the_second_address_serves_when_the_first_is_away(cluster: Cluster) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        away = f"127.0.0.1:{free.getsockname()[1]}"
    with argon.Client([away, cluster.address], key=cluster.key) as client:
        assert client.queue(abs, -1) == 1


# kind: re-entrance | threads that share a client | right | the session has one lock and one reader
def test_threads_share_one_client(client: Any) -> None:
    failures: list[BaseException] = []

    def call(base: int) -> None:
        try:
            for number in range(50):
                assert client.queue(abs, -base - number) == base + number
            deferreds = [client.defer(abs, -base - number) for number in range(50)]
            assert [one.result(60) for one in deferreds] == [base + number for number in range(50)]
            assert sum(client.map(abs, range(50))) == sum(range(50))
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=call, args=(1000 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    assert client.unfinished == 0


FORK = """
import time
assert client.queue(abs, -1) == 1
mine = client.defer(time.sleep, 0.5)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        try:
            mine.result()
        except argon.Lost as error:
            os.write(writer, b"lost ")
        os.write(writer, str(client.queue(abs, -2)).encode())
        client.shutdown()
    finally:
        os._exit(0)
assert client.queue(abs, -3) == 3
assert mine.result() is None
os.waitpid(child, 0)
print(os.read(reader, 100).decode())
"""


# kind: copies of the process | a Python program that forks after its first call | right | the child dials anew and
#    never writes to the connection of its parent
def test_a_forked_child_has_a_session_of_its_own(cluster: Cluster) -> None:
    program = cluster.python(FORK)
    assert program.finish() == 0, program.stderr
    assert program.stdout == "lost 2\n"


INTERRUPT = """
import time, signal
begun = sys.argv[1]
def linger():
    open(begun, "w").close()
    time.sleep(60)
try:
    client.queue(linger)
except KeyboardInterrupt:
    print("interrupted", client.queue(abs, -4), flush=True)
"""


# kind: leaving a wait | Ctrl-C during a call | right | what was waited for is cancelled
def test_an_interrupt_cancels_what_was_asked(cluster: Cluster, tmp_path: Any) -> None:
    begun = tmp_path / "begun"
    program = cluster.python(INTERRUPT, str(begun))
    wait_for("the task to run", begun.exists)
    os.kill(program.pid, signal.SIGINT)
    assert program.finish(20) == 0, program.stderr
    assert program.stdout == "interrupted 4\n"
    wait_for("the slot to be free", lambda: cluster.status()["slots_free"] == 2)


INTERRUPTED_EXECUTOR = """
import time
begun = sys.argv[1]
def linger(number):
    open(begun, "w").close()
    time.sleep(60)
with argon.Executor(sys.argv[2], key=sys.argv[3]) as executor:
    futures = [executor.submit(linger, number) for number in range(50)]
    futures[0].result()
"""


def test_an_interrupt_ends_the_calls_of_an_executor(cluster: Cluster, tmp_path: Any) -> None:
    begun = tmp_path / "begun"
    program = cluster.python(INTERRUPTED_EXECUTOR, str(begun), cluster.address, str(cluster.key))
    wait_for("a call to run", begun.exists)
    os.kill(program.pid, signal.SIGINT)
    assert program.finish(20) != 0
    assert "KeyboardInterrupt" in program.stderr
    wait_for("the slots to be free", lambda: cluster.status()["slots_free"] == 2)


INTERRUPTED_LOOP = """
import asyncio, time
import argon.aio
begun = sys.argv[1]
def linger(number):
    open(begun, "w").close()
    time.sleep(60)
async def main():
    async with argon.aio.Client(sys.argv[2], key=sys.argv[3]) as client:
        await asyncio.gather(*(client.queue(linger, number) for number in range(50)))
asyncio.run(main())
"""


# kind: leaving a wait | Ctrl-C in a program of asyncio | right | its tasks are cancelled
def test_an_interrupt_ends_the_calls_of_an_asyncio_program(cluster: Cluster, tmp_path: Any) -> None:
    begun = tmp_path / "begun"
    program = cluster.python(INTERRUPTED_LOOP, str(begun), cluster.address, str(cluster.key))
    wait_for("a call to run", begun.exists)
    os.kill(program.pid, signal.SIGINT)
    assert program.finish(60) != 0
    assert "KeyboardInterrupt" in program.stderr
    wait_for("the slots to be free", lambda: cluster.status()["slots_free"] == 2)
    assert cluster.status()["tasks_queued"] == 0


# kind: re-entrance | an interrupt at any moment of a call | right | the next call gets its own result
def test_interrupts_at_any_moment_leave_a_client_that_works(cluster: Cluster) -> None:
    program = cluster.python(
        """
import faulthandler, signal, time
faulthandler.dump_traceback_later(60, exit=True)
for round in range(60):
    signal.setitimer(signal.ITIMER_REAL, 0.0005 + round * 0.0003)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        while True:
            assert client.queue(abs, -round) == round
            assert sum(client.map(abs, range(40))) == 780
    except KeyboardInterrupt:
        pass
signal.setitimer(signal.ITIMER_REAL, 0)
assert client.queue(abs, -5) == 5
assert [one() for one in [client.defer(abs, n) for n in range(100)]] == list(range(100))
print("well", client.unfinished)
"""
    )
    assert program.finish(90) == 0, program.stderr
    assert program.stdout == "well 0\n"


def test_a_program_that_ends_takes_its_tasks_along(cluster: Cluster) -> None:
    program = cluster.python("import time\nclient.defer(time.sleep, 300)\nclient.queue(abs, 1)")
    assert program.finish(20) == 0, program.stderr
    wait_for("the slots to be free", lambda: cluster.status()["slots_free"] == 2)


def test_a_module_of_the_caller_is_given_unless_it_must_not(cluster: Cluster, tmp_path: Any) -> None:
    (tmp_path / "only_here.py").write_text("def double(number):\n    return 2 * number\n")
    text = "import only_here\nprint(client.queue(only_here.double, 21))"
    program = cluster.python(text, env={"PYTHONPATH": str(tmp_path)})
    assert program.finish() == 0, program.stderr
    assert program.stdout == "42\n"
    refused = cluster.python("client._session.remote_modules = False\n" + text, env={"PYTHONPATH": str(tmp_path)})
    assert refused.finish() != 0
    assert "remote_modules=False" in refused.stderr
