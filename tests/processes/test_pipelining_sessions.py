"""Short strict calls of sessions are sent ahead to their own worker: in their order, with their state, whatever happens to others."""

from __future__ import annotations

import concurrent.futures
import itertools
import logging
import os
import pathlib
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from marked_calls import workers_killed
from pool_helpers import wait_until
from session_mark_tools import AsyncHookMarkTools, SessionMarkTools, SnapshotMarkTools, UnrestorableMarkTools
from snakepit._pool.departures import Departures
from snakepit._pool.pace import Pace
from snakepit.errors import SessionEnded, SessionLost, ToolError, WorkerCrashed

pytestmark = [pytest.mark.usefixtures("leaves_nothing"), pytest.mark.slow]

STRICT = "strict_queue"


@pytest.fixture(autouse=True)
def always_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine makes of them."""
    for what in ("short", "mean"):
        monkeypatch.setattr(Pace, what, lambda _pace, _tool: 1e-4)


@pytest.fixture(params=["msgpack", "json", "grpc"])
def protocol(request: pytest.FixtureRequest) -> Any:
    return request.param


class Steps:
    """A pool and its sessions' calls."""

    def __init__(self, pool: snakepit.Pool, folder: pathlib.Path) -> None:
        self.pool = pool
        self.folder = folder

    def submit(self, number: int, session: str, affinity: str = STRICT, **args: Any) -> concurrent.futures.Future[Any]:
        """A call in the background; of the session."""
        args = {"folder": str(self.folder), "number": number, **args}
        return self.pool.submit("step", args, session_id=session, affinity=affinity, timeout=60)

    def hold(self, session: str, affinity: str = STRICT, number: int = 0) -> concurrent.futures.Future[Any]:
        """One that runs until `say`."""
        held = self.submit(number, session, affinity, wait_for=f"go-{session}")
        wait_until((self.folder / f"go-{session}-waits").exists, "the call runs")
        return held

    def say(self, session: str) -> None:
        """Let it go on."""
        (self.folder / f"go-{session}").touch()

    def ran(self, session: str) -> list[int]:
        """Which have run of it, in their order."""
        lines = [line.rsplit(" ", 1) for line in (self.folder / "marks").read_text().splitlines()]
        return [int(number) for name, number in lines if name == session]


def error_of(future: concurrent.futures.Future[Any]) -> BaseException | None:
    """How it has failed; None: it has not."""
    try:
        return future.exception(60)
    except concurrent.futures.CancelledError as cancelled:
        return cancelled


def sent_ahead(caplog: pytest.LogCaptureFixture) -> int:
    """How many calls were."""
    return sum(", ahead: " in record.getMessage() for record in caplog.records)


@pytest.fixture
def one(protocol: str, tmp_path: pathlib.Path) -> Iterator[Steps]:
    """One worker."""
    with snakepit.Pool(SessionMarkTools, size=1, protocol=protocol) as pool:
        yield Steps(pool, tmp_path)


@pytest.fixture
def two(protocol: str, tmp_path: pathlib.Path) -> Iterator[Steps]:
    """Two workers."""
    with snakepit.Pool(SessionMarkTools, size=2, protocol=protocol) as pool:
        wait_until(lambda: pool.stats().workers_ready == 2, "both are there")
        yield Steps(pool, tmp_path)


def test_they_are_sent_while_the_worker_is_busy(one: Steps, caplog: pytest.LogCaptureFixture) -> None:
    """They count as waiting, and run in their order on the session's state."""
    one.submit(0, "red").result(20)
    caplog.set_level(logging.DEBUG, "snakepit.pool")
    held = one.hold("red", number=1)
    futures = [one.submit(number, "red") for number in range(2, 10)]
    wait_until(lambda: one.pool.stats().queued == 8)
    assert sent_ahead(caplog) >= 1, "the first, before the worker can seem to be held up"
    one.say("red")
    assert [future.result(20)["numbers"][-1] for future in [held, *futures]] == list(range(1, 10))
    assert futures[-1].result()["numbers"] == list(range(10))


