"""What happens to a program whose tasks raise, die, or take too long.

argon up                               # in another terminal
python examples/python/errors.py       # or: errors.py HOST:PORT
"""

import os
import sys
import tempfile
import time

import argon


class NoSuchMonth(Exception):
    pass


def report(month):
    raise NoSuchMonth(month)


def die():
    print("last words", flush=True)
    os._exit(3)


def flaky(folder):
    if not os.path.exists(folder):
        os.mkdir(folder)
        raise OSError("not now")
    return "the second attempt"


client = argon.Client(sys.argv[1] if len(sys.argv) > 1 else None)

# What a task raises is raised here, as the same class, with the traceback from there as its cause.
try:
    client.queue(report, "Brumaire")
except NoSuchMonth as error:
    print("raised: no month is called", error)

# A task that ends its process is an argon.Error, and costs nothing but that process.
try:
    client.with_options(capture=True).queue(die)
except argon.Died as error:
    print(f"{error.kind}: exit code {error.exit_code}, it printed: {error.output.strip()}")

# So is one that takes too long.
try:
    client.with_options(timeout=0.2).queue(time.sleep, 60)
except argon.TimedOut as error:
    print(f"{error.kind}: it was ended")

# Failures that pass can be tried again, each time after a longer pause.
with tempfile.TemporaryDirectory() as folder:
    number = client.with_options(retries=2, backoff=0.05).queue(flaky, f"{folder}/tried")
print(f"ok: {number} succeeded")
