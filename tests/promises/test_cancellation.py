"""A cancelled call ends, whatever its tool does, and what can live on does."""

from __future__ import annotations

import asyncio
import pathlib
import random
import threading
import time
from typing import Any

import pytest

import snakepit
from promise_figures import measured, often
from snakepit_bridge.call_context import Cancelled

pytestmark = pytest.mark.slow

WAYS = ["loop", "sleep", "recv", "file", "fifo", "pipe", "lock", "queue", "subprocess", "generator", "coroutine"]


def wait_for(path: pathlib.Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.0005)
    path.unlink()


def cancelled_once(pool: snakepit.Pool, way: str, folder: pathlib.Path) -> float:
    """Start a tool, let it wait, cancel it; seconds until its worker has served another call."""
    if way == "generator":
        stream = pool.stream("generate", {"folder": str(folder)}, timeout=60)
        next(stream)
        wait_for(folder / way)
        began = time.perf_counter()
        stream.close()
    else:
        future = (
            pool.submit("coroutine", {"folder": str(folder)})
            if way == "coroutine"
            else pool.submit("wait", {"way": way, "folder": str(folder)})
        )
        wait_for(folder / way)
        time.sleep(0.002)  # for the tool to come from its mark to its wait
        began = time.perf_counter()
        future.cancel()
    pool.execute("loaded", timeout=20)
    return time.perf_counter() - began


def test_a_cancelled_tool_frees_its_slot_and_its_model_is_still_there(tools: str, figures: Any, tmp_path: pathlib.Path) -> None:
    """In whichever way it waits; in 99 of 100 cases by the same worker."""
    times, kept, rounds = [], 0, often(30, 4)
    with snakepit.Pool(f"{tools}:Waiting", size=1) as pool:
        for _ in range(rounds):
            for way in WAYS:
                model = pool.execute("loaded")
                times.append(cancelled_once(pool, way, tmp_path))
                kept += pool.execute("loaded") == model
        stats = pool.stats()
    assert kept >= 0.99 * len(times)
    assert stats.killed == 0
    assert sum(stats.rungs.values()) == len(times)
    assert stats.restarts == stats.tainted
    assert stats.forced >= stats.tainted
    figures("a cancelled tool frees its slot").hold(times, p99=0.050)


def test_locks_survive_cancels(tools: str, tmp_path: pathlib.Path) -> None:
    """Of a tool that logs, and uses a Queue and a Condition: nothing is raised outside of it, and no lock is lost."""
    rounds = often(1000, 60)
    with snakepit.Pool(f"{tools}:Logging", size=1, worker_output="discard") as pool:
        replaced = 0
        pid = pool.execute("sound")[0]
        for _ in range(rounds):
            future = pool.submit("work", {"folder": str(tmp_path)})
            wait_for(tmp_path / "started")
            future.cancel()
            now, *free = pool.execute("sound", timeout=20)
            assert free == [True, True, True]
            replaced += now != pid
            pid = now
        assert pool.stats().crashed == 0
        assert pool.stats().restarts == replaced
    assert replaced <= 0.01 * rounds + 1
    assert issubclass(Cancelled, BaseException)


def test_a_forced_exception_is_counted_and_costs_the_worker(tools: str, tmp_path: pathlib.Path) -> None:
    """Each of them, and nothing else: the next call is served by another worker, none is killed."""
    rounds = often(10, 2)
    with snakepit.Pool(f"{tools}:Forced", size=1, worker_output="discard") as pool:
        for _ in range(rounds):
            pid = pool.execute("pid")
            future = pool.submit("write", {"folder": str(tmp_path)})
            wait_for(tmp_path / "started")
            future.cancel()
            assert pool.execute("pid", timeout=20) != pid
        stats = pool.stats()
    assert (stats.forced, stats.tainted, stats.restarts, stats.killed) == (rounds, rounds, rounds, 0)
    assert stats.rungs == {"exception": rounds}


def told_at(stream: snakepit.Stream, told: list[float]) -> None:
    """Read until the call is told to have been cancelled; when that was."""
    with pytest.raises(snakepit.CallCancelled):
        for _ in stream:
            pass
    told.append(time.perf_counter())


@pytest.mark.parametrize("tool", ["swallow", "hold", "compute_in_c"])
def test_a_tool_that_does_not_end_costs_its_worker_and_no_more_time_than_said(
    tools: str, figures: Any, tmp_path: pathlib.Path, tool: str
) -> None:
    """A reader that waits has the error at once, by way of the pool, and a healthy worker serves the slot a second after the ladder."""
    errors, slots, told, ladder = [], [], list[float](), 0.3
    with snakepit.Pool(f"{tools}:Stubborn", size=1, cancel_timeout=ladder, worker_output="discard") as pool:
        for _ in range(often(10, 2)):
            pid = pool.execute("pid")
            stream = pool.stream("stream", {"way": tool, "folder": str(tmp_path)})
            waits = threading.Thread(target=told_at, args=(stream, told))
            waits.start()
            wait_for(tmp_path / "started")
            began = time.perf_counter()
            stream.cancel()
            waits.join(20)
            errors.append(told.pop() - began)
            assert pool.execute("pid", timeout=20) != pid
            slots.append(time.perf_counter() - began)
    figures(f"the caller of {tool!r} has its error").hold(errors, max=0.100)
    figures(f"the slot of {tool!r} is served").hold(slots, max=ladder + 1.0)


