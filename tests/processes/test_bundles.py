"""Short calls of a `map` travel together: each runs once, and fails, asks, waits and is cancelled by itself, as if it had come alone."""

from __future__ import annotations

import logging
import pathlib
import random
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from marked_calls import Marked, settled, workers_killed
from pipelining_tools import AsyncTools, PipeliningTools
from pool_helpers import wait_until
from snakepit.errors import SerializationError, ToolError, WorkerCrashed, WorkerTimeout

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@pytest.fixture(params=["msgpack", "json", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def one(protocol: str, tmp_path: pathlib.Path) -> Iterator[Marked]:
    """One worker."""
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol) as pool:
        yield Marked(pool, tmp_path)


@pytest.fixture
def two(protocol: str, tmp_path: pathlib.Path) -> Iterator[Marked]:
    """Two."""
    with snakepit.Pool(PipeliningTools, size=2, protocol=protocol) as pool:
        yield Marked(pool, tmp_path)


def outcomes(marked: Marked, items: list[dict[str, Any]], **settings: Any) -> dict[int, Any]:
    """By their numbers: what they gave, or the kind of their error."""
    found = {}
    for result in marked.pool.stream_map("mark", items, **settings):
        assert result.number not in found
        found[result.number] = result.value if result.error is None else type(result.error)
    return found


def test_they_travel_together_and_run_in_their_order(one: Marked, caplog: pytest.LogCaptureFixture) -> None:
    """Many to a frame; their results are those of the items."""
    caplog.set_level(logging.DEBUG, "snakepit.pool")
    assert list(one.pool.map("mark", one.items(range(200), n7={"size": 3}))) == [""] * 7 + ["xxx"] + [""] * 192
    assert one.ran == list(range(200))
    told = [re.search(r": (\d+) calls together", record.getMessage()) for record in caplog.records]
    assert max(int(found[1]) for found in told if found is not None) > 1
    settled(one)


def test_one_that_raises_is_told_by_itself(two: Marked) -> None:
    """With the worker's traceback, as always; the others have their results."""
    found = outcomes(two, [{"folder": "/nowhere" if number % 50 == 20 else str(two.folder), "number": number} for number in range(200)])
    assert {number for number, value in found.items() if value is ToolError} == {20, 70, 120, 170}
    assert len(found) == 200
    assert sorted(two.ran) == [number for number in range(200) if number % 50 != 20]
    with pytest.raises(ToolError, match="No such file or directory: '/nowhere/marks'") as error:
        list(two.pool.map("mark", [{"folder": "/nowhere", "number": 1}] * 40))
    assert "in mark" in str(error.value.__cause__)
    settled(two)


@pytest.mark.parametrize("size", [0, 20_000, 100_000], ids=["small", "larger", "large"])
def test_who_ends_the_process_takes_nobody_along(two: Marked, size: int) -> None:
    """What has ended before has its result, what comes after runs elsewhere, nothing runs twice."""
    special = {f"n{number}": {"die": True} if number % 20 == 5 else {"size": size} for number in range(60) if number % 20 in (4, 5)}
    found = outcomes(two, two.items(range(60), **special))
    assert {number for number, value in found.items() if value is WorkerCrashed} == {5, 25, 45}
    assert all(len(value) == (size if number % 20 == 4 else 0) for number, value in found.items() if number % 20 != 5)
    assert sorted(two.ran) == list(range(60))
    settled(two)


@pytest.mark.parametrize("how", [{"wait_for": "go"}, {"hold": True}], ids=["waits", "holds the interpreter"])
def test_none_waits_behind_a_long_one(two: Marked, how: dict[str, Any]) -> None:
    """Those that were sent along with it run elsewhere; what had ended before it is told at once."""
    found: list[int] = []
    for result in two.pool.stream_map("mark", two.items(range(60), n10=how)):
        assert result.error is None
        found.append(result.number)
        if len(found) == 59:
            assert 10 not in found, "it has ended before others"
            two.say()
    assert found[-1] == 10
    assert sorted(two.ran) == list(range(60))
    settled(two)


def test_each_has_its_deadline(two: Marked) -> None:
    """Of one that takes too long, and of those that still wait behind others."""
    found = outcomes(two, two.items(range(64), n3={"wait_for": "go"}, n40={"wait_for": "go"}), timeout=0.5)
    late = {number for number, value in found.items() if value is WorkerTimeout}
    assert {3, 40} <= late
    assert all(value == "" for number, value in found.items() if number not in late)
    settled(two)
    assert sorted(two.ran) == sorted({*range(64)} - (late - {3, 40}))
    assert two.pool.stats().restarts == 0
    assert two.run(99) == ""


def test_leaving_the_map_ends_them(two: Marked) -> None:
    """Those that run are cancelled, others never begin; the workers live, and serve."""
    for number in range(8):
        results = two.pool.map("mark", two.items(range(100), n20={"wait_for": f"go{number}"}), window=64)
        for _ in range(20):
            next(results)
        results.close()
        settled(two)
        count = len(two.ran)
        assert two.run(99) == ""
        assert len(two.ran) == count + 1
    assert two.pool.stats().restarts == 0


def test_closing_the_pool_ends_them(two: Marked) -> None:
    """Whoever reads is told."""
    results = two.pool.map("mark", two.items(range(100), n20={"wait_for": "go"}))
    closing = threading.Timer(0.3, two.pool.close)
    closing.start()
    with pytest.raises((snakepit.PoolClosed, snakepit.CallCancelled)):
        list(results)
    closing.join()


def test_they_ask_host_tools(one: Marked) -> None:
    """Each as itself."""

    @one.pool.host_tool
    def double(number: int) -> int:
        return 2 * number

    for _ in range(3):
        assert list(one.pool.map("ask", range(50))) == list(range(0, 100, 2))
    settled(one)


def test_one_that_waits_for_ever_for_its_own_worker_is_told(one: Marked) -> None:
    """What a host tool calls, for which a call of a bundle waits, needs the worker that this keeps."""

    @one.pool.host_tool
    def double(number: int) -> Any:
        return one.pool.execute("nap", {"seconds": 0.0}) if number >= 100 else 0

    for number in range(10):
        one.pool.execute("ask", {"number": number})
    results = list(one.pool.stream_map("ask", range(95, 105)))
    assert {result.number for result in results if result.error is not None} == {5, 6, 7, 8, 9}
    assert all("PoolDeadlock" in str(result.error) for result in results if result.error is not None)
    settled(one)


def test_tools_that_turn_slow_are_spread(two: Marked) -> None:
    """Though one ends now and then: those that were sent along go to whoever is idle."""
    engine: Any = two.pool._ready()[0]
    for _ in range(500):  # one that the machine holds up does not count as short
        two.pool.execute("nap", {"seconds": 0.0})
        if engine.together.size(engine.tools["nap"], 64) == 16:
            break
    pids = list(two.pool.map("nap", [0.015] * 16))
    assert len(set(pids[8:])) == 2, "all waited for one worker"
    settled(two)


def test_tasks_go_by_themselves(protocol: str) -> None:
    """A worker that has been sent several would run them at once."""
    with snakepit.Pool(AsyncTools, size=1, protocol=protocol) as pool:
        assert list(pool.map("number", range(50))) == list(range(50))
        engine: Any = pool._ready()[0]
        assert engine.together.size(engine.tools["number"], 64) == 1


def test_the_pool_s_limits_count_each(protocol: str, tmp_path: pathlib.Path) -> None:
    """Those that wait: in the queue's figures, its patience, and what a drain cuts off."""
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol, queue_timeout=0.5) as pool:
        marked = Marked(pool, tmp_path)
        results = pool.stream_map("mark", marked.items(range(32), n0={"wait_for": "go"}))
        wait_until((tmp_path / "go-waits").exists, "the first runs")
        assert pool.stats().queued == 31
        late = [next(results) for _ in range(31)]
        assert {type(result.error) for result in late} == {snakepit.QueueTimeout}
        marked.say()
        assert [result.error for result in results] == [None]
        settled(marked)
        results = pool.stream_map("mark", marked.items(range(20), n0={"wait_for": "gone"}))
        wait_until((tmp_path / "gone-waits").exists, "the first runs")
        assert pool.drain(timeout=0.1).cut_off == 20
        with pytest.raises(snakepit.PoolClosed):
            list(results)


