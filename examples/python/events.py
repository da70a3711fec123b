"""Argon in a program of asyncio: tasks are awaited while the loop's own work goes on.

argon up                               # in another terminal
python examples/python/events.py       # or: events.py HOST:PORT
"""

import asyncio
import sys
import time

import argon.aio


def square(number):
    time.sleep(0.02)
    return number**2


async def main():
    ticks = 0

    async def tick():
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.01)

    ticking = asyncio.create_task(tick())
    async with argon.aio.Client(sys.argv[1] if len(sys.argv) > 1 else None) as client:
        squares = await asyncio.gather(*(client.queue(square, number) for number in range(1, 21)))
        print(f"the squares up to 20 make {sum(squares)}" + (", and the timer ran meanwhile" if ticks > 1 else ""))

        # Who stops waiting cancels the task: its process is free again.
        try:
            await asyncio.wait_for(client.queue(time.sleep, 60), 0.2)
        except asyncio.TimeoutError:
            print("too slow")
    ticking.cancel()


asyncio.run(main())
