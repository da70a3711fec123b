"""The smallest program that uses Argon: one sum, waited for, and one sent off in the background.

argon up                              # in another terminal
python examples/python/hello.py       # or: hello.py HOST:PORT; needs `pip install python/`
"""

import os
import sys

import argon

client = argon.Client(sys.argv[1] if len(sys.argv) > 1 else None)

# Send a task and wait for its result.
print("4 + 7 =", client.queue(lambda x, y: x + y, 4, 7))

# Send a task, do something else, and wait when the result is needed.
deferred = client.defer(lambda x, y: f"{x} * {y} = {x * y}, computed in process {os.getpid()}", 4, 7)
print(f"process {os.getpid()} is free meanwhile")
print(deferred.result())
