"""A task that outlives the program that submitted it. Its ticket is all that another program needs.

argon up                                 # in another terminal
python examples/python/detached.py       # or: detached.py HOST:PORT
"""

import sys

import argon

manager = sys.argv[1] if len(sys.argv) > 1 else None

# When submit returns, the manager has the task on its disk.
with argon.Client(manager) as client:
    ticket = client.submit(sum, range(1, 101))
print("submitted:", ticket)

# That client is gone. Another one, today or tomorrow, collects the result.
with argon.Client(manager) as client:
    print("collected:", client.collect(ticket))
