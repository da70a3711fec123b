"""A forked child of a client's process: what its parent has under way ends in words there, and goes on in the parent."""

from __future__ import annotations

from typing import Any

from cluster import Cluster

# The child says what each wait ended with; its exit status is 0 only if it came to its end.
_PREAMBLE = """
import asyncio, concurrent.futures, multiprocessing, threading, time
executor = argon.Executor(sys.argv[1], max_workers=2)
gate = sys.argv[2]

def hold(value):
    import os, time
    until = time.monotonic() + 60
    while not os.path.exists(gate) and time.monotonic() < until:
        time.sleep(0.01)
    return value

def opened():
    # The parent's tasks take the slots.
    open(gate, "w").close()

def told(wait):
    begun = time.monotonic()
    try:
        return f"value {wait()!r}"
    except BaseException as error:
        late = " late" if time.monotonic() - begun > 5 else ""
        return f"{type(error).__name__}{late}: {error}"

def in_child(action):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            for line in action():
                print(line, flush=True)
            status = 0
        except BaseException as error:
            print("child raised", repr(error), flush=True)
        finally:
            os._exit(status)
    until = time.monotonic() + 40
    while (found := os.waitpid(child, os.WNOHANG))[0] == 0:
        if time.monotonic() > until:
            os.kill(child, 9)
            print("the child waits for ever", flush=True)
            until += 1000
        time.sleep(0.01)
    opened()
    print("child", found[1])

assert client.queue(abs, -1) == 1
"""

_DEFERRED = """
mine = client.defer(hold, 1)
again = [client.collect_later(f"{mine.id}-{'00' * 16}") for _ in range(2)]
def action():
    yield told(mine.result)
    yield told(lambda: mine.exception(2))
    yield f"done {mine.done()} cancel {mine.cancel()}"
    for one in again:
        yield told(lambda: one.result(10))
    async def wait():
        return await mine
    yield told(lambda: asyncio.run(wait()))
    opened()
    yield f"new {client.queue(abs, -2)}"
in_child(action)
print("parent", mine.result(30))
"""

_FUTURES = """
futures = [executor.submit(hold, number) for number in range(6)]
called = []
for one in futures:
    one.add_done_callback(called.append)
rest = executor.map(hold, range(2))
def action():
    yield f"callbacks {len(called)}"
    for one in (futures[0], futures[5]):
        yield told(lambda: one.result(10))
    done, left = concurrent.futures.wait(futures, 10)
    yield f"wait {len(done)} {len(left)}"
    yield told(lambda: next(concurrent.futures.as_completed(futures, 10)).result())
    yield told(lambda: next(rest))
    opened()
    yield f"new {executor.submit(abs, -2).result(20)}"
    executor.shutdown()
in_child(action)
print("parent", [one.result(30) for one in futures], list(rest))
executor.shutdown()
print("callbacks", len(called))
"""

_MAPS = """
ordered, unordered = client.map(hold, range(3)), client.map(hold, range(3), ordered=False)
first = threading.Thread(target=lambda: seen.append(next(unordered)))
seen = []
first.start()
while not unordered._places:
    time.sleep(0.01)
def action():
    yield told(lambda: next(unordered))
    opened()
    yield told(lambda: list(client.map(abs, [-3, -4])))
in_child(action)
first.join(30)
print("parent", sorted([*seen, *unordered]), list(ordered))
"""

_ASYNC = """
import argon.aio
async def main():
    mine = argon.aio.Client(sys.argv[1])
    future = mine.defer(hold, 1)
    asked = asyncio.ensure_future(mine.queue(hold, 2))
    await asyncio.sleep(0)
    def action():
        async def wait():
            return await future
        yield told(lambda: asyncio.run(wait()))
        async def new():
            return await argon.aio.Client(sys.argv[1]).queue(abs, -2)
        opened()
        yield f"new {asyncio.run(new())}"
    in_child(action)
    print("parent", await future, await asked)
    await mine.shutdown()
asyncio.run(main())
"""

_LOST = "Lost: the task belongs to the process "


def _run(cluster: Cluster, tmp_path: Any, program: str) -> list[str]:
    process = cluster.python(_PREAMBLE + program, cluster.address, str(tmp_path / "gate"))
    status = process.finish(90)
    assert status == 0, process.stderr
    assert "never retrieved" not in process.stderr
    return process.stdout.splitlines()


def _is_lost(lines: list[str]) -> bool:
    return all(line.startswith(_LOST) and "before this one was forked" in line for line in lines)


def test_deferreds_of_the_parent_are_lost_in_a_child(cluster: Cluster, tmp_path: Any) -> None:
    lines = _run(cluster, tmp_path, _DEFERRED)
    assert lines[1].startswith("value Lost("), lines
    assert _is_lost([lines[0], *lines[3:6]]), lines
    assert [lines[2], *lines[6:]] == ["done True cancel False", "new 2", "child 0", "parent 1"]


def test_futures_of_the_parent_are_lost_in_a_child(cluster: Cluster, tmp_path: Any) -> None:
    lines = _run(cluster, tmp_path, _FUTURES)
    assert _is_lost([*lines[1:3], *lines[4:6]]), lines
    assert [lines[0], lines[3]] == ["callbacks 0", "wait 6 0"]
    assert lines[6:] == ["new 2", "child 0", "parent [0, 1, 2, 3, 4, 5] [0, 1]", "callbacks 6"]


def test_an_unordered_map_of_the_parent_is_lost_in_a_child(cluster: Cluster, tmp_path: Any) -> None:
    lines = _run(cluster, tmp_path, _MAPS)
    assert _is_lost(lines[:1]), lines
    assert lines[1:] == ["value [3, 4]", "child 0", "parent [(0, 0), (1, 1), (2, 2)] [0, 1, 2]"]


def test_asyncio_futures_of_the_parent_are_lost_in_a_child(cluster: Cluster, tmp_path: Any) -> None:
    lines = _run(cluster, tmp_path, _ASYNC)
    assert _is_lost(lines[:1]), lines
    assert lines[1:] == ["new 2", "child 0", "parent 1 2"]


_PROCESS = """
context = multiprocessing.get_context("fork")
future, mine = executor.submit(hold, 1), client.defer(hold, 2)
told_by = context.SimpleQueue()
def action():
    lines = [told(lambda: future.result(10)), told(mine.result)]
    opened()
    told_by.put([*lines, told(lambda: executor.submit(abs, -3).result(20))])
child = context.Process(target=action)
child.start()
print(*told_by.get(), sep="\\n")
child.join(30)
print("child", child.exitcode, "parent", future.result(30), mine.result(30))
"""


def test_a_child_of_multiprocessing_is_such_a_child(cluster: Cluster, tmp_path: Any) -> None:
    lines = _run(cluster, tmp_path, _PROCESS)
    assert _is_lost(lines[:2]), lines
    assert lines[2:] == ["value 3", "child 0 parent 1 2"]
