"""Waiting: the bounded queue and its own timeout, deadlines that count from the submission, and the gap between chunks."""

from __future__ import annotations

import asyncio
import pathlib
import threading
import time
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import ASYNC_TOOLS, TOOLS, Marks, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    """One worker, for tests that leave it as it was."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        yield pool


@pytest.fixture
def busy(pool: snakepit.Pool, marks: Marks) -> Iterator[snakepit.Pool]:
    """The same pool while its worker is busy until the test says `go`, at the latest at its end."""
    holder = pool.submit("until", {"folder": marks.text, "name": "go"}, timeout=None)
    marks.wait("started")
    yield pool
    marks.say("go")
    holder.result()
    idle(pool)


def test_a_full_queue(marks: Marks) -> None:
    """A call beyond `queue_size` is refused with what to do; when there is place again, calls are taken."""
    with snakepit.Pool(TOOLS, size=1, queue_size=2) as pool:
        running = pool.submit("until", {"folder": marks.text, "name": "go"})
        marks.wait("started")
        waiting = [pool.submit("add", {"a": number}) for number in range(2)]
        with pytest.raises(snakepit.QueueFull, match="2 calls wait already, and queue_size is 2(.|\n)*raise queue_size"):
            pool.execute("add", {"a": 1})
        with pytest.raises(snakepit.QueueFull):
            next(iter(pool.stream("count", {"n": 1})))
        assert waiting[0].cancel()
        waiting[0] = pool.submit("add", {"a": 0})
        marks.say("go")
        assert [future.result() for future in (running, *waiting)] == ["go", 1, 2]
        assert pool.execute("add", {"a": 1}) == 2


def test_no_queue(marks: Marks) -> None:
    """`queue_size=0`: a call is served at once or refused."""
    with snakepit.Pool(TOOLS, size=1, queue_size=0) as pool:
        running = pool.submit("until", {"folder": marks.text, "name": "go"})
        marks.wait("started")
        assert isinstance(pool.submit("add", {"a": 1}).exception(), snakepit.QueueFull)
        marks.say("go")
        running.result()
        assert pool.execute("add", {"a": 1}) == 2


def test_queue_timeout(marks: Marks) -> None:
    """A call that waits longer than `queue_timeout` for a worker fails with that; one that runs is not touched by it."""
    with snakepit.Pool(TOOLS, size=1, queue_timeout=0.1) as pool:
        running = pool.submit("until", {"folder": marks.text, "name": "go"})
        marks.wait("started")
        with pytest.raises(snakepit.QueueTimeout, match=r"waited 0.1 s for a worker") as caught:
            pool.execute("add", {"a": 1}, timeout=None)
        assert isinstance(caught.value, TimeoutError)
        with pytest.raises(snakepit.QueueTimeout):
            next(iter(pool.stream("count", {"n": 1}, timeout=None)))
        marks.say("go")
        assert running.result() == "go"
        stats = pool.stats()
        assert stats.submitted == 3 == stats.succeeded + stats.failed + stats.cancelled + stats.timed_out + stats.crashed


def test_first_come_first_served(busy: snakepit.Pool, marks: Marks) -> None:
    """Calls that wait are served in the order they came, streams and others alike."""
    order: list[int] = []
    futures = [busy.submit("add", {"a": number}) for number in range(10)]
    for number, future in enumerate(futures):
        future.add_done_callback(lambda _, number=number: order.append(number))
    marks.say("go")
    wait_until(lambda: len(order) == 10, "all calls")
    assert order == list(range(10))


def test_the_deadline_counts_from_the_submission(busy: snakepit.Pool) -> None:
    """A call whose time runs out in the queue fails there; its tool is never run."""
    with pytest.raises(snakepit.WorkerTimeout, match=r"within 0.1 s \(while it waited for a worker\)"):
        busy.execute("fail", timeout=0.1)
    assert busy.stats().queued == 0


def test_time_in_the_queue_is_taken_off(busy: snakepit.Pool, marks: Marks) -> None:
    """What a call waited in the queue is missing from the time its tool has."""
    future = busy.submit("remaining", timeout=10.0)
    wait_until(lambda: busy.stats().queued == 1, "the waiting call")
    began = time.monotonic()
    wait_until(lambda: time.monotonic() > began + 0.2, "some time in the queue")
    marks.say("go")
    assert future.result() < 9.8


def test_a_deadline_while_it_runs(pool: snakepit.Pool, marks: Marks) -> None:
    """The caller gets its error at the deadline, the call is cancelled in the worker, and the slot is free."""
    with pytest.raises(snakepit.WorkerTimeout, match=r"'hold' did not end within 0.5 s \(on worker-1\)") as caught:
        pool.execute("hold", {"folder": marks.text}, timeout=0.5)
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.code, caught.value.details["worker_id"]) == ("worker_timeout", "worker-1")
    assert pool.execute("add", {"a": 1}) == 2
    assert "left" in marks.said


def test_a_deadline_of_a_stream(pool: snakepit.Pool, marks: Marks) -> None:
    """A stream's deadline bounds it as a whole: chunks until then, then the error; the generator is closed."""
    with pytest.raises(snakepit.WorkerTimeout):
        for _ in pool.stream("endless", {"folder": marks.text}, timeout=0.5):
            pass
    assert pool.execute("add", {"a": 1}) == 2
    assert "left" in marks.said


def test_no_deadline_at_all(pool: snakepit.Pool, marks: Marks) -> None:
    """`timeout=None` on a call sets no timer: it ends when its tool does."""
    stream = pool.stream("gap", {"folder": marks.text, "before": 1, "after": 1}, timeout=None)
    assert next(stream)["data"] == 0
    marks.say("go")
    assert [chunk.get("data") for chunk in stream] == [1, None]


