"""Signal handlers, destructors, callbacks and other threads may call anything of a client at any moment.

Each program runs by itself, so that one that hangs is seen by its deadline and shows where (faulthandler).
"""

from __future__ import annotations

import random

import pytest

from cluster import Cluster

PREAMBLE = """
import argon.aio, asyncio, faulthandler, gc, random, signal, threading, time
faulthandler.dump_traceback_later(60, exit=True)
chance = random.Random(int(sys.argv[1]))
client.queue(abs, 1)

depth = [0]
def every_millisecond(handler, seconds=0.001):
    # A handler that takes longer than its period would be called within itself without end.
    def bounded(*_):
        if depth[0] < 3:
            depth[0] += 1
            try:
                handler()
            finally:
                depth[0] -= 1
    signal.signal(signal.SIGALRM, bounded)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)

def stop():
    signal.setitimer(signal.ITIMER_REAL, 0)

until = time.monotonic() + 1.5
def going_on():
    return time.monotonic() < until

def calls():
    assert client.queue(abs, -5) == 5
    assert [one.result() for one in [client.defer(abs, -n) for n in range(50)]] == list(range(50))
    assert list(client.map(abs, range(-20, 0))) == list(range(20, 0, -1))
    assert sorted(client.map(abs, range(-20, 0), ordered=False))[0] == (0, 20)
"""

PROGRAMS = {
    "a_handler_calls_what_it_likes": """
kept, done = [], dict.fromkeys(("queue", "defer", "cancel", "callback", "wait"), 0)
def handler():
    what = chance.choice(list(done))
    if what == "queue":
        assert client.queue(abs, -7) == 7
    elif what == "defer":
        kept.append(client.defer(abs, -1))
    elif what == "cancel" and kept:
        kept.pop().cancel()
    elif what == "callback" and kept:
        kept.pop().add_done_callback(lambda one: client.defer(abs, 1))
    elif what == "wait" and kept:
        try:
            kept.pop().result(30)
        except argon.Cancelled:
            pass
        except argon.Error as refused:
            assert "never end" in str(refused), refused
    done[what] += 1
every_millisecond(handler)
while going_on():
    calls()
stop()
assert all(done.values()), done
client.shutdown()
""",
    "a_handler_calls_an_executor": """
executor = argon.Executor(client._session.reconnect.addresses[0], key=os.environ["ARGON_KEY"])
def handler():
    what = chance.randrange(3)
    if what == 0:
        executor.submit(abs, -1).add_done_callback(lambda one: one.result())
    elif what == 1:
        executor.submit(time.sleep, 0.001).cancel()
    else:
        client.queue(abs, -1)
every_millisecond(handler)
while going_on():
    assert [one.result() for one in [executor.submit(abs, -n) for n in range(20)]] == list(range(20))
    assert list(executor.map(abs, range(20))) == list(range(20))
stop()
executor.shutdown()
""",
    "a_handler_calls_during_asyncio": """
async def main():
    async with argon.aio.Client(client._session.reconnect.addresses[0], key=os.environ["ARGON_KEY"]) as other:
        def handler():
            if chance.random() < 0.5:
                assert other._client.queue(abs, -2) == 2
            else:
                other._client.defer(abs, 1)
        every_millisecond(handler)
        while going_on():
            assert await asyncio.gather(*(other.queue(abs, -n) for n in range(50))) == list(range(50))
        stop()
asyncio.run(main())
""",
    "destructors_call_what_they_like": """
class Remote:
    def __init__(self):
        self.itself, self.task = self, client.defer(abs, -1)

    def __del__(self):
        if going_on():
            assert client.queue(abs, -2) == 2
            self.task.cancel()

gc.set_threshold(30, 2, 2)
def work():
    while going_on():
        Remote()
        calls()
threads = [threading.Thread(target=work) for _ in range(3)]
[one.start() for one in threads]
[one.join() for one in threads]
gc.disable()
client.shutdown()
""",
    "threads_lose_their_client": """
for _ in range(10):
    client = argon.Client(client._session.reconnect.addresses[0], key=os.environ["ARGON_KEY"])
    client.queue(abs, 1)
    def work():
        try:
            while True:
                calls()
        except (argon.Closed, argon.Cancelled):
            pass
    threads = [threading.Thread(target=work) for _ in range(4)]
    [one.start() for one in threads]
    time.sleep(chance.random() * 0.05)
    client.shutdown()
    [one.join() for one in threads]
""",
}

SHUTDOWN = """
def handler(*_):
    client.shutdown()
signal.signal(signal.SIGTERM, handler)
threading.Timer(0.001 + 0.02 * chance.random(), os.kill, (os.getpid(), signal.SIGTERM)).start()
try:
    while True:
        calls()
except (argon.Closed, argon.Cancelled):
    pass
"""


# kind: re-entrance | calls from a signal handler every millisecond, `__del__`, callbacks and threads | right | no
#    lock is held while code of the program runs
@pytest.mark.parametrize("name", PROGRAMS)
def test_anything_may_be_called_at_any_moment(cluster: Cluster, name: str) -> None:
    seed = random.randrange(1 << 30)
    program = cluster.python(PREAMBLE + PROGRAMS[name], str(seed))
    assert program.finish(90) == 0, f"seed {seed}: {program.stderr}"


# kind: re-entrance | `shutdown` in a SIGTERM handler during a call | right | the call ends
def test_a_handler_may_shut_the_client_down(cluster: Cluster) -> None:
    seeds = [random.randrange(1 << 30) for _ in range(12)]
    for seed in seeds:
        program = cluster.python(PREAMBLE + SHUTDOWN, str(seed))
        assert program.finish(90) == 0, f"seed {seed}: {program.stderr}"


LEAVING = """
import signal, time
class TooLong(Exception):
    pass
def leave(*_):
    raise TooLong
signal.signal(signal.SIGALRM, leave)
client.queue(abs, 1)
waits = {
    "queue": lambda: client.queue(time.sleep, 600),
    "result": lambda: client.defer(time.sleep, 600).result(),
    "exception": lambda: client.defer(time.sleep, 600).exception(),
    "map": lambda: list(client.map(time.sleep, [600] * 4)),
    "unordered": lambda: list(client.map(time.sleep, [600] * 4, ordered=False)),
}
for name, wait in waits.items():
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        wait()
    except TooLong:
        continue
    raise AssertionError(name)
# Whatever was left holds no slot.
assert client.with_options(timeout=60).queue(abs, -1) == 1
until = time.monotonic() + 30
while client.status()["running"]:
    assert time.monotonic() < until, client.status()["running"]
"""


# kind: re-entrance | a signal handler that raises while `queue`, `result` or `map` waits | right | what was waited
#    for is cancelled, and its slot is free
def test_leaving_a_wait_by_an_exception_cancels_what_was_waited_for(own_cluster: Cluster) -> None:
    own_cluster.add_worker(2)
    program = own_cluster.python(LEAVING)
    assert program.finish() == 0, program.stderr


FIRST_CALL = """
import faulthandler, gc
faulthandler.dump_traceback_later(40, exit=True)
class Noisy:
    def __init__(self):
        self.itself = self
    def __del__(self):
        client.defer(pow, 2, 2)
gc.set_threshold(20)
for number in range(100):
    Noisy()
    assert client.queue(abs, -number) == number
gc.disable()
"""


# kind: re-entrance | a destructor that makes the first call of a client while something is imported | right | it
#    ends, since nothing is imported to connect
def test_a_destructor_may_interrupt_the_first_connection(cluster: Cluster) -> None:
    program = cluster.python(FIRST_CALL)
    assert program.finish() == 0, program.stderr
