"""A cancelled tool is interrupted whatever it blocks in: its `finally` runs, and the same worker serves the next call."""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, idle
from pool_tools import BLOCKS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    with snakepit.Pool(TOOLS, size=1) as pool:
        yield pool


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_a_blocked_tool_is_interrupted(pool: snakepit.Pool, marks: Marks, kind: str) -> None:
    """A tool that blocks is interrupted, not killed."""
    before = pool.execute("pid")
    future = pool.submit("hold", {"folder": marks.text, "kind": kind})
    marks.wait("started")
    assert future.cancel()
    idle(pool)
    assert "left" in marks.said
    assert pool.stats().killed == 0
    assert pool.execute("pid") == before


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_a_blocked_stream_is_interrupted(pool: snakepit.Pool, marks: Marks, kind: str) -> None:
    """The same in the middle of a generator."""
    before = pool.execute("pid")
    with pool.stream("hold_stream", {"folder": marks.text, "kind": kind}) as stream:
        next(stream)
        marks.wait("started")
    idle(pool)
    assert "left" in marks.said
    assert pool.stats().killed == 0
    assert pool.execute("pid") == before


@pytest.mark.parametrize("kind", ["queue.get", "event", "sleep"])
def test_a_call_that_waits_behind_it_is_served(pool: snakepit.Pool, marks: Marks, kind: str) -> None:
    """The next call in the queue succeeds."""
    held = pool.submit("hold", {"folder": marks.text, "kind": kind})
    marks.wait("started")
    waiting = [pool.submit("add", {"a": number}) for number in range(5)]
    assert held.cancel()
    assert [future.result() for future in waiting] == [1, 2, 3, 4, 5]


def test_a_long_cleanup_runs_to_its_end(marks: Marks, tmp_path: pathlib.Path) -> None:
    """A `finally` may take nearly as long as `cancel_timeout`: no second exception tears it."""
    with snakepit.Pool(TOOLS, size=1, cancel_timeout=10.0) as pool:
        before = pool.execute("pid")
        future = pool.submit("hold_and_tidy", {"folder": marks.text, "seconds": 1.0})
        marks.wait("started")
        assert future.cancel()
        idle(pool)
        assert "tidied" in marks.said
        (tmp_path / "tidied").unlink()
        with pool.stream("stream_and_tidy", {"folder": marks.text, "seconds": 1.0}) as stream:
            assert next(stream)["data"] == 0
        idle(pool)
        assert "tidied" in marks.said
        assert pool.execute("pid") == before


def test_200_abandoned_streams(pool: snakepit.Pool) -> None:
    """Streams left midway, one after the other, cost no slot, no thread and no worker."""
    before, threads = pool.execute("pid"), threading.active_count()
    for _ in range(200):
        for chunk in pool.stream("count", {"n": 1_000_000}):
            assert chunk["n"] == 0
            break
    idle(pool)
    assert pool.execute("pid") == before
    assert threading.active_count() <= threads
    assert pool.stats().running == 0
