"""Every way of leaving a call: each cancels it in the worker and frees the slot. What the tool's `finally` marks shows it.

Ctrl-C has a module of its own, and so has the async face.
"""

from __future__ import annotations

import concurrent.futures
import gc
import pathlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    """One worker. Each test shows that it is free again and has not been replaced."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        pool.execute("pid")
        yield pool


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


@pytest.fixture(autouse=True)
def same_worker(pool: snakepit.Pool) -> Iterator[None]:
    """What was left ends gracefully: the worker that served before the test serves after it."""
    before = pool.execute("pid")
    yield
    assert pool.execute("pid") == before
    assert (pool.stats().restarts, pool.stats().killed) == (0, 0)


def test_break_in_a_for(pool: snakepit.Pool, marks: Marks) -> None:
    """`break` while the generator goes on yielding."""
    for chunk in pool.stream("endless", {"folder": marks.text}):
        if chunk["data"] == 10:
            break
    idle(pool)
    assert "left" in marks.said


def test_break_while_the_tool_blocks(pool: snakepit.Pool, marks: Marks) -> None:
    """`break` while the tool is blocked between two chunks."""
    for _ in pool.stream("hold_stream", {"folder": marks.text}):
        marks.wait("started")
        break
    idle(pool)
    assert "left" in marks.said


def test_break_while_the_tool_waits_for_credit(pool: snakepit.Pool, marks: Marks) -> None:
    """`break` while the generator is stopped because its reader is behind."""
    window, before = 1024, pool.stats().chunks
    stream = pool.stream("endless", {"folder": marks.text})
    next(stream)
    wait_until(lambda: pool.stats().chunks == before + window, "a full window")
    stream.close()
    idle(pool)
    assert "left" in marks.said


def test_an_exception_in_the_loops_body(pool: snakepit.Pool, marks: Marks) -> None:
    """An exception in the body of the loop comes out as it is."""
    problem = KeyError("mine")
    with pytest.raises(KeyError) as caught:
        for _ in pool.stream("endless", {"folder": marks.text}):
            raise problem
    assert caught.value is problem
    idle(pool)
    assert "left" in marks.said


def test_a_dropped_half_read_iterator(pool: snakepit.Pool, marks: Marks) -> None:
    """The last reference to an iterator goes."""
    iterator = iter(pool.stream("endless", {"folder": marks.text}))
    assert next(iterator)["data"] == 0
    del iterator
    idle(pool)
    assert "left" in marks.said


def test_a_dropped_half_read_stream(pool: snakepit.Pool, marks: Marks) -> None:
    """The last reference to a stream goes that was read with `next`."""
    stream = pool.stream("endless", {"folder": marks.text})
    assert next(stream)["data"] == 0
    del stream
    idle(pool)
    assert "left" in marks.said


def test_a_dropped_stream_in_a_cycle(pool: snakepit.Pool, marks: Marks) -> None:
    """A stream that only the garbage collector finds is left too; there, too, nothing blocks."""
    cycle: list[Any] = [pool.stream("endless", {"folder": marks.text})]
    next(cycle[0])
    cycle.append(cycle)
    del cycle
    gc.collect()
    idle(pool)
    assert "left" in marks.said


def test_a_stream_that_was_never_read(pool: snakepit.Pool) -> None:
    """Made and dropped."""
    pool.stream("endless")
    idle(pool)


def test_close_and_with(pool: snakepit.Pool, marks: Marks) -> None:
    """`close()`, twice, and the end of `with`."""
    stream = pool.stream("endless", {"folder": marks.text})
    next(stream)
    stream.close()
    stream.close()
    idle(pool)
    assert "left" in marks.said
    with pool.stream("endless") as other:
        next(other)
    idle(pool)
    assert list(other) == []


def test_cancel_from_another_thread(pool: snakepit.Pool, marks: Marks) -> None:
    """`cancel()` makes the reader that waits get CallCancelled."""
    stream = pool.stream("hold_stream", {"folder": marks.text})

    def cancel() -> None:
        marks.wait("started")
        stream.cancel()

    canceller = threading.Thread(target=cancel)
    canceller.start()
    with pytest.raises(snakepit.CallCancelled, match="the stream was cancelled") as caught:
        list(stream)
    canceller.join()
    assert caught.value.code == "call_cancelled"
    idle(pool)
    assert "left" in marks.said


def test_cancel_after_the_end_is_harmless(pool: snakepit.Pool) -> None:
    """A stream or future that has ended cannot be cancelled any more."""
    stream = pool.stream("count", {"n": 2})
    assert len(list(stream)) == 3
    stream.cancel()
    future = pool.submit("add", {"a": 1})
    assert future.result() == 2
    assert future.cancel() is False
    assert future.result() == 2


def test_cancel_a_running_future(pool: snakepit.Pool, marks: Marks) -> None:
    """`future.cancel()` on a call that runs succeeds, wakes who waits, and interrupts the tool."""
    future = pool.submit("hold", {"folder": marks.text})
    marks.wait("started")
    waiters: queue.SimpleQueue[Any] = queue.SimpleQueue()
    waiter = threading.Thread(target=lambda: waiters.put(concurrent.futures.wait([future], timeout=20)))
    waiter.start()
    assert future.cancel() is True
    assert future.cancel() is True
    waiter.join()
    assert waiters.get().done == {future}
    assert future.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result()
    idle(pool)
    assert "left" in marks.said


def test_cancel_a_waiting_future(pool: snakepit.Pool, marks: Marks) -> None:
    """A call that is cancelled in the queue is never run."""
    holder = pool.submit("hold", {"folder": marks.text})
    marks.wait("started")
    waiting = pool.submit("until", {"folder": marks.text, "name": "left", "started": "ran"})
    assert waiting.cancel()
    assert holder.cancel()
    idle(pool)
    assert "ran" not in marks.said


def test_a_progress_callback_that_raises(pool: snakepit.Pool, marks: Marks) -> None:
    """Its exception reaches the caller of `execute` unchanged."""
    problem = ZeroDivisionError("mine")

    def refuse(_report: dict[str, Any]) -> None:
        raise problem

    with pytest.raises(ZeroDivisionError) as caught:
        pool.execute("report_and_hold", {"folder": marks.text}, on_progress=refuse)
    assert caught.value is problem
    idle(pool)
    assert "left" in marks.said


def test_a_timeout_of_a_stream(pool: snakepit.Pool, marks: Marks) -> None:
    """A deadline that passes while the tool blocks."""
    with pytest.raises(snakepit.WorkerTimeout):
        list(pool.stream("hold_stream", {"folder": marks.text}, timeout=0.5))
    idle(pool)
    assert "left" in marks.said


def test_a_cleanup_that_takes_a_while(pool: snakepit.Pool, marks: Marks) -> None:
    """A generator whose `finally` needs a fifth of a second is given it: it is closed, not cut off."""
    for _ in pool.stream("tidy_stream", {"folder": marks.text, "seconds": 0.2}):
        break
    idle(pool)
    assert "left" in marks.said
