"""Short calls are sent ahead to busy workers: they run once, in their turn, wherever a worker is free for them, whatever happens to others."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import pathlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from marked_calls import Marked
from pipelining_tools import AsyncHooks, PipeliningTools
from pool_helpers import wait_until
from snakepit.errors import CallCancelled, QueueFull, WorkerCrashed, WorkerTimeout

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]


@pytest.fixture(params=["msgpack", "json", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def one(protocol: str, tmp_path: pathlib.Path) -> Iterator[Marked]:
    """One worker."""
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol, queue_size=20) as pool:
        yield Marked(pool, tmp_path)


def sent_ahead(caplog: pytest.LogCaptureFixture) -> int:
    """How many calls were."""
    return sum(", ahead: " in record.getMessage() for record in caplog.records)


def test_they_are_sent_while_the_worker_is_busy(one: Marked, caplog: pytest.LogCaptureFixture) -> None:
    """They count as waiting, and run in their order."""
    caplog.set_level(logging.DEBUG, "snakepit.pool")
    held = one.hold()
    futures = [one.submit(number) for number in range(1, 9)]
    wait_until(lambda: one.pool.stats().queued == 8)
    assert one.pool.stats().running == 1
    assert sent_ahead(caplog) == 8
    one.say()
    for future in [held, *futures]:
        future.result(20)
    assert one.ran == list(range(9))
    assert one.pool.stats().succeeded == one.pool.stats().submitted


def test_one_that_nobody_wants_never_runs(one: Marked) -> None:
    """Neither one that is cancelled nor one whose time is over; those around it do, and the worker lives."""
    held = one.hold()
    futures = {number: one.submit(number) for number in (1, 2, 4)}
    late = one.submit(3, timeout=0.2)
    assert futures[2].cancel()
    with pytest.raises(WorkerTimeout, match="while it waited for a worker"):
        late.result(20)
    one.say()
    for number in (1, 4):
        futures[number].result(20)
    held.result(20)
    assert one.ran == [0, 1, 4]
    assert one.pool.stats().restarts == 0


def test_when_its_worker_is_killed_it_runs_elsewhere(one: Marked) -> None:
    """Only the call that ran is lost."""
    held = one.hold()
    futures = [one.submit(number) for number in range(1, 6)]
    wait_until(lambda: one.pool.stats().queued == 5)
    pid = one.pool.workers()[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashed):
        held.result(20)
    for future in futures:
        future.result(20)
    assert one.ran == list(range(6))
    assert one.pool.stats().crashed == 1


@pytest.mark.parametrize("size", [0, 20_000, 100_000], ids=["small", "larger", "large"])
def test_who_ends_the_process_takes_nobody_along(one: Marked, size: int) -> None:
    """What has ended before has its result, what comes after runs elsewhere; also among calls that follow each other at once."""
    futures = {number: one.submit(number, die=number % 10 == 5, size=size if number % 10 == 4 else 0) for number in range(20)}
    for number, future in futures.items():
        if number % 10 == 5:
            with pytest.raises(WorkerCrashed):
                future.result(60)
        else:
            assert len(future.result(60)) in (0, size)
    assert sorted(one.ran) == list(range(20))
    assert one.pool.stats().restarts == 2


@pytest.mark.parametrize("how", [{"wait_for": "go"}, {"hold": True}], ids=["waits", "holds the interpreter"])
def test_none_waits_behind_a_long_one_while_a_worker_is_idle(protocol: str, tmp_path: pathlib.Path, how: dict[str, Any]) -> None:
    """That a call is long shows when it runs: what was sent behind it is run by the other worker, which asks nobody for that."""
    with snakepit.Pool(PipeliningTools, size=2, protocol=protocol) as pool:
        marked = Marked(pool, tmp_path)
        futures = [marked.submit(number) for number in range(10)]
        long = marked.submit(10, **how)
        futures += [marked.submit(number) for number in range(11, 60)]
        for future in futures:
            future.result(20)
        assert not long.done()
        marked.say()
        long.result(60)
        assert sorted(marked.ran) == list(range(60))
        assert pool.stats().restarts == 0


def test_the_queue_s_limit_counts_them(one: Marked) -> None:
    """Whoever waits, waits, wherever that is."""
    held = one.hold()
    futures = [one.submit(number) for number in range(20)]
    with pytest.raises(QueueFull):
        one.submit(99).result(20)
    one.say()
    for future in [held, *futures]:
        future.result(20)


def test_closing_the_pool_ends_them(one: Marked) -> None:
    """Those that wait and the one that runs."""
    held = one.hold()
    futures = [one.submit(number) for number in range(10)]
    one.pool.close()
    for future in [held, *futures]:
        with pytest.raises((CallCancelled, snakepit.PoolClosed, concurrent.futures.CancelledError)):
            future.result(20)
    assert one.ran == [0]


def test_what_is_long_is_not(one: Marked, caplog: pytest.LogCaptureFixture) -> None:
    """After a call that was long, until others have shown that it was an exception."""
    held = one.hold()
    time.sleep(0.1)
    one.say()
    held.result(20)
    caplog.set_level(logging.DEBUG, "snakepit.pool")
    for future in [one.submit(number) for number in range(5)]:
        future.result(20)
    assert sent_ahead(caplog) == 0


def test_it_can_be_switched_off(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """By `pipelining=False`; and where a worker serves a number of calls and no more, it is."""
    for settings in ({"pipelining": False}, {"max_calls": 1000}):
        with snakepit.Pool(PipeliningTools, size=1, **settings) as pool:
            marked = Marked(pool, tmp_path)
            caplog.set_level(logging.DEBUG, "snakepit.pool")
            for future in [marked.submit(number) for number in range(10)]:
                future.result(20)
    assert sent_ahead(caplog) == 0


def test_a_run_of_a_call_is_not_ended_by_the_last_one(protocol: str, tmp_path: pathlib.Path) -> None:
    """What is written down of a run that failed, or is still on its way, says nothing of the next run at the same worker."""
    retry = snakepit.RetryPolicy(attempts=2, errors=[ValueError], crashes=False)
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol, retry=retry) as pool:
        marked = Marked(pool, tmp_path)
        calls = [{"folder": str(tmp_path), "number": number, "seconds": 0.05 * (number % 10 == 0)} for number in range(100)]
        futures = [pool.submit("second_time", call) for call in calls]
        others = [marked.submit(number) for number in range(100)]
        assert [future.result(30) for future in futures] == [2] * 100
        for other in others:
            other.result(30)
        assert {(tmp_path / f"runs-{number}").read_text() for number in range(100)} == {".."}
        with pytest.raises(WorkerCrashed):
            pool.execute("second_time", {"folder": str(tmp_path), "number": 100, "die": True})
        assert pool.stats().retried == 101


def test_calls_are_not_sent_ahead_where_a_task_runs_each(protocol: str) -> None:
    """Hooks that wait would let the next call begin: one at a time is what such a worker is there for."""
    with snakepit.Pool(AsyncHooks, size=1, protocol=protocol) as pool:
        for _ in range(30):
            pool.execute("most_at_once")
        for future in [pool.submit("most_at_once") for _ in range(200)]:
            future.result(20)
        assert pool.execute("most_at_once") == 1


def test_a_stream_that_may_not_run_keeps_nobody_from_an_idle_worker(protocol: str, tmp_path: pathlib.Path) -> None:
    """Calls that wait at a worker are taken to an idle one also while a stream waits for others to end."""
    with snakepit.Pool(PipeliningTools, size=3, protocol=protocol, max_concurrent_streams=1) as pool:
        marked = Marked(pool, tmp_path)
        stream = pool.stream("items", {"folder": str(tmp_path)})
        next(iter(stream))
        waiting = pool.stream("items", {"folder": str(tmp_path)})
        first, second = marked.hold("first"), marked.hold("second")
        futures = [marked.submit(number) for number in range(1, 11)]
        marked.say("first")
        for future in [first, *futures]:
            future.result(20)
        assert not second.done()
        marked.say("second")
        marked.say("over")
        second.result(20)
        stream.close()
        waiting.close()


def test_that_one_is_cancelled_does_no_harm_to_others(protocol: str) -> None:
    """Its ticket is taken from among those of others, one of which the worker may begin meanwhile: out of turn, and heard all the same."""
    with snakepit.Pool(PipeliningTools, size=1, protocol=protocol) as pool:

        @pool.host_tool
        def double(number: int) -> int:
            return 2 * number

        for number in range(50):
            assert pool.execute("ask", {"number": number}) == 2 * number
        for _ in range(60):
            wanted = [pool.submit("ask", {"number": number}) for number in range(12)]
            for future in reversed([pool.submit("ask", {"number": number}) for number in range(20)]):
                future.cancel()
            assert [future.result(20) for future in wanted] == list(range(0, 24, 2))
        assert pool.stats().restarts == 0


def test_a_call_that_turns_out_long_makes_none_wait_that_is_older(protocol: str, tmp_path: pathlib.Path) -> None:
    """However many younger calls come meanwhile, for which the other worker is never idle."""
    with snakepit.Pool(PipeliningTools, size=2, protocol=protocol) as pool:
        marked = Marked(pool, tmp_path)
        first = marked.hold("first")
        second = marked.hold("second")
        older = [marked.submit(number) for number in range(1, 11)]
        younger = [marked.submit(100 + number) for number in range(100)]
        marked.say("second")
        end = time.monotonic() + 5
        while not all(future.done() for future in older) and time.monotonic() < end:
            younger += [marked.submit(1000) for _ in range(150 - pool.stats().queued)]  # there is always one for the other worker
        second.result(20)
        assert all(future.done() for future in older)
        assert not first.done()
        marked.say("first")
        for future in [first, *younger]:
            future.result(20)
