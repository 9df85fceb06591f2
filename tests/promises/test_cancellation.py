"""A cancelled call ends, whatever its tool does, and what can live on does."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import pytest

import snakepit
from promise_figures import often
from snakepit_bridge.call_context import Cancelled

pytestmark = pytest.mark.slow

WAYS = ["loop", "sleep", "recv", "fifo", "pipe", "lock", "queue", "subprocess", "generator", "coroutine"]


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
        assert pool.stats().killed == 0
    assert kept >= 0.99 * len(times)
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


@pytest.mark.parametrize("tool", ["swallow", "hold", "compute_in_c"])
def test_a_tool_that_does_not_end_costs_its_worker_and_no_more_time_than_said(
    tools: str, figures: Any, tmp_path: pathlib.Path, tool: str
) -> None:
    """Its caller has the error at once, and its slot is served by a healthy worker after the ladder's sum and a second."""
    errors, slots, ladder = [], [], 0.3
    with snakepit.Pool(f"{tools}:Stubborn", size=1, cancel_timeout=ladder, worker_output="discard") as pool:
        for _ in range(often(10, 2)):
            pid = pool.execute("pid")
            future = pool.submit(tool, {"folder": str(tmp_path)})
            wait_for(tmp_path / "started")
            began = time.perf_counter()
            future.cancel()
            errors.append(time.perf_counter() - began)
            assert pool.execute("pid", timeout=20) != pid
            slots.append(time.perf_counter() - began)
    figures(f"the caller of {tool!r} has its error").hold(errors, max=0.100)
    figures(f"the slot of {tool!r} is served").hold(slots, max=ladder + 1.0)


def test_a_deadline_is_told_in_time(tools: str, figures: Any, tmp_path: pathlib.Path) -> None:
    """Whatever the tool does: within a tenth of a second."""
    late = []
    with snakepit.Pool(f"{tools}:Stubborn", size=2, cancel_timeout=0.3, worker_output="discard") as pool:
        for _ in range(often(20, 4)):
            began = time.perf_counter()
            with pytest.raises(snakepit.WorkerTimeout):
                pool.execute("hold", {"folder": str(tmp_path)}, timeout=0.2)
            late.append(time.perf_counter() - began - 0.2)
    figures("a deadline is told").hold(late, max=0.100)