def test_what_cannot_travel_costs_nobody_else(two: Marked) -> None:
    """The item is named by its error; its neighbours run."""
    items = two.items(range(40))
    items[12]["size"] = object()
    with pytest.raises((SerializationError, snakepit.InvalidParameter)):
        list(two.pool.map("mark", items))
    settled(two)
    assert outcomes(two, two.items(range(100, 140))) == dict.fromkeys(range(40), "")


def test_that_a_tool_is_repeatable_holds_for_each(protocol: str, tmp_path: pathlib.Path) -> None:
    """One that fails runs once more by itself."""
    retry = snakepit.RetryPolicy(attempts=2, errors=[ValueError], crashes=False)
    with snakepit.Pool(PipeliningTools, size=2, protocol=protocol, retry=retry) as pool:
        for number in range(20):
            pool.execute("second_time", {"folder": str(tmp_path), "number": number})
        items = [{"folder": str(tmp_path), "number": number} for number in range(20, 120)]
        assert list(pool.map("second_time", items)) == [2] * 100
        assert pool.stats().retried == 120
        settled(Marked(pool, tmp_path))


def test_workers_that_are_killed_cost_what_they_ran(protocol: str, tmp_path: pathlib.Path) -> None:
    """One call for each worker that dies, at most; none runs twice, none is lost."""
    chance = random.Random(8)
    with snakepit.Pool(PipeliningTools, size=3, protocol=protocol, max_restarts=1000) as pool:
        marked = Marked(pool, tmp_path)
        with workers_killed(pool, chance, 12) as killed:
            found = outcomes(marked, marked.items(range(8000)))
        crashed = {number for number, value in found.items() if value is WorkerCrashed}
        assert len(found) == 8000
        assert set(found.values()) <= {"", WorkerCrashed}
        assert len(crashed) <= len(killed)
        ran = marked.ran
        assert len(ran) == len(set(ran))
        assert set(range(8000)) - set(ran) <= crashed
        settled(marked)