def test_chunk_timeout(pool: snakepit.Pool, marks: Marks) -> None:
    """A gap between chunks that is longer than `chunk_timeout` is an error that says how far the stream was."""
    got = []
    with pytest.raises(snakepit.ChunkTimeout, match=r"'gap' gave no chunk for 0.5 s \(after 3 chunks, on worker-1\)") as caught:
        for chunk in pool.stream("gap", {"folder": marks.text, "before": 3, "after": 0}, chunk_timeout=0.5):
            got.append(chunk["data"])  # noqa: PERF401
    assert got == [0, 1, 2]
    assert isinstance(caught.value, snakepit.WorkerTimeout)
    assert caught.value.code == "chunk_timeout"
    assert pool.execute("add", {"a": 1}) == 2


def test_chunk_timeout_of_a_first_chunk_that_never_comes(pool: snakepit.Pool, marks: Marks) -> None:
    """The time until the first chunk is a gap too."""
    with pytest.raises(snakepit.ChunkTimeout, match="after 0 chunks"):
        next(iter(pool.stream("gap", {"folder": marks.text, "before": 0, "after": 0}, chunk_timeout=0.1)))
    idle(pool)


def test_the_consumers_own_time_does_not_count(pool: snakepit.Pool, marks: Marks) -> None:
    """A consumer that takes longer than `chunk_timeout` over a chunk gets the next one all the same."""
    got = []
    stream = pool.stream("gap", {"folder": marks.text, "before": 3, "after": 3}, chunk_timeout=0.6)
    for chunk in stream:
        if chunk.get("data") == 2:
            marks.say("go")
            pause = time.monotonic() + 0.7
            wait_until(lambda end=pause: time.monotonic() > end, "a consumer that takes its time")
        got.append(chunk.get("data"))
    assert got == [0, 1, 2, 3, 4, 5, None]


def test_the_gap_does_not_count_while_the_call_waits(busy: snakepit.Pool, marks: Marks) -> None:
    """`chunk_timeout` starts when the call does: neither does it pass in the queue, nor is what was waited there missing."""
    stream = busy.stream("gap", {"folder": marks.text, "before": 1, "after": 0}, chunk_timeout=0.6)
    first: list[object] = []
    reader = threading.Thread(target=lambda: first.append(next(stream)))
    reader.start()
    pause = time.monotonic() + 0.9
    wait_until(lambda: time.monotonic() > pause, "more time in the queue than the gap")
    assert reader.is_alive()
    marks.say("go")
    reader.join(10)
    assert [chunk["data"] for chunk in first] == [0]
    stream.close()


async def test_chunk_timeout_of_the_async_face(marks: Marks) -> None:
    """The same three on the async face: a gap, the consumer's own time, and the time in the queue."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        with pytest.raises(snakepit.ChunkTimeout, match="after 2 chunks"):
            async for _ in pool.stream("gap", {"folder": marks.text, "before": 2, "after": 0}, chunk_timeout=0.5):
                pass
        got = []
        async for chunk in pool.stream("gap", {"folder": marks.text, "before": 2, "after": 2}, chunk_timeout=0.6):
            if chunk.get("data") == 1:
                marks.say("go")
                await asyncio.sleep(0.7)
            got.append(chunk.get("data"))
        assert got == [0, 1, 2, 3, None]
        holder = asyncio.create_task(pool.execute("until", {"folder": marks.text, "name": "end"}))
        await asyncio.to_thread(marks.wait, "started")
        waiting = asyncio.create_task(anext(pool.stream("count", {"n": 1}, chunk_timeout=0.5)))
        await asyncio.sleep(0.7)
        assert not waiting.done()
        marks.say("end")
        assert (await waiting)["n"] == 0
        assert await holder == "end"


def test_very_long_times(pool: snakepit.Pool) -> None:
    """Times that no clock can count to are as good as none."""
    assert len(list(pool.stream("count", {"n": 2}, timeout=1e15, chunk_timeout=1e15))) == 3
    assert pool.execute("add", {"a": 1}, timeout=1e15) == 2


async def test_very_long_times_of_the_async_face() -> None:
    """The same on the async face."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        assert len([chunk async for chunk in pool.stream("count", {"n": 2}, timeout=1e15, chunk_timeout=1e15)]) == 3
        assert await pool.execute("add", {"a": 1}, timeout=1e15) == 2


def test_the_first_gap_counts_from_the_calls_start(marks: Marks) -> None:
    """A call that was in the queue for most of `chunk_timeout` has all of it for its first chunk."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        holder = pool.submit("until", {"folder": marks.text, "name": "end"})
        marks.wait("started")
        stream = pool.stream("gap", {"folder": marks.text, "before": 0, "after": 1}, chunk_timeout=1.2)
        first: list[object] = []
        reader = threading.Thread(target=lambda: first.append(next(stream)))
        reader.start()
        began = time.monotonic()
        wait_until(lambda: time.monotonic() > began + 0.8, "most of the gap")
        marks.say("end")
        assert holder.result() == "end"
        wait_until(lambda: time.monotonic() > began + 1.4, "more than the gap since the reader began to wait")
        marks.say("go")
        reader.join(10)
        assert [chunk["data"] for chunk in first] == [0]
        stream.close()
        idle(pool)


def test_many_waiting_calls_at_once() -> None:
    """A thousand calls of an async tool with a deadline each: all end, none is lost."""
    with snakepit.Pool(ASYNC_TOOLS, size=1) as pool:
        futures = [pool.submit("hold", timeout=0.2) for _ in range(1000)]
        assert {type(future.exception()) for future in futures} == {snakepit.WorkerTimeout}
        assert pool.stats().timed_out == 1000
        idle(pool)
