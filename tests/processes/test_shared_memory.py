"""What is large goes through shared memory, on every protocol: nothing is lost or mixed up, it comes back, and nothing is left."""

from __future__ import annotations

import gc
import os
import pathlib
import time
from typing import Any

import numpy
import pytest

import snakepit
from array_tools import ArrayTools
from snakepit.errors import WorkerCrashed

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

MEBI = 1024 * 1024
every_protocol = pytest.mark.parametrize("protocol", ["msgpack", "json", "grpc"])


def memory_files() -> list[str]:
    """Those for attachments that this process has open, or mapped."""
    found = []
    for fd in pathlib.Path("/proc/self/fd").iterdir():
        try:
            target = str(fd.readlink())
        except OSError:
            continue
        if "memfd:snakepit (" in target:
            found.append(target)
    return found + [line for line in pathlib.Path("/proc/self/maps").read_text().splitlines() if "memfd:snakepit (" in line]


def until(condition: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.01)


def agreed(pool: snakepit.Pool) -> None:
    """Until both sides have seen each other's memory: it is settled beside the first calls."""
    for _ in range(2):
        pool.execute("echo", {"value": 1})


@every_protocol
def test_arrays_go_there_and_back(protocol: str) -> None:
    """An argument, a result and chunks arrive equal, read-only, and none of them over the channel."""
    value = numpy.random.default_rng(1).random(500_000)
    with snakepit.Pool(ArrayTools, size=1, protocol=protocol) as pool:
        agreed(pool)
        assert numpy.array_equal(pool.execute("echo", {"value": {"deep": [value]}})["deep"][0], value)
        assert pool.execute("total", {"value": value}) == float(value.sum())
        assert pool.execute("writable", {"value": value}) is False
        chunks = [(chunk[0], chunk[-1]) for chunk in pool.stream("refilled", {"chunks": 50, "count": 100_000}).values()]
        assert chunks == [(number, number) for number in range(50)]
        stats = pool.stats()
        assert stats.shared_transfers >= 54
        assert (stats.shared_fallbacks, stats.shared_memory_reasons) == (0, ())
    assert not memory_files()


@every_protocol
def test_without_shared_memory_it_goes_over_the_channel(protocol: str) -> None:
    """The same values arrive; the stats say why."""
    value = numpy.random.default_rng(1).random(500_000)
    with snakepit.Pool(ArrayTools, size=1, protocol=protocol, shared_memory_limit=0) as pool:
        assert numpy.array_equal(pool.execute("echo", {"value": {"deep": [value]}})["deep"][0], value)
        chunks = [(chunk[0], chunk[-1]) for chunk in pool.stream("refilled", {"chunks": 20, "count": 100_000}).values()]
        assert chunks == [(number, number) for number in range(20)]
        stats = pool.stats()
        assert (stats.shared_transfers, stats.shared_memory_reasons) == (0, ("shared_memory_limit is 0",))
        assert not memory_files()


@pytest.mark.parametrize("limit", [64 * MEBI, 0], ids=["shared", "channel"])
@every_protocol
def test_host_tools_take_and_give_arrays(protocol: str, limit: int) -> None:
    """Arguments, results and streams of host tools too, of several pieces each."""
    value = numpy.arange(600_000.0)

    def doubled(value: Any) -> Any:
        return value * 2

    def parts(value: Any) -> Any:
        yield value[:300_000]
        yield value[300_000:]

    with snakepit.Pool(ArrayTools, size=1, protocol=protocol, shared_memory_limit=limit) as pool:
        pool.register_tool(doubled)
        pool.register_tool(parts)
        for _ in range(5):
            assert numpy.array_equal(pool.execute("ask", {"name": "doubled", "value": value}), value * 2)
            assert pool.execute("ask_for_stream", {"name": "parts", "value": value}) == float(value.sum())


def test_a_slice_keeps_its_memory_and_no_other() -> None:
    """Of 1,000 large results ten items are kept each, then every hundredth of those; none is overwritten, and the memory is used again."""
    kept = {}
    with snakepit.Pool(ArrayTools, size=1, shared_memory_limit=64 * MEBI) as pool:
        agreed(pool)
        for number in range(1000):
            found = pool.execute("numbers", {"count": 20_000, "first": number})
            part = found[10:20]
            if number % 100 == 0:
                kept[number] = part
            del found, part
        for number, part in kept.items():
            assert numpy.array_equal(part, numpy.arange(number + 10, number + 20))
        assert pool.stats().shared_fallbacks == 0, "memory that nobody looked at was not used again"
    for number, part in kept.items():
        assert numpy.array_equal(part, numpy.arange(number + 10, number + 20)), "it is gone with the pool"
    assert memory_files(), "what is kept lies there"
    kept.clear()
    del part
    gc.collect()
    assert not memory_files()


