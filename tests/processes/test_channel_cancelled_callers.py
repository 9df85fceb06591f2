"""The channel under callers who leave: grpc.aio would end it if one of them cancelled a read or a write."""

from __future__ import annotations

import asyncio
import pathlib

import pytest

import snakepit
from pool_helpers import ASYNC_TOOLS, TOOLS, endpoints, unix_connections

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


async def _until(pool: snakepit.AsyncPool, running: int) -> None:
    while await pool.execute("held") != running:
        pass


async def test_a_thousand_cancelled_callers() -> None:
    """A thousand calls run at once on one worker and their callers are all cancelled: the channel and the worker live on."""
    async with snakepit.AsyncPool(ASYNC_TOOLS, size=1) as pool:
        before = await pool.execute("pid")
        callers = [asyncio.create_task(pool.execute("hold", timeout=None)) for _ in range(990)]
        callers += [asyncio.create_task(_first_of_many(pool)) for _ in range(9)]
        await _until(pool, 999)
        for caller in callers:
            caller.cancel()
        ends = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends)
        await _until(pool, 0)
        assert await pool.execute("pid") == before
        assert unix_connections(endpoints(pool)[0].removeprefix("unix:")) == 1
        assert (pool.stats().restarts, pool.stats().cancelled) == (0, 999)


async def test_callers_cancelled_at_every_moment() -> None:
    """A thousand callers are cancelled between none and some steps after they called: whatever they met, the channel lives."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        before = await pool.execute("pid")
        for number in range(1000):
            caller = asyncio.create_task(pool.execute("add", {"a": number}))
            for _ in range(number % 23):
                await asyncio.sleep(0)
            caller.cancel()
            await asyncio.wait([caller])
        assert await pool.execute("pid") == before
        stats = pool.stats()
        assert stats.restarts == 0
        assert stats.submitted == stats.succeeded + stats.cancelled


async def test_callers_under_wait_for() -> None:
    """`asyncio.wait_for` and `asyncio.timeout` around calls cancel them, and nothing else."""
    async with snakepit.AsyncPool(ASYNC_TOOLS, size=1) as pool:
        before = await pool.execute("pid")

        async def give_up() -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(pool.execute("hold", timeout=None), 0.01)

        await asyncio.gather(*(give_up() for _ in range(200)))
        await _until(pool, 0)
        assert await pool.execute("pid") == before


def test_cancelled_futures_of_the_sync_face(tmp_path: pathlib.Path) -> None:
    """The same through `Pool.submit`: five hundred futures are cancelled while their calls run and wait."""
    with snakepit.Pool(ASYNC_TOOLS, size=1) as pool:
        before = pool.execute("pid")
        futures = [pool.submit("hold", timeout=None) for _ in range(500)]
        assert all(future.cancel() for future in futures)
        while pool.execute("held"):
            pass
        assert pool.execute("pid") == before


async def _first_of_many(pool: snakepit.AsyncPool) -> None:
    async for _ in pool.stream("ticks", timeout=None):
        pass
