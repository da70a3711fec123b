"""`argon.aio`: everything that waits is awaited, and cancelling reaches the task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import argon
import argon.aio
from cluster import Cluster, wait_for


def run(cluster: Cluster, main: Callable[[argon.aio.Client], Awaitable[Any]], **options: Any) -> Any:
    async def whole() -> Any:
        async with argon.aio.Client(cluster.address, key=cluster.key, **options) as client:
            return await asyncio.wait_for(main(client), 60)

    return asyncio.run(whole())


def test_calls_are_awaited_and_run_side_by_side(cluster: Cluster) -> None:
    async def main(client: argon.aio.Client) -> Any:
        assert await client.queue(pow, 2, 10) == 1024
        with pytest.raises(ZeroDivisionError):
            await client.queue(lambda: 1 // 0)
        assert await client.with_options(priority="high").queue(abs, -1) == 1
        deferred = client.defer(abs, -2)
        assert await deferred == 2
        return await asyncio.gather(*(client.queue(abs, -number) for number in range(500)))

    assert run(cluster, main) == list(range(500))


def test_cancelling_who_awaits_cancels_the_task(cluster: Cluster, tmp_path: Any) -> None:
    def linger(path: str) -> None:
        open(path, "w").close()
        time.sleep(60)

    async def main(client: argon.aio.Client) -> None:
        for number, start in enumerate((client.queue, client.defer)):
            begun = tmp_path / str(number)
            waiting = asyncio.ensure_future(start(linger, str(begun)))
            while not begun.exists():
                await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.queue(time.sleep, 60), 0.1)

    run(cluster, main)
    wait_for("the slots to be free", lambda: cluster.status()["slots_free"] == 2)


def test_map_takes_iterables_of_both_kinds(cluster: Cluster) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(50):
            yield -number

    async def main(client: argon.aio.Client) -> None:
        assert [value async for value in client.map(abs, range(0, -50, -1))] == list(range(50))
        assert [value async for value in client.map(abs, numbers(), ahead=5)] == list(range(50))
        found = {place: value async for place, value in client.map(abs, numbers(), ordered=False)}
        assert found == {number: number for number in range(50)}
        with pytest.raises(ZeroDivisionError):
            async for _ in client.map(lambda number: 1 // number, [1, 0, 1]):
                pass

    run(cluster, main)


def test_submit_collect_share_and_status(cluster: Cluster) -> None:
    async def main(client: argon.aio.Client) -> None:
        assert await client.collect(await client.submit(abs, -5)) == 5
        assert await client.cancel(await client.submit(time.sleep, 300))
        handle = client.share(list(range(1000)))
        assert await client.queue(sum, handle) == sum(range(1000))
        assert (await client.status())["workers"] == 1

    run(cluster, main)


def test_the_loop_goes_on_while_nobody_answers(tmp_path: Any) -> None:
    key = tmp_path / "key"
    key.write_text("argon1-cluster-" + "0" * 64)
    key.chmod(0o600)

    async def main() -> int:
        ticks = 0
        client = argon.aio.Client("127.0.0.1:1", key=key)
        waiting = asyncio.ensure_future(client.queue(abs, 1))
        while not waiting.done():
            await asyncio.sleep(0.01)
            ticks += 1
        with pytest.raises(argon.Unreachable):
            await waiting
        await client.shutdown()
        return ticks

    assert asyncio.run(main()) > 20


def test_a_killed_manager_costs_time_only(own_cluster: Cluster) -> None:
    own_cluster.add_worker(2)

    async def main(client: argon.aio.Client) -> list[int]:
        calls = [asyncio.ensure_future(client.queue(lambda n: time.sleep(0.005) or n, number)) for number in range(100)]
        await calls[3]
        own_cluster.kill_manager()
        own_cluster.start_manager()
        return list(await asyncio.gather(*calls))

    assert run(own_cluster, main) == list(range(100))