def test_those_that_may_run_anywhere_are_not_sent(two: Steps, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever is free first has them: none waits at a busy worker while another is idle."""
    for number, name in enumerate(["red", "blue"]):
        two.submit(number, name, "hint").result(20)
    caplog.set_level(logging.DEBUG, "snakepit.pool")
    held, other = two.hold("red", "hint", 2), two.hold("blue", "hint", 3)
    futures = [two.submit(number, "red", "hint") for number in range(4, 10)]
    wait_until(lambda: two.pool.stats().queued == 6)
    assert sent_ahead(caplog) == 0
    two.say("blue")
    for future in [other, *futures]:
        future.result(20)
    assert not held.done()
    two.say("red")
    held.result(20)


def test_they_stay_at_their_worker_though_the_other_is_idle(two: Steps) -> None:
    """Their state is there, and nowhere else."""
    two.submit(0, "red").result(20)
    futures = [two.submit(number, "red") for number in range(1, 200)]
    assert [future.result(60)["numbers"] for future in futures] == [list(range(number + 1)) for number in range(1, 200)]
    assert len({future.result()["pid"] for future in futures}) == 1


def test_several_sessions_and_others_beside_each_other(two: Steps) -> None:
    """Each in its order; nobody is left behind."""
    names = [f"s{number}" for number in range(6)]
    futures = []
    for number in range(60):
        futures += [two.submit(number, name) for name in names]
        futures.append(two.submit(number, "hint", "hint"))
        futures.append(two.pool.submit("step", {"folder": str(two.folder), "number": number}, timeout=60))
    for future in futures:
        future.result(60)
    for name in names:
        assert two.ran(name) == list(range(60))


@pytest.mark.parametrize("large", ["deep", "flat", "told"])
def test_one_that_is_large_is_not_overtaken(one: Steps, large: str) -> None:
    """Nor one that tells much of its session: it travels in pieces, and what is small waits until it has gone."""
    with one.pool.session("red", metadata={"much": "m" * 3_000_000} if large == "told" else {}) as session:
        numbers = iter(range(1000))
        for turn in range(4):
            futures = [one.submit(next(numbers), "red") for _ in range(5)]
            load = {"deep": {"k": ["A" * 700_000] * 4}, "flat": "A" * 3_000_000, "told": None}[large]
            futures.append(one.submit(next(numbers), "red", load=load))
            futures += [one.submit(next(numbers), "red") for _ in range(5)]
            for future in futures:
                future.result(20)
            if large == "told":
                session.update(lambda old, turn=turn: {**old, "turn": turn})  # and all of it is told again
        assert one.ran("red") == list(range(44))


def test_what_has_been_changed_is_seen_by_all_that_begin_after(one: Steps) -> None:
    """Also by those that were sent before: the one that runs has the session's metadata changed, by a host tool, while others wait behind it."""

    def add() -> None:
        session.update(lambda old: {"count": old["count"] + 1})

    one.pool.register_tool(add, name="add")
    with one.pool.session("red", metadata={"count": 0}) as session:
        one.submit(0, "red").result(20)
        futures = [one.submit(number, "red", ask="add") for number in range(1, 9)]
        seen = [future.result(20) for future in futures]
    assert [item["before"]["count"] for item in seen] == list(range(8))
    assert one.ran("red") == list(range(9))


def test_one_that_is_cancelled_before_it_begins_changes_nothing(two: Steps) -> None:
    """The state that other calls have left elsewhere is let go when a strict call runs, not for one that never does."""
    two.submit(0, "red", "hint").result(20)
    blue = two.hold("red", "hint", 1)
    two.submit(2, "red", "hint").result(20)  # on the other worker: now both hold state
    other = two.hold("other")
    lost = two.submit(3, "red")
    wait_until(lambda: two.pool.stats().queued == 1)
    assert lost.cancel()
    two.say("red")
    assert blue.result(20)["numbers"] == [0, 1]
    assert two.submit(4, "red", "hint").result(20)["numbers"] == [0, 1, 4]
    two.say("other")
    other.result(20)


def test_that_a_session_has_moved_is_told_once(protocol: str, tmp_path: pathlib.Path) -> None:
    """By the first call that is answered, though others come at once."""
    with snakepit.Pool(SnapshotMarkTools, size=1, protocol=protocol) as pool:
        steps = Steps(pool, tmp_path)
        steps.submit(0, "red").result(20)
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pool.stats().restarts == 1 and pool.stats().workers_ready == 1)
        futures: list[Any] = [steps.submit(number, "red") for number in range(1, 20)]
        assert futures[-1].result(20)["numbers"] == list(range(20))
        assert ["session_moved" in future.metadata for future in futures] == [True] + [False] * 18


