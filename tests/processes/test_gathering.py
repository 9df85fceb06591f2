"""Short calls that are submitted one by one travel together when all workers are busy; to their callers they are as single as ever."""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
import operator
import os
import pathlib
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from marked_calls import Marked, settled, workers_killed
from pipelining_tools import PipeliningTools, wait_for
from pool_helpers import wait_until
from snakepit._pool.bundles import Bundles
from snakepit._pool.pace import Pace
from snakepit.errors import ToolError, WorkerCrashed, WorkerTimeout

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

Future = concurrent.futures.Future[Any]


@pytest.fixture(params=["msgpack", "json", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many calls were put together, each time. All are taken to be short, though the machine holds one up."""
    seen: list[int] = []
    note = Pace.note
    monkeypatch.setattr(Pace, "note", lambda self, tool, seconds: note(self, tool, min(seconds, 5e-5)))
    gathered = Bundles.gathered

    def noted(self: Bundles, calls: list[Any]) -> Any:
        seen.append(len(calls))
        return gathered(self, calls)

    monkeypatch.setattr(Bundles, "gathered", noted)
    return seen


@pytest.fixture
def one(protocol: str, tmp_path: pathlib.Path, together: list[int]) -> Iterator[Marked]:
    """One worker."""
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol) as pool:
        yield Marked(pool, tmp_path)


@pytest.fixture
def two(protocol: str, tmp_path: pathlib.Path, together: list[int]) -> Iterator[Marked]:
    """Two."""
    with snakepit.Pool(PipeliningTools, size=2, protocol=protocol) as pool:
        yield Marked(pool, tmp_path)


def at_once(pool: snakepit.Pool, submit: Callable[[], list[Future]]) -> list[Future]:
    """Calls that reach the loop in one turn of it: it is held until all are made."""
    begun, go = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go.wait(10)

    assert pool._loop is not None
    pool._loop.post(hold)
    assert begun.wait(10)
    try:
        return submit()
    finally:
        go.set()


def burst(marked: Marked, count: int, *, timeout: float | None = 60, **special: Any) -> list[Future]:
    """So many calls of numbers from 1 on; `special`: further arguments of some, as `n7={...}`."""
    return at_once(
        marked.pool,
        lambda: [marked.submit(number, timeout=timeout, **special.get(f"n{number}", {})) for number in range(1, count + 1)],
    )


async def document(engine: Any) -> Any:
    """What `snakepit status` is told."""
    return engine.views.document()


def ends(futures: list[Future]) -> dict[int, Any]:
    """By their numbers: what came of them, or the kind of their error."""
    found: dict[int, Any] = {}
    for number, future in enumerate(futures, 1):
        error = None if future.cancelled() else future.exception(30)
        found[number] = "cancelled" if future.cancelled() else future.result() if error is None else type(error)
    return found


def test_they_travel_together(one: Marked, together: list[int]) -> None:
    """In their order; each has its own result, and facts about its run."""
    futures = burst(one, 100, n7={"size": 3})
    assert ends(futures) == {number: "xxx" if number == 7 else "" for number in range(1, 101)}
    assert one.ran == list(range(1, 101))
    assert max(together) > 1
    for future in futures:
        assert future.metadata["worker_id"] == "worker-1"  # type: ignore[attr-defined]
        assert future.metadata["execution_time_ms"] >= 0  # type: ignore[attr-defined]
    settled(one)


def test_few_calls_go_by_themselves(two: Marked, together: list[int]) -> None:
    """And so does one for which a worker is free."""
    for _ in range(50):
        assert set(ends(burst(two, 4)).values()) == {""}
    assert together == []


def test_one_that_raises(two: Marked, together: list[int]) -> None:
    """Is told by itself, with its traceback; the others have their results."""
    futures = burst(two, 100, n30={"folder": "/nowhere"})
    with pytest.raises(ToolError, match="No such file or directory: '/nowhere/marks'") as error:
        futures[29].result(30)
    assert "in mark" in str(error.value.__cause__)
    assert set(ends(futures).values()) == {"", ToolError}
    assert together
    settled(two)


@pytest.mark.parametrize("which", [12, 40, 64])
def test_one_that_waits_is_cancelled(one: Marked, together: list[int], which: int) -> None:
    """It never begins, wherever it waits; the others do."""
    held = one.hold()
    futures = burst(one, 64)
    wait_until(lambda: sum(together) > 40, "they are put together")
    assert [future.running() for future in futures] == [False] * 64
    assert futures[which - 1].cancel()
    one.say()
    assert ends(futures) == {number: "cancelled" if number == which else "" for number in range(1, 65)}
    assert held.result(30) == ""
    assert one.ran == [0, *(number for number in range(1, 65) if number != which)]
    settled(one)


def test_one_that_runs_is_cancelled(one: Marked, together: list[int]) -> None:
    """It is interrupted; those behind it run."""
    futures = burst(one, 64, n40={"wait_for": "never"})
    wait_until((one.folder / "never-waits").exists, "it runs")
    wait_until(futures[39].running, "that is known")
    assert "state=running" in repr(futures[39])
    assert sum(future.running() for future in futures) == 1
    assert futures[39].cancel()
    assert ends(futures) == {number: "cancelled" if number == 40 else "" for number in range(1, 65)}
    assert one.pool.stats().restarts == 0
    assert together
    settled(one)


def test_all_are_cancelled(two: Marked, together: list[int]) -> None:
    """Whatever each does: whose cancel succeeds has no result, the others do."""
    chance = random.Random(3)
    for _ in range(20):
        futures = burst(two, 100, n50={"wait_for": "never"})
        chance.shuffle(futures)
        time.sleep(chance.uniform(0, 0.01))
        cancelled = [future.cancel() for future in futures]
        assert [future.cancelled() for future in futures] == cancelled
        settled(two)
    assert two.pool.stats().restarts == 0
    assert two.run(1000) == ""
    assert together


def test_unlike_ones_keep_their_order(one: Marked, together: list[int]) -> None:
    """None passes another, though those between them do not travel with it."""
    held = one.hold()
    futures = at_once(one.pool, lambda: [one.submit(number, timeout=50 + (number // 20) % 2) for number in range(1, 201)])
    one.say()
    assert set(ends(futures).values()) == {""}
    assert held.result(30) == ""
    assert one.ran == list(range(201))
    assert together


def test_those_that_are_kept_wait(tmp_path: pathlib.Path, together: list[int]) -> None:
    """They are in the figures; these are never less than none, whoever asks in the middle of it."""

    async def main() -> None:
        async with snakepit.AsyncPool(PipeliningTools, size=1) as pool:
            for number in range(5):
                await pool.execute("mark", {"folder": str(tmp_path), "number": number})
            tasks = [pool.submit("mark", {"folder": str(tmp_path), "number": number}) for number in range(50)]
            await asyncio.sleep(0)
            stats = pool.stats()
            assert (stats.submitted, stats.running, stats.queued) == (55, 1, 49)
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert together
    queued: list[int] = []
    with snakepit.Pool(PipeliningTools, size=1) as pool:
        marked = Marked(pool, tmp_path)
        for _ in range(20):
            for future in (futures := burst(marked, 39)):
                future.add_done_callback(lambda _future: queued.append(pool.stats().queued))
            ends(futures)
        settled(marked)
    assert min(queued) == 0


def test_one_that_is_cancelled_at_once_and_goes_on_is_seen(one: Marked, together: list[int]) -> None:
    """It is told once, as what it is, and a drain does not wait for it: its caller has been told."""
    futures = burst(one, 16, n3={"stubborn": "go"})
    wait_until((one.folder / "go-waits").exists, "it runs")
    number = futures[2].call.id  # type: ignore[attr-defined]
    for future in futures:
        future.cancel()
    engine: Any = one.pool._ready()[0]
    (worker,) = engine.workers()
    wait_until(lambda: list(worker.running) == [number], "the others have left")
    wait_until(lambda: engine._ledger._without_end == {False: 0, True: 0}, "all callers have been told")
    assert one.pool.drain(timeout=20).cut_off == 0
    assert one.pool.workers()[0].info().running == 1
    one.say()
    wait_until(lambda: worker.running == {}, "it ends")
    assert together


def test_one_that_runs_long_is_seen_as_itself(one: Marked, together: list[int]) -> None:
    """With its own number and correlation id; and one that does not end though it was cancelled is called so."""
    futures = burst(one, 40, n20={"stubborn": "go"})
    wait_until((one.folder / "go-waits").exists, "it runs")
    call: Any = futures[19].call  # type: ignore[attr-defined]
    engine: Any = one.pool._ready()[0]
    (worker,) = engine.workers()
    wait_until(lambda: list(worker.running.values()) == [f"{engine.run_id}-{call.id}"], "what it prints is its own")
    (told,) = json.loads(one.pool._loop.run(document(engine)))["calls"]  # type: ignore[union-attr]
    assert (told["id"], told["correlation_id"], told["state"]) == (call.id, call.correlation_id, "running")
    assert futures[19].cancel()
    wait_until(lambda: one.pool.health().reasons, "it is told")
    assert "a cancelled call has not ended yet" in one.pool.health().reasons[0]
    assert one.pool.drain(timeout=20).cut_off == 0, "its caller has been told"
    one.say()
    assert {end for number, end in ends(futures).items() if number != 20} == {""}
    assert together


@pytest.mark.parametrize("wanted", ["*", "numbers"])
def test_frames_of_each_are_followed(tmp_path: pathlib.Path, together: list[int], caplog: pytest.LogCaptureFixture, wanted: str) -> None:
    """Where frames are wanted in the log, each call has one of its own."""
    caplog.set_level("DEBUG", "snakepit.frames")
    trace = "*" if wanted == "*" else [str(number) for number in range(10_000)]
    with snakepit.Pool(PipeliningTools, size=1, trace_frames=trace) as pool:
        marked = Marked(pool, tmp_path)
        caplog.clear()
        futures = burst(marked, 40)
        numbers = [future.call.id for future in futures]  # type: ignore[attr-defined]
        assert set(ends(futures).values()) == {""}
    followed = {record.args[3] for record in caplog.records if record.args and record.args[2] == "call"}  # type: ignore[index]
    assert followed >= set(numbers)
    assert not any("kind 1" in record.getMessage() for record in caplog.records)
    assert together == []


@pytest.mark.parametrize("settings", [{"profile": "thread", "threads_per_worker": 4}, {"pipelining": False}, {"max_calls": 1000}])
def test_where_none_travels_together_none_is_kept(tmp_path: pathlib.Path, together: list[int], settings: dict[str, Any]) -> None:
    """They would be taken apart again, or each is counted."""
    with snakepit.Pool(PipeliningTools, size=1, **settings) as pool:
        for _ in range(5):
            pool.execute("nap", {"seconds": 0.0})
        futures = at_once(pool, lambda: [pool.submit("nap", {"seconds": 0.0}) for _ in range(100)])
        assert len({future.result(30) for future in futures}) == 1
    assert together == []


def test_each_has_its_deadline(one: Marked, together: list[int]) -> None:
    """Also those that wait behind one that takes too long; calls with another deadline do not travel with them."""

    def all_of_them() -> list[Future]:
        soon = range(21, 41)
        special = {30: {"wait_for": "go"}}
        return [one.submit(number, timeout=0.6 if number in soon else 60, **special.get(number, {})) for number in range(1, 61)]

    futures = at_once(one.pool, all_of_them)
    with pytest.raises(WorkerTimeout):
        futures[29].result(30)
    found = ends(futures)
    assert {number for number, end in found.items() if end is WorkerTimeout} <= set(range(30, 41))
    assert {end for number, end in found.items() if not 30 <= number <= 40} == {""}
    assert together
    settled(one)


def test_who_ends_the_process_takes_nobody_along(two: Marked, together: list[int]) -> None:
    """What has ended before has its result, what comes after runs elsewhere, nothing runs twice."""
    futures = burst(two, 90, n30={"die": True}, n61={"die": True})
    assert {number for number, end in ends(futures).items() if end is WorkerCrashed} == {30, 61}
    assert sorted(two.ran) == list(range(1, 91))
    assert together
    settled(two)


def test_none_waits_behind_a_long_one(two: Marked, together: list[int]) -> None:
    """While another worker is idle."""
    futures = burst(two, 60, n20={"wait_for": "go"})
    others = [future for number, future in enumerate(futures, 1) if number != 20]
    done, left = concurrent.futures.wait(others, 20)
    assert (len(done), left, futures[19].done()) == (59, set(), False)
    two.say()
    assert futures[19].result(30) == ""
    assert together
    settled(two)


def test_as_many_wait_as_may(tmp_path: pathlib.Path, together: list[int]) -> None:
    """Those for which there is no place are refused, and no others."""
    with snakepit.Pool(PipeliningTools, size=1, queue_size=30) as pool:
        marked = Marked(pool, tmp_path)
        held = marked.hold()
        first = burst(marked, 20)
        wait_until(lambda: pool.stats().queued == 20, "they wait")
        assert together
        second = burst(marked, 20)
        wait_until(lambda: sum(future.done() for future in second) == 10, "some are refused")
        marked.say()
        assert held.result(30) == ""
        assert set(ends(first).values()) == {""}
        assert list(ends(second).values()) == [""] * 10 + [snakepit.QueueFull] * 10
        settled(marked)


def test_they_report(protocol: str, tmp_path: pathlib.Path, together: list[int]) -> None:
    """Progress reaches its caller also from a call that travels with others."""
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol) as pool:
        marked = Marked(pool, tmp_path)
        for number in range(3):
            assert pool.execute("report", {"number": number}) == number
        reports: dict[int, list[dict[str, Any]]] = {number: [] for number in range(40)}
        with concurrent.futures.ThreadPoolExecutor(40) as threads:
            for _ in range(20):
                calls = [
                    threads.submit(pool.execute, "report", {"number": number}, on_progress=reports[number].append) for number in range(40)
                ]
                assert [call.result(30) for call in calls] == list(range(40))
        assert together
        assert {number: [report["number"] for report in found] for number, found in reports.items()} == {
            number: [number] * 20 for number in range(40)
        }, "one is lost, or is another's"
        settled(marked)


def test_they_ask_host_tools(one: Marked, together: list[int]) -> None:
    """Each as itself, also where the host tool calls the pool's tools."""

    @one.pool.host_tool
    def double(number: int) -> int:
        return 2 * number

    for number in range(3):
        assert one.pool.execute("ask", {"number": number}) == 2 * number
    futures = at_once(one.pool, lambda: [one.pool.submit("ask", {"number": number}) for number in range(100)])
    assert [future.result(30) for future in futures] == list(range(0, 200, 2))
    assert together
    settled(one)


@pytest.mark.parametrize("how", ["closed", "drained", "dropped"])
def test_the_pool_is_left(protocol: str, tmp_path: pathlib.Path, together: list[int], how: str) -> None:
    """Every caller is told."""
    pool = snakepit.Pool(PipeliningTools, size=1, protocol=protocol)
    with pool:
        marked = Marked(pool, tmp_path)
        marked.hold()
        futures = burst(marked, 50)
        wait_until(lambda: together, "some are put together")
        if how == "drained":
            assert pool.drain(timeout=0.1).cut_off == 51
        elif how == "dropped":
            os.kill(pool.workers()[0].pid or 0, signal.SIGKILL)
        elif how == "closed":
            pool.close()
        else:
            raise AssertionError(how)
        found = set(ends(futures).values())
        assert found <= ({""} if how == "dropped" else {snakepit.PoolClosed, snakepit.PoolDraining, snakepit.CallCancelled})


def test_gather(protocol: str, tmp_path: pathlib.Path, together: list[int]) -> None:
    """Tasks that call, in one turn after the other; one that is cancelled, and those around it."""

    async def main() -> None:
        async with snakepit.AsyncPool(PipeliningTools, size=2, protocol=protocol) as pool:
            arguments = {"folder": str(tmp_path)}
            for number in range(30):
                await pool.execute("mark", {**arguments, "number": number})
            (tmp_path / "marks").unlink()
            metadata: list[dict[str, Any]] = []
            calls = [pool.execute("mark", {**arguments, "number": number}, on_metadata=metadata.append) for number in range(300)]
            assert await asyncio.gather(*calls) == [""] * 300
            assert {fact["worker_id"] for fact in metadata} <= {"worker-1", "worker-2"}
            assert len(together) > 3
            tasks = [pool.submit("mark", {**arguments, "number": 300 + number}) for number in range(200)]
            await asyncio.sleep(0)
            for task in tasks[::7]:
                task.cancel()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(answer, asyncio.CancelledError) for answer in answers[::7])
            assert [answer for index, answer in enumerate(answers) if index % 7] == [""] * (200 - len(tasks[::7]))
            stats = pool.stats()
            assert (stats.running, stats.queued, stats.failed, stats.restarts) == (0, 0, 0, 0)

    asyncio.run(main())
    ran = [int(line) for line in (tmp_path / "marks").read_text().split()]
    assert len(ran) == len(set(ran))


def test_an_executor_cancels_what_has_not_begun(protocol: str, tmp_path: pathlib.Path, together: list[int]) -> None:
    """And nothing else, though they travel with what runs."""
    with snakepit.Pool("snakepit_bridge.functions", size=1, protocol=protocol, allow_pickle=True).as_executor() as executor:
        for number in range(50):
            assert executor.submit(operator.neg, number).result(30) == -number
        go = tmp_path / "go"
        for _ in range(5):
            for left in (go, tmp_path / "go-waits"):
                left.unlink(missing_ok=True)
            futures = [
                executor.submit(wait_for, str(go)) if number == 20 else executor.submit(operator.neg, number) for number in range(60)
            ]
            wait_until((tmp_path / "go-waits").exists, "the one that waits runs")
            wait_until(futures[20].running, "that is known")
            assert not futures[20].cancel()
            cancelled = [future.cancel() for future in futures]
            assert not cancelled[20]
            go.touch()
            assert futures[20].result(30)
            assert [future.cancelled() for future in futures] == cancelled
            assert [
                future.result(30) for future, gone in zip(futures, cancelled, strict=True) if not gone and future is not futures[20]
            ] == [-number for number, gone in enumerate(cancelled) if not gone and number != 20]
        assert sum(together) > 20


def test_workers_that_are_killed_cost_what_they_ran(protocol: str, tmp_path: pathlib.Path, together: list[int]) -> None:
    """One call for each worker that dies, at most; none runs twice, none is lost."""
    chance = random.Random(9)
    with snakepit.Pool(PipeliningTools, size=3, protocol=protocol, max_restarts=1000) as pool:
        marked = Marked(pool, tmp_path)
        with workers_killed(pool, chance, 12) as killed:
            room = threading.Semaphore(200)
            futures: list[Future] = []
            for number in range(8000):
                assert room.acquire(timeout=60)
                futures.append(marked.submit(number))
                futures[-1].add_done_callback(lambda _future: room.release())
            found = ends(futures)
        crashed = {number - 1 for number, end in found.items() if end is WorkerCrashed}
        assert set(found.values()) <= {"", WorkerCrashed}
        assert len(crashed) <= len(killed)
        ran = marked.ran
        assert len(ran) == len(set(ran))
        assert set(range(8000)) - set(ran) <= crashed
        assert len(together) > 50
        settled(marked)
