"""`map` and `stream_map` in real workers: order, failures, endless items, early ends that cancel, on both faces."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit_bridge import tool

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@tool
def double(value: int, pause: float = 0.0) -> int:
    """Twice as much, after a while; 1300 is refused."""
    time.sleep(pause)
    if value == 1300:
        raise ValueError("not 1300")
    return 2 * value


@tool
def count(n: int) -> Iterator[int]:
    """A tool that streams."""
    yield from range(n)


TOOLS = [double, count]


@pytest.fixture
def pool() -> Iterator[snakepit.Pool]:
    """Two workers."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        yield pool


def idle(pool: snakepit.Pool) -> None:
    """Nothing runs or waits."""
    wait_until(lambda: pool.stats().running == 0 and pool.stats().queued == 0)


def test_results_in_the_order_of_the_items(pool: snakepit.Pool) -> None:
    """Values and dicts, whichever call ends first; nothing of nothing."""
    assert list(pool.map("double", range(500))) == [2 * value for value in range(500)]
    items = [{"value": value, "pause": 0.5 * (value == 0)} for value in range(10)]
    assert list(pool.map("double", items, window=3)) == list(range(0, 20, 2))
    assert list(pool.map("double", [])) == []
    first = next(pool.stream_map("double", items))
    assert first.number != 0
    assert [result.value for result in pool.stream_map("double", items, ordered=True)] == list(range(0, 20, 2))
    idle(pool)


def test_failures(pool: snakepit.Pool) -> None:
    """`map` raises in its place and cancels the rest; `stream_map` tells each, and goes on."""
    results = pool.map("double", range(1290, 3000))
    seen: list[int] = []
    with pytest.raises(snakepit.ToolError, match="not 1300"):
        seen.extend(results)
    assert seen == [2 * value for value in range(1290, 1300)]
    assert list(results) == []
    idle(pool)
    told = sorted(pool.stream_map("double", range(1299, 1302)), key=lambda result: result.number)
    assert [(result.number, result.value) for result in told] == [(0, 2598), (1, None), (2, 2602)]
    assert isinstance(told[1].error, snakepit.ToolError)


def test_wrong_calls(pool: snakepit.Pool) -> None:
    """By name, at once; a later item when it is its turn, and no call is left."""
    with pytest.raises(snakepit.UnknownTool, match="dubble"):
        pool.map("dubble", [1])
    with pytest.raises(snakepit.WrongCallStyle, match="stream"):
        pool.map("count", [1])
    with pytest.raises(snakepit.InvalidParameter, match="'x'"):
        list(pool.map("double", [{"x": 1}]))
    with pytest.raises(TypeError, match="on_progress"):
        pool.map("double", [1], on_progress=print)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
    with pytest.raises(snakepit.InvalidParameter, match="ordered is 'x'; allowed is True or False"):
        pool.stream_map("double", [1], ordered="x")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    results = pool.map("double", [1, 2, "text"], window=2)
    with pytest.raises(snakepit.InvalidParameter, match="text"):
        list(results)

    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the source is gone")

    for way in (pool.map, pool.stream_map):
        results = way("double", broken())
        assert len([next(results) for _ in range(1)]) == 1
        with pytest.raises(OSError, match="the source is gone"):
            next(results)
        assert list(results) == []
    idle(pool)


@pytest.mark.parametrize("window", [2, 64, 1000])
def test_a_wrong_item_is_told_in_its_place(pool: snakepit.Pool, window: int) -> None:
    """With its number; `stream_map` goes on."""
    items = [*range(100), "text", *range(101, 200)]
    results, seen = pool.map("double", items, window=window), []
    with pytest.raises(snakepit.InvalidParameter, match="'value' must be int, got str: 'text'") as error:
        seen.extend(results)
    assert seen == [2 * value for value in range(100)]
    assert error.value.details["item"] == 100
    assert error.value.__notes__ == ["item 100"]
    found = {result.number: result for result in pool.stream_map("double", items, window=window)}
    assert sorted(found) == list(range(200))
    wrong = found.pop(100)
    assert isinstance(wrong.error, snakepit.InvalidParameter)
    assert [result.value for _, result in sorted(found.items())] == [2 * value for value in range(200) if value != 100]
    idle(pool)