def test_what_is_cancelled_among_them_leaves_the_order(one: Steps) -> None:
    """Its ticket is taken from among those of the others, which the worker may see in another order meanwhile."""
    for turn in range(40):
        futures = {number: one.submit(number, f"s{turn}") for number in range(20)}
        gone = {number for number in reversed(range(20)) if number % 3 and futures[number].cancel()}
        left = [number for number in futures if number not in gone]
        for number in left:
            futures[number].result(20)
        ran = one.ran(f"s{turn}")
        assert ran == sorted(ran)
        assert set(left) <= set(ran)
    assert one.pool.stats().restarts == 0


def test_others_that_go_to_an_idle_worker_leave_the_order(two: Steps) -> None:
    """Calls of no session are taken from among those of one."""
    held, other = two.hold("red"), two.hold("blue")
    futures = []
    for number in range(1, 12):
        futures += [two.submit(number, "red"), two.pool.submit("step", {"folder": str(two.folder), "number": number}, timeout=60)]
    two.say("blue")
    other.result(20)
    wait_until(lambda: len(two.ran("")) == 11, "the idle worker has taken the others")
    two.say("red")
    for future in [held, *futures]:
        future.result(20)
    assert two.ran("red") == list(range(12))


def test_one_that_runs_sees_the_metadata_as_they_were(one: Steps) -> None:
    """Not those that a later one brings along."""
    with one.pool.session("red", metadata={"version": 1}) as session:
        held = one.hold("red")
        session.update(lambda _old: {"version": 2})
        later = one.submit(1, "red")
        wait_until(lambda: one.pool.stats().queued == 1)
        one.say("red")
        first, second = held.result(20), later.result(20)
    assert first["before"] == first["after"] == {"version": 1}
    assert second["before"] == second["after"] == {"version": 2}


