"""A manager that lies: a proxy changes what a real one sends, under seeds that a failure prints.

A client never hangs, grows beyond a bound or ends its program; from a manager that lies about no outcome it gets every
value, and every one right. ARGON_FUZZ_SECONDS (default 10) and ARGON_FUZZ_SEED (default 1) try more.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cluster import Cluster

HERE = Path(__file__).parent
SECONDS = float(os.environ.get("ARGON_FUZZ_SECONDS", "10"))
SEED = int(os.environ.get("ARGON_FUZZ_SEED", "1"))

#: One process for all seeds: what one session leaves, the others would show.
_PROGRAM = r"""
import faulthandler, hashlib, io, logging, os, sys, threading, time
import argon

port, seconds, seed = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
HANG_S, SEEDS_MIN, KIB_MAX = 60.0, 6, 500_000
logging.getLogger("argon").addHandler(logging.NullHandler())
thrown = []
threading.excepthook = lambda args: thrown.append(f"a thread ended: {args.exc_value!r}")
sys.unraisablehook = lambda args: thrown.append(f"an exception was lost: {args.exc_value!r}")


def told(n, size):
    text = f"{n} " + "x" * size
    return n, text, hashlib.sha1(text.encode()).hexdigest()


def is_told(value, n):
    try:
        return value[0] == n and hashlib.sha1(value[1].encode()).hexdigest() == value[2]
    except Exception:
        return False


def fail():
    print("printed")
    raise ValueError({"a": [1, 2]})


def wrong_with(seed):
    is_honest = seed % 3 == 0
    client = argon.Client(f"127.0.0.1:{port}", give_up_after=30, on_waiting=lambda reason: None)
    wrong = []
    try:
        tasks = [(n, client.defer(told, n, n * 7 if n % 5 else 400_000)) for n in range(1, 21)]
        client.with_options(capture=True).defer(fail)
        try:
            ticket = client.submit(told, 77, 10)
            tasks.append((77, client.collect_later(ticket)))
            client.status()
        except Exception as problem:
            assert str(problem), repr(problem)
        for n, task in tasks:
            try:
                value = task.result(HANG_S)
            except TimeoutError as problem:
                wrong.append(f"task {n} hangs: {problem}")
            except Exception as problem:
                if is_honest or not str(problem):
                    wrong.append(f"task {n}: {problem!r}")
            else:
                if is_honest and not is_told(value, n):
                    wrong.append(f"task {n}: another value")
    except argon.Unreachable as problem:
        if is_honest:
            wrong.append(f"unreachable: {problem}")
    finally:
        client.shutdown()
    return wrong


end, tried, wrong = time.monotonic() + seconds, 0, []
while not wrong and (tried < SEEDS_MIN or time.monotonic() < end):
    faulthandler.dump_traceback_later(2 * HANG_S, exit=True)
    wrong = [f"seed {seed}: {one}" for one in (*wrong_with(seed), *thrown)]
    seed, tried = seed + 1, tried + 1
faulthandler.cancel_dump_traceback_later()
# Not getrusage: it counts the memory of the process that started this one, too.
with open("/proc/self/status") as about:
    peak = next(int(line.split()[1]) for line in about if line.startswith("VmHWM"))
print(*wrong[:5], sep="\n")
print(f"{tried} sessions up to seed {seed - 1}, {peak} KiB")
os._exit(1 if wrong or peak > KIB_MAX else 0)
"""


def test_a_client_survives_a_manager_that_lies(cluster: Cluster) -> None:
    command = [sys.executable, str(HERE / "mutating_manager.py"), "--manager", cluster.address, "--seed", str(SEED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        port = proxy.stdout.readline().strip()
        client = cluster.run_python(["-c", _PROGRAM, port, str(SECONDS), str(SEED)])
        status = client.finish(SECONDS + 400)
        proxy.communicate("")
    assert status == 0, f"{client.stdout}\n{client.stderr}"
