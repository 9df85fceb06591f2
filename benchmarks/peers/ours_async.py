"""`snakepit.AsyncPool`, on the event loop of asyncio or of uvloop.

../README.md, ../docs/reference/api.md
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from statistics import median
from typing import Any

import snakepit

from . import ours, player
from .ours import TOOLS, by_name
from .watch import Watch


class Player(ours.Player):
    """What is measured runs on the loop without leaving it."""

    def __init__(self, *, uvloop: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self._uvloop = uvloop

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[_Pool]:  # type: ignore[override]
        with asyncio.Runner(loop_factory=self._factory()) as runner:
            pool = snakepit.AsyncPool(TOOLS, size=workers, **self._settings)
            runner.run(pool.start())
            try:
                yield _Pool(runner, pool)
            finally:
                runner.run(pool.close())

    def submit(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        return pool, pool.runner.run(_begun(pool.pool, tool.__name__, by_name(tool, args)))

    def result(self, handle: Any) -> Any:
        pool, task = handle
        return pool.runner.run(_ended(task))

    def call(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.runner.run(pool.pool.execute(tool.__name__, by_name(tool, args)))

    def sequential(self, pool: Any, *, workers: int, count: int) -> player.Figures:
        return {"p50": median(pool.runner.run(_times(pool.pool, count)))}

    def in_flight(self, pool: Any, *, workers: int, window: int, count: int) -> player.Figures:
        flown = _mapped if self._mapped else _window
        return {"rate": count / pool.runner.run(flown(pool.pool, window, count))}

    def many(self, pool: Any, window: int, count: int) -> Iterator[Any]:
        pool.runner.run(_window(pool.pool, window, count))
        return iter(())

    def stream(self, pool: Any, *, workers: int, count: int) -> player.Figures:
        first, seconds = pool.runner.run(_stream(pool.pool, count))
        return {"rate": count / seconds, "first": first}

    def chunks(self, pool: Any, count: int, size: int = 0) -> Iterator[dict[str, Any]]:
        return self._read(pool, "chunks", {"count": count, "size": size})

    def pieces(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Iterator[dict[str, Any]]:
        return self._read(pool, tool.__name__, by_name(tool, args))

    def _read(self, pool: Any, tool: str, args: dict[str, Any]) -> Iterator[dict[str, Any]]:
        stream = pool.runner.run(_streamed(pool.pool, tool, args))
        values = stream.values()
        try:
            while (value := pool.runner.run(_next(values))) is not None:
                yield value
        finally:
            pool.runner.run(stream.aclose())

    def pause(self, pool: Any, seconds: float) -> None:
        pool.runner.run(asyncio.sleep(seconds))

    def ready(self, pool: Any) -> int:
        return int(pool.pool.stats().workers_ready)

    def session(self, pool: Any) -> Callable[[], Any]:
        session = pool.pool.session()
        args = {"key": session.id}
        return lambda: pool.runner.run(session.execute("count_up", args))

    def cancel_one(self, pool: Any, handle: Any) -> None:
        handle[1].cancel()
        pool.runner.run(asyncio.wait([handle[1]], timeout=1))

    def wait_ended(self, pool: Any, watch: Watch, patience: float) -> bool:
        ended: bool = pool.runner.run(asyncio.to_thread(watch.wait_ended, patience))
        return ended

    def after_cancel(self, pool: Any, workers: int) -> player.Figures:
        return {"model": all(pool.runner.run(_gathered(pool.pool, "loaded", {"seconds": 0.1}, workers)))}

    def _factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        if not self._uvloop:
            return None
        try:
            import uvloop
        except ImportError:
            raise player.Cannot("uvloop is not installed here") from None
        return uvloop.new_event_loop


class _Pool:
    def __init__(self, runner: asyncio.Runner, pool: snakepit.AsyncPool) -> None:
        self.runner = runner
        self.pool = pool


async def _begun(pool: snakepit.AsyncPool, tool: str, args: dict[str, Any]) -> asyncio.Future[Any]:
    task = pool.submit(tool, args)
    await asyncio.sleep(0.01)  # The loop runs only while it is asked to: until then, the call has gone.
    return task


async def _ended(task: asyncio.Future[Any]) -> Any:
    return await task


async def _streamed(pool: snakepit.AsyncPool, tool: str, args: dict[str, Any]) -> Any:
    return pool.stream(tool, args)


async def _next(values: Any) -> Any:
    return await anext(values, None)


async def _gathered(pool: snakepit.AsyncPool, tool: str, args: dict[str, Any], times: int) -> list[Any]:
    return await asyncio.gather(*(pool.execute(tool, args) for _ in range(times)))


async def _times(pool: snakepit.AsyncPool, count: int) -> list[float]:
    times = []
    for i in range(count):
        value = {"x": i}
        began = time.perf_counter()
        answer = await pool.execute("echo", {"value": value})
        times.append(time.perf_counter() - began)
        player.check(answer, value)
    return times


async def _window(pool: snakepit.AsyncPool, window: int, count: int) -> float:
    """So many coroutines, each with one call under way."""
    numbers = iter(range(count))

    async def some() -> None:
        for i in numbers:
            player.check(await pool.execute("echo", {"value": {"x": i}}), {"x": i})

    began = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(window)))
    return time.perf_counter() - began


async def _mapped(pool: snakepit.AsyncPool, window: int, count: int) -> float:
    began, seen = time.perf_counter(), 0
    async for answer in pool.map("echo", ({"value": {"x": i}} for i in range(count)), window=window):
        player.check(answer, {"x": seen})
        seen += 1
    player.check(seen, count)
    return time.perf_counter() - began


async def _stream(pool: snakepit.AsyncPool, count: int) -> tuple[float, float]:
    began, first, seen = time.perf_counter(), 0.0, 0
    values: AsyncIterator[Any] = pool.stream("chunks", {"count": count}).values()
    async for value in values:
        player.check(value, {"x": seen})
        first = first or time.perf_counter() - began
        seen += 1
    player.check(seen, count)
    return first, time.perf_counter() - began