def test_a_session_that_begins_anew_does_so_for_all_of_its_calls(
    protocol: Any, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While its state cannot be restored none is sent ahead: each fails by itself, and after `rebind` each finds the new state."""
    with snakepit.Pool(UnrestorableMarkTools, size=1, protocol=protocol) as pool:
        steps = Steps(pool, tmp_path)
        steps.submit(0, "red").result(20)
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pool.stats().restarts == 1 and pool.stats().workers_ready == 1)
        caplog.set_level(logging.DEBUG, "snakepit.pool")
        for future in [steps.submit(number, "red") for number in range(1, 6)]:
            with pytest.raises(ToolError, match="restore"):
                future.result(20)
        assert sent_ahead(caplog) == 0
        assert pool.rebind_session("red")
        futures = [steps.submit(number, "red") for number in range(6, 12)]
        assert futures[-1].result(20)["numbers"] == list(range(6, 12))


def test_a_session_that_ends_takes_along_what_waits_of_it(one: Steps) -> None:
    """And nobody else's; another of its id begins anew."""
    held = one.hold("red")
    blue, mine = one.submit(1, "blue"), [one.submit(number, "red") for number in range(1, 5)]
    wait_until(lambda: one.pool.stats().queued == 5)
    one.pool.end_session("red")
    for future in [held, *mine]:
        with pytest.raises(SessionEnded):
            future.result(20)
    assert blue.result(20)["numbers"] == [1]
    assert one.submit(7, "red").result(20)["numbers"] == [7]
    assert one.ran("red") == [0, 7]


@pytest.mark.parametrize("adapter", [SessionMarkTools, SnapshotMarkTools])
def test_a_killed_worker_takes_along_what_ran_and_no_more(protocol: str, tmp_path: pathlib.Path, adapter: Any) -> None:
    """What waited there goes on elsewhere if its session can, on the state that the last one left that has ended; else it is told."""
    with snakepit.Pool(adapter, size=1, protocol=protocol) as pool:
        steps = Steps(pool, tmp_path)
        steps.submit(-1, "red").result(20)
        held = steps.hold("red")
        futures = [steps.submit(number, "red") for number in range(1, 6)]
        wait_until(lambda: pool.stats().queued == 5)
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerCrashed):
            held.result(20)
        if adapter is SnapshotMarkTools:
            assert futures[-1].result(20)["numbers"] == [-1, 1, 2, 3, 4, 5]
            assert steps.ran("red") == [-1, 0, 1, 2, 3, 4, 5]
        else:
            for future in futures:
                with pytest.raises(SessionLost):
                    future.result(20)
            assert steps.ran("red") == [-1, 0]


def test_one_that_ends_the_process_is_the_only_one_lost(protocol: str, tmp_path: pathlib.Path) -> None:
    """Where sessions go on elsewhere: on what those before it have left, whose results have come."""
    with snakepit.Pool(SnapshotMarkTools, size=1, protocol=protocol) as pool:
        steps = Steps(pool, tmp_path)
        futures = {number: steps.submit(number, "red", die=number in (5, 13)) for number in range(20)}
        for number, future in futures.items():
            if number in (5, 13):
                with pytest.raises(WorkerCrashed):
                    future.result(60)
            else:
                assert future.result(60)["numbers"] == [item for item in range(number + 1) if item not in (5, 13)]
        assert steps.ran("red") == list(range(20))


def test_chaos(protocol: str, tmp_path: pathlib.Path) -> None:
    """Workers die, calls are cancelled: each runs once at most, in the order of its session, and everyone is told."""
    chance = random.Random(8)
    with snakepit.Pool(SnapshotMarkTools, size=2, protocol=protocol, max_restarts=100) as pool:
        steps = Steps(pool, tmp_path)
        names = [f"s{number}" for number in range(4)]
        ended: dict[str, list[int]] = {name: [] for name in names}
        with workers_killed(pool, chance, 8):
            futures = []
            for number in range(400):
                for name in names:
                    futures.append((name, number, steps.submit(number, name)))
                    if chance.random() < 0.05:
                        chance.choice(futures)[2].cancel()
                while sum(not future.done() for *_, future in futures[-200:]) > 60:
                    concurrent.futures.wait([future for *_, future in futures[-200:] if not future.done()], 20, "FIRST_COMPLETED")
            for name, number, future in futures:
                if isinstance(found := error_of(future), (WorkerCrashed, concurrent.futures.CancelledError)):
                    continue
                assert found is None
                ended[name].append(number)
        for name in names:
            ran = steps.ran(name)
            assert ran == sorted(set(ran)), "each at most once, in their order"
            assert set(ended[name]) <= set(ran)
            assert len(ended[name]) > 300, "cancels and kills are few"
        wait_until(lambda: pool.stats().running == 0 and pool.stats().queued == 0, "nothing runs or waits")
        engine: Any = pool._ready()[0]
        room = engine._scheduler._room
        assert (room._away, room._strict, room._pinned, len(room)) == ({}, {}, set(), 0)


