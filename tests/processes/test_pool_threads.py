"""One Pool and several threads."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import TOOLS, all_ready, idle

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        yield pool


def test_eight_threads_call_and_stream(pool: snakepit.Pool) -> None:
    """Each thread gets its own answers and its own chunks, in order."""

    def work(number: int) -> tuple[list[int], list[int]]:
        answers = [pool.execute("add", {"a": number * 1000, "b": step}) for step in range(20)]
        chunks = [value["n"] for value in pool.stream("count", {"n": 200, "start": number * 1000}).values()]
        return answers, chunks

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        results = list(threads.map(work, range(8)))
    for number, (answers, chunks) in enumerate(results):
        assert answers == [number * 1000 + step for step in range(20)]
        assert chunks == [number * 1000 + step for step in range(200)]


def test_threads_that_start_it_together() -> None:
    """Threads that make the first call together start the pool once."""
    pool = snakepit.Pool(TOOLS, size=1)
    barrier = threading.Barrier(6)

    def call(_number: int) -> int:
        barrier.wait()
        return pool.execute("pid")

    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(call, range(6)))) == 1
    pool.close()


def test_threads_that_leave_streams(pool: snakepit.Pool) -> None:
    """Streams that several threads leave midway free their slots."""

    def leave(_number: int) -> None:
        for chunk in pool.stream("endless"):
            if chunk["data"] == 3:
                break

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(leave, range(40)))
    idle(pool)
    assert pool.stats().killed == 0


def test_a_stream_may_be_read_by_another_thread(pool: snakepit.Pool) -> None:
    """A stream made by one thread and read by another is read in order."""
    stream = pool.stream("count", {"n": 3000})
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        assert thread.submit(lambda: [chunk.get("n") for chunk in stream]).result() == [*range(3000), None]


def test_futures_of_many_threads(pool: snakepit.Pool) -> None:
    """Futures submitted by several threads come back to each of them; half of them are cancelled by others."""
    futures: list[snakepit.CallFuture] = []

    def submit(number: int) -> None:
        futures.append(pool.submit("add", {"a": number}))

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(submit, range(200)))
        cancelled = list(threads.map(lambda future: future.cancel(), futures[::2]))
    assert len(futures) == 200
    concurrent.futures.wait(futures, timeout=20)
    assert [future.cancelled() for future in futures[::2]] == cancelled
    assert not any(future.cancelled() for future in futures[1::2])
    idle(pool)
