"""Flow: how far a worker runs ahead of a slow consumer, and what both hold in memory meanwhile."""

from __future__ import annotations

import mmap
import os
import pathlib
from collections.abc import Iterator

import psutil
import pytest

import snakepit
from pool_helpers import ASYNC_TOOLS, TOOLS, idle

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

MIB = 1024 * 1024


class Counter:
    """How many chunks a tool has made, in a file that both processes map."""

    def __init__(self, path: pathlib.Path) -> None:
        path.write_bytes(bytes(8))
        self.path = str(path)
        self._file = path.open("r+b")
        self._shared = mmap.mmap(self._file.fileno(), 8)

    @property
    def value(self) -> int:
        return int.from_bytes(self._shared[:8], "little")

    def close(self) -> None:
        self._shared.close()
        self._file.close()


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Iterator[Counter]:
    counter = Counter(tmp_path / "made")
    yield counter
    counter.close()


def test_a_worker_runs_ahead_by_its_window_of_chunks(made: Counter) -> None:
    """At no moment has the tool made more chunks than were consumed, plus the window, plus the one it is about to send."""
    with snakepit.Pool(TOOLS, size=1, window_chunks=16) as pool:
        most = 0
        for number, _ in enumerate(pool.stream("counted", {"path": made.path, "n": 2000, "size": 1}).values(), 1):
            ahead = made.value - number
            most = max(most, ahead)
            assert ahead <= 16 + 1
        assert number == 2000
        assert most > 0


def test_a_worker_runs_ahead_by_its_window_of_bytes(made: Counter) -> None:
    """Large chunks are bounded by bytes: of chunks of 100 kB, a window of 250 kB lets three be on their way."""
    with snakepit.Pool(TOOLS, size=1, window_bytes=250_000) as pool:
        for number, value in enumerate(pool.stream("counted", {"path": made.path, "n": 100, "size": 100_000}).values(), 1):
            assert len(value) == 100_000
            assert made.value - number <= 2 + 1
        assert number == 100


def test_a_chunk_larger_than_the_window(made: Counter) -> None:
    """A chunk that is larger than the whole window passes when it is alone."""
    with snakepit.Pool(TOOLS, size=1, window_bytes=1000) as pool:
        sizes = [len(value) for value in pool.stream("counted", {"path": made.path, "n": 5, "size": 2 * MIB}).values()]
        assert sizes == [2 * MIB] * 5


def test_a_slow_consumer_and_memory(made: Counter) -> None:
    """400 MB go through a stream whose consumer is slower than its tool: neither process grows by 32 MiB."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        worker, host = psutil.Process(pool.execute("pid")), psutil.Process()
        next(iter(pool.stream("counted", {"path": made.path, "n": 50, "size": 100_000})))
        idle(pool)
        before = worker.memory_info().rss, host.memory_info().rss
        most = [0, 0]
        for number, value in enumerate(pool.stream("counted", {"path": made.path, "n": 4000, "size": 100_000}).values(), 1):
            if number % 100 == 0:
                sum(value)  # slower than the tool
                most = [max(seen, process.memory_info().rss) for seen, process in zip(most, (worker, host), strict=True)]
        assert number == 4000
        grown = [(seen - start) / MIB for seen, start in zip(most, before, strict=True)]
        assert max(grown) < 32, f"worker and host grew by {grown} MiB"


def test_a_consumer_that_stops_stalls_nobody_else() -> None:
    """A stream that is not read holds back only itself: other calls of the same worker go on."""
    with snakepit.Pool(ASYNC_TOOLS, size=1, window_chunks=4) as pool:
        stalled = pool.stream("ticks", timeout=None)
        next(stalled)
        other = pool.stream("ticks", timeout=None)
        assert [next(other)["data"] for _ in range(500)] == list(range(500))
        assert pool.execute("pid") != os.getpid()
        assert [next(stalled)["data"] for _ in range(10)] == list(range(1, 11))
        stalled.close()
        other.close()
        idle(pool)