def test_calls_that_are_made_and_not_submitted_have_ended(pool: snakepit.Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the pool takes no more in the middle of a window: spans would stay open, and host tools would keep them."""
    engine: Any = pool._ready()[0]
    made: list[Any] = []
    new_call = engine.new_call

    def draining(*args: Any, **options: Any) -> Any:
        if len(made) == 3:
            raise snakepit.PoolDraining("the pool is being drained")
        made.append(new_call(*args, **options))
        return made[-1]

    monkeypatch.setattr(engine, "new_call", draining)
    with pytest.raises(snakepit.PoolDraining):
        pool.map("double", range(10))
    assert [call.over for call in made] == [True] * 3
    idle(pool)


def slow_items(count: int, seconds: float, given: list[int]) -> Iterator[int]:
    """As a log that is followed gives lines. `given`: those that it has."""
    for number in range(count):
        time.sleep(seconds)
        given.append(number)
        yield number


@pytest.mark.parametrize("ordered", [True, False])
def test_a_slow_source_holds_no_result_back(pool: snakepit.Pool, ordered: bool) -> None:
    """Each is there before the next item is waited for."""
    for number in range(20):
        pool.execute("double", {"value": number})
    given: list[int] = []
    for result in pool.stream_map("double", slow_items(5, 0.3, given), ordered=ordered):
        assert result.number == given[-1]
        assert result.value == 2 * given[-1]
    assert given == list(range(5))
    given.clear()
    assert [(value, len(given)) for value in pool.map("double", slow_items(5, 0.3, given))] == [(2 * n, n + 1) for n in range(5)]


def test_a_slow_source_keeps_all_workers_busy(pool: snakepit.Pool) -> None:
    """Where calls take longer than items: more of these are taken meanwhile, as far as the window reaches."""
    given: list[int] = []
    items = ({"value": number, "pause": 0.2} for number in slow_items(30, 0.01, given))
    results = pool.map("double", items, window=12)
    assert next(results) == 0
    assert 4 <= len(given) <= 13
    assert list(results) == [2 * number for number in range(1, 30)]


def test_a_slow_source_of_tasks() -> None:
    """It holds the loop up itself, but no longer than for an item; results come in between."""

    async def main() -> None:
        async with snakepit.AsyncPool(TOOLS, size=2) as pool:
            for number in range(20):
                await pool.execute("double", {"value": number})
            given: list[int] = []
            async for result in pool.stream_map("double", slow_items(5, 0.3, given)):
                assert result.value == 2 * given[-1]
            assert given == list(range(5))

    asyncio.run(main())


@pytest.mark.parametrize("way", ["close", "drop", "with"])
def test_whoever_leaves_cancels_the_rest(pool: snakepit.Pool, way: str) -> None:
    """An endless source is gone through no further, and what runs ends."""
    taken = itertools.count()
    items: Any = ({"value": value, "pause": 0.0 if value < 5 else 30.0} for value in taken)
    results = pool.map("double", items, window=8)
    assert [next(results) for _ in range(5)] == [0, 2, 4, 6, 8]
    if way == "close":
        results.close()
        assert list(results) == []
    elif way == "with":
        with results:
            pass
    del results
    gc.collect()
    idle(pool)
    assert next(taken) <= 5 + 8 + 1
    assert list(pool.map("double", [1])) == [2]


def test_a_pool_that_is_closed_meanwhile() -> None:
    """The reader hears of it, as of any call."""
    pool = snakepit.Pool(TOOLS, size=1)
    with pool:
        results = pool.map("double", [{"value": 1, "pause": 30.0}] * 3)
        others = pool.stream_map("double", ({"value": number, "pause": 0.05} for number in itertools.count()))
        threading.Timer(0.3, pool.close).start()
        with pytest.raises(snakepit.PoolClosed):
            list(results)
        with pytest.raises(snakepit.PoolClosed):
            list(others)
    with pytest.raises(snakepit.PoolClosed):
        pool.map("double", [1])


def test_a_worker_that_dies_costs_its_call(pool: snakepit.Pool) -> None:
    """The others go on."""
    results = pool.stream_map("double", [{"value": value, "pause": 0.2} for value in range(6)])
    wait_until(lambda: pool.stats().running == 2)
    pid = pool.workers()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    told = sorted(results, key=lambda result: result.number)
    lost = [result.number for result in told if isinstance(result.error, snakepit.WorkerCrashed)]
    assert len(lost) == 1
    assert [result.value for result in told if result.error is None] == [2 * number for number in range(6) if number not in lost]


def test_a_session_keeps_its_order(pool: snakepit.Pool) -> None:
    """All calls of it go to its worker."""
    with pool.session() as session:
        assert list(pool.map("double", range(20), session_id=session)) == list(range(0, 40, 2))


async def reached(condition: Callable[[], bool]) -> None:
    """Looked at until it holds; the caller bounds it."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the pool tells nobody of its figures
            await asyncio.sleep(0.01)


def test_several_readers_of_one(pool: snakepit.Pool) -> None:
    """Threads that share one reader have each result once between them, and all of them come to its end."""
    results = pool.map("double", range(1000))
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.extend(results), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [thread.is_alive() for thread in threads] == [False] * 3
    assert sorted(got) == list(range(0, 2000, 2))


def test_several_tasks_read_one() -> None:
    """The same of tasks."""

    async def main() -> None:
        async with snakepit.AsyncPool(TOOLS, size=2) as pool:
            results = pool.map("double", range(1000))

            async def read() -> list[int]:
                return [value async for value in results]

            parts = await asyncio.wait_for(asyncio.gather(read(), read(), read()), 20)
            assert sorted(itertools.chain(*parts)) == list(range(0, 2000, 2))

    asyncio.run(main())


def test_awaited() -> None:
    """The same on the async face, and a reader whose task is cancelled cancels the calls."""

    async def run() -> None:
        async with snakepit.AsyncPool(TOOLS, size=2) as pool:
            assert [value async for value in pool.map("double", range(200))] == list(range(0, 400, 2))
            told = [result async for result in pool.stream_map("double", [12, 1300])]
            assert sorted(result.number for result in told if result.error is None) == [0]
            with pytest.raises(snakepit.ToolError, match="not 1300"):
                [value async for value in pool.map("double", [1300, *range(100)])]
            with pytest.raises(snakepit.UnknownTool):
                pool.map("dubble", [1])
            endless = ({"value": 1, "pause": 30.0} for _ in itertools.count())

            async def read() -> None:
                async for _ in pool.map("double", endless):
                    raise AssertionError("it sleeps")

            task = asyncio.create_task(read())
            await reached(lambda: pool.stats().running == 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            results = pool.map("double", [{"value": 1, "pause": 30.0}] * 4)
            await reached(lambda: pool.stats().running == 2)
            del results
            gc.collect()
            await reached(lambda: not pool.stats().running and not pool.stats().queued)
            async with pool.map("double", [1, 2]) as left:
                async for value in left:
                    assert value == 2
                    break

    asyncio.run(asyncio.wait_for(run(), 60))