async def test_a_cancelled_task_ends_at_once(tools: str, figures: Any, tmp_path: pathlib.Path) -> None:
    """Whatever its tool does: `await pool.execute(...)` raises CancelledError, and does not wait for the worker."""
    errors = []
    async with snakepit.AsyncPool(f"{tools}:Stubborn", size=1, cancel_timeout=0.3, worker_output="discard") as pool:
        for _ in range(often(10, 2)):
            task = asyncio.create_task(pool.execute("swallow", {"folder": str(tmp_path)}))
            while not (tmp_path / "started").exists():  # noqa: ASYNC110 - another process says it
                await asyncio.sleep(0.0005)
            (tmp_path / "started").unlink()
            began = time.perf_counter()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            errors.append(time.perf_counter() - began)
    figures("a cancelled task ends").hold(errors, max=0.100)


@pytest.mark.parametrize("tool", ["swallow", "hold", "compute_in_c"])
def test_a_deadline_is_told_in_time(tools: str, figures: Any, tmp_path: pathlib.Path, tool: str) -> None:
    """Whatever the tool does: within a tenth of a second."""
    late = []
    with snakepit.Pool(f"{tools}:Stubborn", size=2, cancel_timeout=0.3, worker_output="discard") as pool:
        for _ in range(often(20, 4)):
            began = time.perf_counter()
            with pytest.raises(snakepit.WorkerTimeout):
                pool.execute(tool, {"folder": str(tmp_path)}, timeout=0.2)
            late.append(time.perf_counter() - began - 0.2)
    figures(f"the deadline of {tool!r} is told").hold(late, max=0.100)


def race(pool: snakepit.Pool, seed: int, rounds: int, wrong: list[str]) -> None:
    """Cancel calls in the moment in which they end, each followed by one that nobody cancels."""
    dice = random.Random(seed)
    for number in range(rounds):
        wait = dice.uniform(0.0, 0.001)
        # Half of them end while the cancel is on its way, the others when the exception is due.
        seconds = 0.0 if number % 2 else wait + 0.02 + dice.gauss(0.001, 0.002)
        future = pool.submit("spend", {"number": number, "seconds": seconds})
        time.sleep(wait)
        future.cancel()
        try:
            if pool.execute("square", {"number": number}, timeout=20) != number**2:
                wrong.append(f"a wrong result after call {number}")
            if not future.cancelled() and future.result(20) != number**2:
                wrong.append(f"a wrong result of call {number}")
        except snakepit.SnakepitError as error:
            wrong.append(f"call {number} (seed {seed}): {error!r}")


@pytest.mark.parametrize(
    ("adapter", "settings"),
    [("Racing", {"size": 2}), ("AsyncRacing", {"size": 2}), ("Racing", {"size": 1, "profile": "thread", "threads_per_worker": 2})],
    ids=["main thread", "async", "threads"],
)
def test_a_cancel_that_comes_as_its_call_ends_touches_no_other(tools: str, adapter: str, settings: dict[str, Any]) -> None:
    """Whatever it hits is its own call, or nothing."""
    rounds, seed, wrong = often(10_000, 400), random.randrange(2**32), list[str]()
    with snakepit.Pool(f"{tools}:{adapter}", **settings) as pool:
        drivers = [threading.Thread(target=race, args=(pool, seed + number, rounds // 2, wrong)) for number in range(2)]
        for driver in drivers:
            driver.start()
        for driver in drivers:
            driver.join()
        deadline = time.monotonic() + 10
        while pool.stats().running and time.monotonic() < deadline:
            time.sleep(0.01)  # the last of those that were cancelled is still on its way
        stats = pool.stats()
    assert not wrong
    assert (stats.failed, stats.crashed, stats.killed, stats.restarts) == (0, 0, 0, stats.tainted)
    assert stats.tainted <= 0.01 * rounds
    assert sum(stats.rungs.values()) == stats.cancelled
    assert stats.succeeded + stats.cancelled == stats.submitted == 2 * rounds
    assert min(stats.rungs.get(rung, 0) for rung in ("finished", "close" if adapter == "AsyncRacing" else "exception")) > 0
    measured.append(f"cancels raced against {rounds} results ({adapter}, {settings}): {dict(stats.rungs)}, {stats.tainted} tainted")
