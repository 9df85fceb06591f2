"""The same calls on `AsyncPool`, on asyncio's own loop and on uvloop's."""

from __future__ import annotations

import asyncio
import pathlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import snakepit
from pool_helpers import ASYNC_TOOLS, TOOLS, Marks
from pool_tools import PoolTools

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a test's coroutine to its end on a fresh loop."""
    if request.param == "asyncio":
        return asyncio.run
    uvloop = pytest.importorskip("uvloop")

    def on_uvloop(coroutine: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(coroutine)

    on_uvloop(asyncio.sleep(0))  # libuv's first loop opens a pipe that stays for the life of the process
    return on_uvloop


def test_all_calls(run: Run) -> None:
    """Execute, stream, values, submit, tools, bind, stats, workers and tool_specs, with await where the sync face has none."""

    async def main() -> None:
        async with snakepit.AsyncPool(TOOLS, size=1) as pool:
            assert await pool.execute("add", {"a": 2, "b": 3}) == 5
            stream = pool.stream("count", {"n": 3000})
            chunks = [chunk async for chunk in stream]
            assert [chunk.get("n") for chunk in chunks] == [*range(3000), None]
            assert [chunk["is_final"] for chunk in chunks] == [False] * 3000 + [True]
            assert stream.result == "counted"
            assert [value async for value in pool.stream("count", {"n": 2}).values()] == [{"n": 0}, {"n": 1}]
            assert await pool.submit("add", {"a": 1}) == 2
            with pytest.raises(TypeError, match=r"submit\(\) and map\(\) have no option 'on_progress'"):
                pool.submit("add", {"a": 1}, on_progress=print)  # type: ignore[call-arg]
            assert await pool.tools.add(2, b=3) == 5
            assert await pool.bind(PoolTools).add(2) == 3  # type: ignore[misc]
            assert [value async for value in pool.tools.count(2)] == [{"n": 0}, {"n": 1}]
            assert "add" in {spec.name for spec in pool.tool_specs()}
            assert [handle.info().state for handle in pool.workers()] == ["ready"]
            assert pool.stats().succeeded == 7

    run(main())


def test_errors(run: Run) -> None:
    """A tool's error, a deadline, a crash and a wrong argument come out of the await."""

    async def main() -> None:
        async with snakepit.AsyncPool(TOOLS, size=1) as pool:
            with pytest.raises(snakepit.ToolError, match="no luck"):
                await pool.execute("fail")
            with pytest.raises(snakepit.InvalidParameter):
                await pool.execute("add", {"a": "1"})
            with pytest.raises(snakepit.InvalidParameter):
                pool.stream("count", {})
            with pytest.raises(snakepit.WorkerTimeout):
                await pool.execute("hold", {"folder": "/tmp"}, timeout=0.05)
            with pytest.raises(snakepit.WorkerCrashed, match="SIGKILL"):
                await pool.execute("die")
            assert await pool.execute("add", {"a": 1}) == 2

    run(main())


def test_leaving_an_async_for(run: Run, tmp_path: pathlib.Path) -> None:
    """`break` cancels the call in the worker and frees the slot."""
    marks = Marks(tmp_path)

    async def main() -> None:
        async with snakepit.AsyncPool(TOOLS, size=1) as pool:
            async for chunk in pool.stream("endless", {"folder": marks.text}):
                if chunk["data"] == 5:
                    break
            assert await pool.execute("add", {"a": 1}) == 2
            assert "left" in marks.said

    run(main())


@pytest.mark.parametrize("way", ["execute", "submit", "stream"])
def test_a_cancelled_task(run: Run, way: str, tmp_path: pathlib.Path) -> None:
    """Cancelling the task that awaits a call, or that `submit` gave, cancels the call in the worker."""
    marks = Marks(tmp_path)

    async def main() -> None:
        async with snakepit.AsyncPool(TOOLS, size=1) as pool:
            if way == "submit":
                caller = pool.submit("hold", {"folder": marks.text})
            elif way == "execute":
                caller = asyncio.create_task(pool.execute("hold", {"folder": marks.text}))
            else:
                caller = asyncio.create_task(anext(pool.stream("hold_stream", {"folder": marks.text, "chunks": 0})))
            await asyncio.to_thread(marks.wait, "started")
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            assert await pool.execute("add", {"a": 1}) == 2
            assert "left" in marks.said

    run(main())


def test_many_streams_at_once(run: Run) -> None:
    """Fifty streams of one worker run side by side, each in order."""

    async def main() -> None:
        async with snakepit.AsyncPool(ASYNC_TOOLS, size=1) as pool:

            async def read(wanted: int) -> list[int]:
                got: list[int] = []
                async for value in pool.stream("ticks").values():
                    got.append(value)
                    if len(got) == wanted:
                        break
                return got

            assert await asyncio.gather(*map(read, range(1, 51))) == [list(range(wanted)) for wanted in range(1, 51)]
            while await pool.execute("held"):
                pass

    run(main())


async def test_starts_with_the_first_call_too() -> None:
    """Without `async with` the first call starts the pool; `stream` needs a started one and says so."""
    pool = snakepit.AsyncPool(TOOLS, size=1)
    with pytest.raises(RuntimeError, match=r"async with AsyncPool"):
        pool.stream("count", {"n": 1})
    assert await pool.execute("add", {"a": 1}) == 2
    await pool.close()
    with pytest.raises(snakepit.PoolClosed):
        await pool.execute("add", {"a": 1})


async def test_callers_that_come_while_it_starts() -> None:
    """Calls made at the same time, before the pool has started, start it once and are all served."""
    pool = snakepit.AsyncPool(TOOLS, size=1)
    assert await asyncio.gather(*(pool.execute("add", {"a": number}) for number in range(10))) == list(range(1, 11))
    assert len(pool.workers()) == 1
    await pool.close()


async def test_progress_callbacks_may_be_async() -> None:
    """`on_progress` may be a coroutine function; the last report is seen before the result."""
    seen: list[float] = []

    async def note(report: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        seen.append(report["progress"])

    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        assert await pool.execute("steps", {"total": 100}, on_progress=note) == "done"
        assert await pool.execute("steps", {"total": 3}, on_progress=lambda report: seen.append(report["progress"])) == "done"
    assert 100 in seen
    assert seen[-1] == 3


async def test_a_progress_callback_that_raises(tmp_path: pathlib.Path) -> None:
    """Its exception comes out of `execute` unchanged, and the call is cancelled in the worker."""
    marks, problem = Marks(tmp_path), KeyError("mine")

    async def refuse(_report: dict[str, Any]) -> None:
        raise problem

    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        with pytest.raises(KeyError) as caught:
            await pool.execute("report_and_hold", {"folder": marks.text}, on_progress=refuse)
        assert caught.value is problem
        assert await pool.execute("add", {"a": 1}) == 2
        assert "left" in marks.said


async def test_cancel_and_close_of_a_stream(tmp_path: pathlib.Path) -> None:
    """`cancel()` makes a waiting reader get CallCancelled; `aclose()` and `async with` leave the stream."""
    marks = Marks(tmp_path)
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        stream = pool.stream("hold_stream", {"folder": marks.text})
        with pytest.raises(snakepit.CallCancelled):
            async for _ in stream:
                await asyncio.to_thread(marks.wait, "started")
                stream.cancel()
        async with pool.stream("endless") as stream:
            assert (await anext(stream))["data"] == 0
        assert [chunk async for chunk in stream] == []
        stream = pool.stream("endless")
        await stream.aclose()
        assert await pool.execute("add", {"a": 1}) == 2


async def test_a_dropped_half_read_iterator(tmp_path: pathlib.Path) -> None:
    """An iterator that is dropped half-read, and a stream that is dropped unread, leave their calls."""
    marks = Marks(tmp_path)
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        iterator = aiter(pool.stream("endless", {"folder": marks.text}))
        assert (await anext(iterator))["data"] == 0
        del iterator
        assert await pool.execute("add", {"a": 1}) == 2
        assert "left" in marks.said
        pool.stream("endless")
        assert await pool.execute("add", {"a": 1}) == 2


async def test_the_cleanup_of_an_async_tool_is_not_cut_short(tmp_path: pathlib.Path) -> None:
    """A cancelled async tool whose `finally` computes for a tenth of a second runs it to its end."""
    marks = Marks(tmp_path)
    async with snakepit.AsyncPool(ASYNC_TOOLS, size=1) as pool:
        caller = asyncio.create_task(pool.execute("tidy", {"folder": marks.text, "seconds": 0.1}))
        await asyncio.to_thread(marks.wait, "started")
        caller.cancel()
        await asyncio.wait([caller])
    assert "left" in marks.said


async def test_another_loop() -> None:
    """A pool that was started on one loop says so on another, and outside of any."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:

        async def elsewhere() -> None:
            with pytest.raises(snakepit.PoolError, match="another event loop") as caught:
                await pool.execute("pid")
            assert caught.value.code == "wrong_loop"

        await asyncio.to_thread(asyncio.run, elsewhere())
        with pytest.raises(snakepit.PoolError, match="another event loop"):
            await asyncio.to_thread(pool.stream, "endless")
        assert await pool.execute("add", {"a": 1}) == 2


def test_a_later_loop() -> None:
    """A pool whose loop has ended under it is closed."""
    pool = snakepit.AsyncPool(TOOLS, size=1)
    asyncio.run(pool.start())

    async def later() -> None:
        with pytest.raises(snakepit.PoolError):
            await pool.execute("pid")

    asyncio.run(later())


@pytest.mark.parametrize("pause", [0.0, 0.003, 0.01, 0.03])
def test_a_close_in_the_turn_in_which_a_worker_is_replaced(pause: float) -> None:
    """What stops between two looks at whether the pool stops is seen: no worker is started that nobody tells to leave."""
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        pool = snakepit.AsyncPool(TOOLS, size=2, protocol="msgpack", worker_output="discard")

        runner.run(pool.start())
        while pool.stats().workers_ready < 2:
            runner.run(asyncio.sleep(0.005))
        with pytest.raises(snakepit.WorkerCrashed):
            runner.run(pool.execute("die"))
        time.sleep(pause)  # the loop stands, as between two calls of a program that runs one now and then
        runner.run(asyncio.sleep(0))
        began = time.monotonic()
        runner.run(pool.close())
        assert time.monotonic() - began < 4