def test_none_are_sent_where_hooks_may_be_tasks(protocol: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """They would run at once; others are sent."""
    with snakepit.Pool(AsyncHookMarkTools, size=1, protocol=protocol) as pool:
        steps = Steps(pool, tmp_path)
        held = steps.hold("red")
        caplog.set_level(logging.DEBUG, "snakepit.pool")
        futures = [steps.submit(number, "red") for number in range(1, 6)]
        wait_until(lambda: pool.stats().queued == 5)
        assert sent_ahead(caplog) == 0
        steps.say("red")
        for future in [held, *futures]:
            future.result(20)
        assert steps.ran("red") == list(range(6))


def test_a_worker_that_leaves_ends_what_it_has_begun(protocol: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has taken tickets of which the host has not heard yet: its sessions move when all of that has ended, and not before."""
    retire = Departures.retire

    def late(departures: Departures, worker: Any, reason: str) -> None:
        time.sleep(0.03)  # the host is busy with other things, and the worker goes on
        retire(departures, worker, reason)

    monkeypatch.setattr(Departures, "retire", late)
    with snakepit.Pool(SnapshotMarkTools, size=1, protocol=protocol, max_age=0.3) as pool:
        steps = Steps(pool, tmp_path)
        numbers = iter(range(10_000))
        expected: list[int] = []
        while pool.stats().recycled < 4:
            futures = [steps.submit(number, "red", take=0.002) for number in itertools.islice(numbers, 30)]
            for future in futures:
                answer = future.result(20)["numbers"]
                expected.append(len(expected))
                assert answer == expected


@pytest.mark.parametrize("large", [True, False])
def test_ends_are_taken_in_their_order(protocol: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """One that is not written down, since it is large or its call has reported, lies unread while the next one has been written down."""
    monkeypatch.setenv("SNAKEPIT_LOOP", "asyncio")  # which looks for what is written down before it reads
    with snakepit.Pool(SnapshotMarkTools, size=1, protocol=protocol) as pool:
        steps = Steps(pool, tmp_path)
        engine: Any = pool._ready()[0]
        loop, busy = engine._loop, True

        def hold_up() -> None:
            if busy:
                time.sleep(0.03)
                loop.call_soon(hold_up)

        number = 0
        for _ in range(5):
            steps.submit(number, "red").result(20)
            first = steps.submit(number + 1, "red", take=0.05, give=20_000 if large else 0, reports=not large)
            second = steps.submit(number + 2, "red")
            wait_until(lambda: pool.stats().queued == 1, "it was sent behind the other")
            busy = True
            loop.call_soon_threadsafe(hold_up)
            first.result(20)
            second.result(20)
            busy = False
            number += 3
            wait_until(lambda: pool.stats().running == 0)
            (snapshot,) = engine.sessions._entries["red"].snapshot.values()
            assert snapshot["numbers"] == list(range(number)), "an older state has replaced a newer one"


@pytest.mark.parametrize("session", ["red", ""])
def test_a_worker_that_is_to_be_replaced_begins_nothing_more(protocol: Any, tmp_path: pathlib.Path, session: str) -> None:
    """A lock may be held there for good: calls that were sent ahead go on elsewhere, and none dies with the worker."""
    with snakepit.Pool(SnapshotMarkTools, size=1, protocol=protocol, max_restarts=100) as pool:
        steps = Steps(pool, tmp_path)
        for turn in range(4):
            steps.submit(10 * turn, "red").result(20)
            where = {"session_id": session, "affinity": STRICT} if session else {}
            stuck = pool.submit("hold_a_lock", {"folder": str(tmp_path), "name": f"turn-{turn}"}, timeout=30, **where)
            wait_until((tmp_path / f"turn-{turn}").exists, "it has the lock")
            args = {"folder": str(tmp_path), "take": 0.1}
            futures = [pool.submit("step", {**args, "number": 10 * turn + number}, timeout=30, **where) for number in range(1, 4)]
            wait_until(lambda: pool.stats().queued == 3)
            assert stuck.cancel()
            for future in futures:
                future.result(20)
        assert pool.stats().crashed == 0
