"""A cancelled tool is interrupted whatever it blocks in: its `finally` runs, and the slot is free again.

Some places to block in hold locks; a worker whose tool was interrupted there is replaced. So these tests share a pool and do not
ask which worker serves next.
"""

from __future__ import annotations

import pathlib
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
    future = pool.submit("hold", {"folder": marks.text, "kind": kind})
    marks.wait("started")
    assert future.cancel()
    idle(pool)
    assert "left" in marks.said
    assert pool.stats().killed == 0
    assert pool.execute("add", {"a": 1}) == 2


@pytest.mark.parametrize("kind", sorted(BLOCKS))
def test_a_blocked_stream_is_interrupted(pool: snakepit.Pool, marks: Marks, kind: str) -> None:
    """The same in the middle of a generator."""
    with pool.stream("hold_stream", {"folder": marks.text, "kind": kind}) as stream:
        next(stream)
        marks.wait("started")
    idle(pool)
    assert "left" in marks.said
    assert pool.stats().killed == 0
    assert pool.execute("add", {"a": 1}) == 2


@pytest.mark.parametrize("kind", ["queue.get", "event", "sleep"])
def test_a_call_that_waits_behind_it_is_served(pool: snakepit.Pool, marks: Marks, kind: str) -> None:
    """The next call in the queue succeeds, also where the interrupted worker has to be replaced."""
    held = pool.submit("hold", {"folder": marks.text, "kind": kind})
    marks.wait("started")
    waiting = [pool.submit("add", {"a": number}) for number in range(5)]
    assert held.cancel()
    assert [future.result() for future in waiting] == [1, 2, 3, 4, 5]