def test_a_slice_that_a_tool_keeps_is_not_overwritten() -> None:
    """The same on the worker's side."""
    with snakepit.Pool(ArrayTools, size=1, shared_memory_limit=64 * MEBI) as pool:
        agreed(pool)
        for number in range(20):
            pool.execute("keep", {"value": numpy.full(20_000, float(number))})
            for _ in range(5):
                pool.execute("total", {"value": numpy.zeros(20_000)})
        assert pool.execute("kept_sums") == [10.0 * number for number in range(20)]
        assert pool.stats().shared_fallbacks == 0


def test_a_full_arena_falls_back() -> None:
    """More results than fit are kept: those beyond go over the channel, and are counted; when room is there again, it is used."""
    with snakepit.Pool(ArrayTools, size=1, shared_memory_limit=4 * MEBI) as pool:
        agreed(pool)
        results = [pool.execute("numbers", {"count": 100_000, "first": number}) for number in range(12)]
        assert all(numpy.array_equal(found, numpy.arange(number, number + 100_000)) for number, found in enumerate(results))
        assert pool.stats().shared_fallbacks >= 6
        assert pool.execute("total", {"value": numpy.ones(2_000_000)}) == 2_000_000  # larger than all of it
        before = pool.stats()
        results.clear()
        until(lambda: pool.execute("numbers", {"count": 100_000})[5] == 5 and pool.stats().shared_transfers > before.shared_transfers)


def test_what_a_call_leaves_is_returned() -> None:
    """Cancelled calls, abandoned streams and errors with large values do not use the memory up."""
    value = numpy.ones(200_000)
    with snakepit.Pool(ArrayTools, size=1, shared_memory_limit=32 * MEBI) as pool:
        agreed(pool)
        for _ in range(30):
            pool.submit("nap", {"value": value}).cancel()
            for chunk in pool.stream("refilled", {"chunks": 1000, "count": 200_000}).values():
                assert chunk[0] == 0
                break
            with pytest.raises(snakepit.ToolError):
                pool.execute("raises", {"value": value})
        del chunk
        assert pool.execute("total", {"value": value}) == 200_000
        assert pool.stats().shared_fallbacks == 0


def test_crashes_leave_nothing() -> None:
    """A worker that dies with a large argument, while results are kept: its memory goes with it, and the next call is served."""
    value = numpy.ones(200_000)
    with snakepit.Pool(ArrayTools, size=1, spares=1, max_restarts=1000) as pool:
        for _ in range(15):
            kept = pool.execute("numbers", {"count": 100_000})
            with pytest.raises(WorkerCrashed):
                pool.execute("die", {"value": value})
            assert kept[99_999] == 99_999
        del kept
        assert pool.execute("total", {"value": value}) == 200_000
        until(lambda: len(memory_files()) <= 8)  # of the worker and the spare that live
    assert not memory_files()


def test_shared_memory_is_not_the_workers_own() -> None:
    """Its bound is another: a worker that has seen large arguments is not replaced for its `max_memory`."""
    value = numpy.ones(16 * MEBI)  # 128 MiB
    with snakepit.Pool(ArrayTools, size=1, max_memory=160 * MEBI) as pool:
        agreed(pool)
        pid = pool.workers()[0].pid
        for _ in range(4):
            pool.execute("total", {"value": value})
            time.sleep(0.3)  # the gauge looks so often
        assert pool.execute("rss") > 160 * MEBI
        assert (pool.workers()[0].pid, pool.stats().recycled) == (pid, 0)


def test_a_large_argument_holds_nobody_up() -> None:
    """While 512 MiB are copied for one worker, small calls of another are answered between."""
    value = numpy.ones(64 * MEBI)
    with snakepit.Pool(ArrayTools, size=2) as pool:
        agreed(pool)
        large = pool.submit("total", {"value": value})
        answered = 0
        while not large.done():
            pool.execute("echo", {"value": 1})
            answered += 1
        assert large.result() == 64 * MEBI
        assert answered >= 20


def test_memory_that_has_long_been_free_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle segment shrinks to nothing, and serves again."""
    from snakepit_bridge.shared import arena

    monkeypatch.setattr(arena, "_IDLE_SECONDS", 0.05)
    there = arena.Arena(64 * MEBI, "snakepit")
    lease = there.lease(MEBI)
    assert lease is not None
    assert lease.write(0, memoryview(b"x" * MEBI))
    fd = lease.row[1]
    assert os.fstat(fd).st_blocks > 0
    del lease
    assert there.take_back([])  # which notices
    time.sleep(0.1)
    there.rest()
    assert os.fstat(fd).st_blocks == 0
    again = there.lease(MEBI)
    assert again is not None
    assert again.write(0, memoryview(b"y" * MEBI))
    del again
    there.close()
