"""Waiting: the bounded queue, deadlines that count from the submission, gaps between chunks. To the second: `test_turned_times`."""

from __future__ import annotations

import pathlib
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


def test_very_long_times(pool: snakepit.Pool) -> None:
    """Times that no clock can count to are as good as none."""
    assert len(list(pool.stream("count", {"n": 2}, timeout=1e15, chunk_timeout=1e15))) == 3
    assert pool.execute("add", {"a": 1}, timeout=1e15) == 2


async def test_very_long_times_of_the_async_face() -> None:
    """The same on the async face."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        assert len([chunk async for chunk in pool.stream("count", {"n": 2}, timeout=1e15, chunk_timeout=1e15)]) == 3
        assert await pool.execute("add", {"a": 1}, timeout=1e15) == 2


def test_many_waiting_calls_at_once() -> None:
    """A thousand calls of an async tool with a deadline each: all end, none is lost."""
    with snakepit.Pool(ASYNC_TOOLS, size=1) as pool:
        futures = [pool.submit("hold", timeout=0.2) for _ in range(1000)]
        assert {type(future.exception()) for future in futures} == {snakepit.WorkerTimeout}
        assert pool.stats().timed_out == 1000
        idle(pool)
