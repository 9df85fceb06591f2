"""The thread profile: several calls at once in one worker, each with its own context; how they are cancelled, and what they leave."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import pathlib
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import Marks, all_ready, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS, SESSIONS, MIXED = "thread_tools:ThreadTools", "thread_tools:ThreadSessions", "thread_tools:Mixed"


def pool_of(adapter: Any = TOOLS, threads: int = 4, **settings: Any) -> snakepit.Pool:
    """One worker with threads."""
    return snakepit.Pool(adapter, **{"size": 1, "profile": "thread", "threads_per_worker": threads, **settings})


@pytest.fixture
def pool() -> Iterator[snakepit.Pool]:
    with pool_of() as pool:
        yield pool


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def in_parallel(work: Any, items: Any, threads: int = 16) -> list[Any]:
    """`work` of each item, from several threads."""
    with concurrent.futures.ThreadPoolExecutor(threads) as callers:
        return list(callers.map(work, items))


# capacity --------------------------------------------------------------------------------------------------------------


def test_eight_calls_of_half_a_second_take_less_than_one() -> None:
    """Eight calls at once in one worker: together they take no longer than one."""
    with pool_of(threads=8) as pool:
        pids = {pool.execute("pid") for _ in range(3)}
        began = time.perf_counter()
        futures = [pool.submit("nap", {"seconds": 0.5, "value": number}) for number in range(8)]
        assert [future.result() for future in futures] == list(range(8))
        assert time.perf_counter() - began < 1.0
        assert len(pids) == 1


def test_calls_meet_on_threads_of_their_own(marks: Marks) -> None:
    """Four calls that wait for each other run in one worker of four threads, each on its own."""
    names = ["a", "b", "c", "d"]
    with pool_of() as pool:
        futures = [pool.submit("meet", {"folder": marks.text, "name": name, "others": names}) for name in names]
        threads = {future.result(timeout=20) for future in futures}
    assert len(threads) == 4
    assert all(name.startswith("snakepit-tool-") for name in threads)


def test_capacity_is_never_exceeded() -> None:
    """Of forty calls no more than four are ever in the worker; the others wait in the pool's queue."""
    with pool_of() as pool:
        futures = [pool.submit("crowd", {"seconds": 0.01}) for _ in range(40)]
        assert max(future.result() for future in futures) == 4
        assert pool.stats().succeeded == 40


def test_calls_spread_over_the_workers(marks: Marks) -> None:
    """Four calls on two workers with four threads: two on each."""
    with pool_of(size=2) as pool:
        all_ready(pool)
        futures = [pool.submit("until", {"folder": marks.text, "name": "go"}) for _ in range(4)]
        wait_until(lambda: pool.stats().running == 4, "four calls")
        assert sorted(handle.info().running for handle in pool.workers()) == [2, 2]
        marks.say("go")
        assert [future.result() for future in futures] == ["go"] * 4


# what belongs to the call -------------------------------------------------------------------------------------------------


def test_contexts_sessions_and_progress_never_mix() -> None:
    """Many calls of many sessions, interleaved on eight threads: each sees and reports what is its own alone."""
    with pool_of(threads=8, affinity="strict_queue") as pool:
        sessions = [pool.session(f"s{number}", metadata={"token": f"t{number}"}) for number in range(12)]
        for session in sessions:
            session.open()

        def call(number: int) -> None:
            token, session = f"t{number % 12}", sessions[number % 12]
            if number % 3:
                reports: list[Any] = []
                found = session.execute("who", {"token": token, "rounds": 25}, on_progress=reports.append)
                assert found == {"token": token, "session": session.id}
                assert {report["token"] for report in reports} <= {token}
            else:
                chunks = list(session.stream("who_streams", {"token": token, "rounds": 25}))
                assert {chunk["token"] for chunk in chunks if "token" in chunk} == {token}
                assert [chunk["step"] for chunk in chunks if "step" in chunk] == list(range(25))

        in_parallel(call, range(120))
        for session in sessions:
            session.end()


def test_a_sessions_start_hook_runs_once() -> None:
    """Eight first calls of a session come together: its start hook has run once, and before any of them."""
    with pool_of(SESSIONS, threads=8) as pool:
        for name in ("one", "two"):
            assert in_parallel(lambda _, name=name: pool.execute("starts", session_id=name), range(8), 8) == [1] * 8


def test_a_sessions_end_hook_waits_for_its_calls(marks: Marks) -> None:
    """A session that is ended while a call of it runs: the hook comes when that has left."""
    with pool_of(SESSIONS) as pool:
        session = pool.session(metadata={"folder": marks.text})
        future = session.submit("stay", {"folder": marks.text})
        marks.wait("stays")
        session.end()
        with pytest.raises(snakepit.SnakepitError):
            future.result(timeout=5)
        wait_until(lambda: any(name.startswith("ended") for name in marks.said), "the end hook")
        assert "ended-while-0-run" in marks.said


def test_the_newest_snapshot_is_kept() -> None:
    """Snapshots of calls that end at the same time reach the host in their order: nothing that was answered is lost."""
    with pool_of(SESSIONS, threads=8, size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        for round_number in range(2):
            name = f"s{round_number}"
            in_parallel(lambda item, name=name: pool.execute("see", {"item": item}, session_id=name), range(30))
            before = pool.stats().restarts
            with pytest.raises(snakepit.WorkerCrashed):
                pool.execute("die", session_id=name)
            assert pool.execute("restored", session_id=name) == 30
            wait_until(lambda before=before: pool.stats().restarts > before, "a new worker")
            all_ready(pool)


def test_a_fresh_instance_for_each_call() -> None:
    """With lifecycle "request", calls that overlap have instances of their own."""
    with pool_of("thread_tools:Fresh", threads=8) as pool:
        futures = [pool.submit("see", {"value": number}) for number in range(40)]
        assert [future.result() for future in futures] == [[number] for number in range(40)]


# streams, errors, host tools --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["grpc", "msgpack", "json"])
def test_generators_stream_from_threads(protocol: str) -> None:
    """Four streams at once come complete and in order, whatever carries the channel."""

    def read(_: int) -> tuple[list[int], Any]:
        stream = pool.stream("numbers", {"count": 3000})
        return list(stream.values()), stream.result

    with pool_of(protocol=protocol) as pool:
        assert in_parallel(read, range(4), 4) == [(list(range(3000)), 3000)] * 4


def test_a_slow_reader_holds_its_own_tool_back(tmp_path: pathlib.Path) -> None:
    """A stream that nobody reads waits in its thread, while the other threads serve; read on, it comes to its end."""
    path = tmp_path / "made"
    path.write_bytes(bytes(8))
    with pool_of(threads=2, window_chunks=10) as pool:
        stream = pool.stream("counted", {"path": str(path), "count": 500})
        next(stream)
        made = lambda: int.from_bytes(path.read_bytes(), "little")  # noqa: E731
        wait_until(lambda: made() >= 10, "a full window")
        for _ in range(20):
            assert list(pool.stream("numbers", {"count": 100}).values()) == list(range(100))
        assert made() <= 12
        assert sum(1 for _ in stream.values()) == 499


def test_errors_are_those_of_their_calls(pool: snakepit.Pool) -> None:
    """Calls that fail at the same time each get their own error, with the line of the tool."""

    def call(number: int) -> str:
        with pytest.raises(snakepit.ToolError) as caught:
            pool.execute("fail", {"message": f"no {number}"})
        assert "raise ValueError(message)" in str(caught.value.__cause__)
        assert "snakepit_bridge/_runtime" not in str(caught.value.__cause__)
        return str(caught.value)

    for number, message in enumerate(in_parallel(call, range(60))):
        assert message.startswith(f"tool 'fail' raised ValueError: no {number}")


@pytest.mark.parametrize("protocol", ["grpc", "msgpack", "json"])
def test_host_tools_are_called_from_threads(protocol: str) -> None:
    """Calls on several threads ask the application at once, and each gets the answers to its own questions."""
    with pool_of(threads=8, protocol=protocol) as pool:
        pool.register_tool(lambda value: value * 2, name="double")
        pool.register_tool(_rows, name="rows")
        found = in_parallel(lambda number: pool.execute("ask", {"name": "double", "value": number}), range(60))
        assert found == [[2 * number] * 5 for number in range(60)]
        found = in_parallel(lambda number: pool.execute("ask_rows", {"name": "rows", "value": number}), range(30))
        assert found == [[number] * 20 for number in range(30)]


def _rows(value: int) -> Iterator[int]:
    for _ in range(20):
        yield value


def test_leaving_the_pool_lets_calls_end() -> None:
    """Calls that run on threads when the `with` block is left come to their ends."""
    with pool_of() as pool:
        futures = [pool.submit("nap", {"seconds": 0.3, "value": number}) for number in range(6)]
    assert [future.result() for future in futures] == list(range(6))


def test_a_forked_child_does_not_serve(pool: snakepit.Pool) -> None:
    """A child that comes back out of a tool on a thread ends there; the worker goes on."""
    assert pool.execute("fork") == 0
    assert pool.execute("nap", {"seconds": 0, "value": 5}) == 5


# cancelling ---------------------------------------------------------------------------------------------------------------------


CALLED_BACK = ["callbacks of C code", "callbacks of weak references"]


@pytest.mark.parametrize("kind", ["sleeping loop", "busy loop", "reporting loop", *CALLED_BACK])
def test_a_loop_is_left(pool: snakepit.Pool, marks: Marks, kind: str) -> None:
    """A cancelled tool that runs Python code is interrupted: its `finally` runs, its worker and the other calls go on."""
    other = pool.submit("until", {"folder": marks.text, "name": "go"})
    future = pool.submit("hold", {"folder": marks.text, "kind": kind})
    marks.wait("started")
    assert future.cancel()
    wait_until(lambda: pool.stats().running == 1, "the end of the cancelled call")
    assert "left" in marks.said
    marks.say("go")
    assert other.result() == "go"
    assert pool.stats().killed == 0


def test_a_stream_is_left(pool: snakepit.Pool, marks: Marks) -> None:
    """A stream that its reader leaves is closed in its thread."""
    for _ in pool.stream("hold_stream", {"folder": marks.text}):
        break
    idle(pool)
    assert "left" in marks.said
    assert pool.stats().killed == 0


@pytest.mark.timeout(120)
def test_a_cancel_never_hits_another_call(pool: snakepit.Pool) -> None:
    """500 cancels, raced against the ends of their calls: every other call on the same threads gives its result."""
    chance = random.Random(5)
    cancelled = spared = 0
    before = pool.execute("pid")
    for number in range(500):
        doomed = pool.submit("spin", {"seconds": chance.uniform(0.018, 0.026), "value": -1})
        others = [pool.submit("spin", {"seconds": 0.0005, "value": number + step}) for step in range(3)]
        time.sleep(0.001)
        doomed.cancel()
        others += [pool.submit("spin", {"seconds": 0.0002, "value": number + step}) for step in (3, 4)]
        assert [other.result() for other in others] == [number + step for step in range(5)]
        cancelled += doomed.cancelled()
        spared += not doomed.cancelled()
    idle(pool)
    assert cancelled + spared == 500
    assert cancelled > 400
    assert pool.stats().failed == pool.stats().crashed == pool.stats().killed == 0
    assert pool.execute("pid") == before


def test_a_call_that_blocks_in_c_costs_its_worker(marks: Marks) -> None:
    """The caller gets its error at once; after `cancel_timeout` the worker is killed, with what else it runs, and replaced."""
    with pool_of(cancel_timeout=0.5) as pool:
        before = pool.execute("pid")
        blocked = pool.submit("block", {"folder": marks.text})
        marks.wait("started")
        other = pool.submit("until", {"folder": marks.text, "name": "never"})
        marks.wait("waits")
        assert blocked.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            blocked.result(timeout=0)
        assert not other.done()
        with pytest.raises(snakepit.WorkerCrashed, match=r"'block' \(\w+-\d+\) did not stop within 0.5 s of being cancelled"):
            other.result(timeout=10)
        assert pool.execute("pid") != before
        assert (pool.stats().killed, pool.stats().restarts) == (1, 1)


def test_a_deadline_ends_a_call_on_a_thread(pool: snakepit.Pool, marks: Marks) -> None:
    """A deadline is a cancellation."""
    with pytest.raises(snakepit.WorkerTimeout):
        pool.execute("hold", {"folder": marks.text, "kind": "busy loop"}, timeout=0.2)
    idle(pool)
    assert "left" in marks.said
    assert pool.stats().killed == 0


def test_a_call_that_waits_for_the_lock_is_left(pool: snakepit.Pool, marks: Marks) -> None:
    """Cancelled, a call that waits for the adapter's lock stops waiting; who holds it is not disturbed."""
    holder = pool.submit("hold_lock", {"folder": marks.text})
    marks.wait("locked")
    waiting = pool.submit("want_lock", {"folder": marks.text})
    marks.wait("wants")
    assert waiting.cancel()
    marks.wait("gave up")
    assert "got" not in marks.said
    assert not holder.done()
    marks.say("release")
    assert holder.result() is None
    assert pool.execute("add_below", {"n": 1}) == 1
    assert pool.stats().killed == 0


def test_a_locked_stream_is_closed_though_another_call_has_the_lock(pool: snakepit.Pool, marks: Marks) -> None:
    """Its cleanup waits for the lock, but does not cost the worker."""
    stream = pool.stream("locked_stream", {"folder": marks.text})
    assert next(stream)["data"] == 1
    holder = pool.submit("hold_lock", {"folder": marks.text})
    marks.wait("locked")
    stream.close()
    marks.wait("closed")
    marks.say("release")
    assert holder.result() is None
    idle(pool)
    assert pool.stats().killed == 0


# async tools beside --------------------------------------------------------------------------------------------------------------


def test_async_tools_run_on_the_loop_and_sync_ones_on_threads() -> None:
    """An adapter with both: neither waits for the other."""
    with pool_of(MIXED, threads=8) as pool:
        assert pool.execute("loop_thread") == "MainThread"
        assert pool.execute("thread").startswith("snakepit-tool-")
        names = ["nap", "nap_later"] * 4
        futures = [pool.submit(name, {"seconds": 0.3, "value": number}) for number, name in enumerate(names)]
        assert list(pool.stream("ticks", {"count": 50}).values()) == list(range(50))
        assert [future.result() for future in futures] == list(range(8))
        assert pool.execute("runs_a_loop") == 3


def test_async_hooks_around_sync_tools() -> None:
    """Hooks run on the loop, once, whichever tools come first; the sync ones of the session run on threads."""
    with pool_of(MIXED, threads=8) as pool:
        calls = ["in_session", "in_session_later"] * 6
        found = in_parallel(lambda name: pool.execute(name, session_id="s"), calls, 12)
    assert [(session, starts) for session, starts, _ in found] == [("s", 1)] * 12
    assert all(thread.startswith("snakepit-tool-") for _, _, thread in found[::2])
    assert {thread for _, _, thread in found[1::2]} == {"MainThread"}


def test_cancelling_between_async_hooks(marks: Marks) -> None:
    """A sync tool whose call began with an async hook is interrupted on its thread; what it raises otherwise arrives too."""
    with pool_of(MIXED) as pool:
        future = pool.submit("hold", {"folder": marks.text}, session_id="s")
        marks.wait("started")
        assert future.cancel()
        marks.wait("left")
        idle(pool)
        with pytest.raises(snakepit.ToolError, match="StopIteration: odd"):
            pool.execute("stops", session_id="other")
        assert pool.stats().killed == 0


# the adapter's helpers ---------------------------------------------------------------------------------------------------------


def test_each_thread_keeps_its_own_state(pool: snakepit.Pool, marks: Marks) -> None:
    """What a call keeps in its thread's state is not seen by calls on other threads, and is there for the next on the same."""
    names = ["a", "b", "c", "d"]
    for lap in (1, 2):
        told = [f"{name}{lap}" for name in names]
        futures = [pool.submit("remember", {"folder": marks.text, "name": name, "others": told}) for name in told]
        found = [future.result() for future in futures]
        for name, (own, last, attribute, cleared) in zip(told, found, strict=True):
            assert (own[-1], last, attribute, cleared) == (name, name, name, None)
            assert len(own) == lap
        assert sorted(name for own, *_ in found for name in own) == sorted(f"{name}{n}" for name in names for n in range(1, lap + 1))


def test_a_thread_safe_method_lets_one_thread_in(pool: snakepit.Pool) -> None:
    """Additions that would get lost do not, through methods decorated in either order, and streams."""

    def call(number: int) -> None:
        if number % 3 == 2:
            assert len(list(pool.stream("add_stream", {"count": 4}).values())) == 4
        else:
            pool.execute(["add_above", "add_below"][number % 3], {"n": 1})

    in_parallel(call, range(30), 8)
    assert pool.execute("add_below", {"n": 0}) == 20 + 40
    specs = {spec.name: spec for spec in pool.tool_specs()}
    assert specs["add_above"].description == "The same, decorated the other way round"
    assert [str(specs[name].signature) for name in ("add_above", "add_below")] == ["(n: int)"] * 2
    assert specs["add_stream"].streaming
    assert pool.stream("add_stream", {"count": 1}).result is None


def test_a_slow_reader_does_not_hold_the_lock(marks: Marks) -> None:
    """While a chunk of a locked stream waits for its reader, other calls have the lock."""
    with pool_of(threads=2, window_chunks=1) as pool:
        stream = pool.stream("add_stream", {"count": 50})
        next(stream)
        assert pool.execute("add_below", {"n": 0}, timeout=10) >= 1
        assert [chunk["data"] for chunk in stream][-1] == "added"


def test_the_decorator_without_a_lock() -> None:
    """`thread_safe_method` in a class that has no lock says what to derive it from."""
    with (
        pool_of("thread_tools:Unlocked") as pool,
        pytest.raises(snakepit.ToolError, match="Unlocked.work belongs to a Unlocked, which has no lock: derive the class from ThreadSafe"),
    ):
        pool.execute("work")


# what is said at the start -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adapter", "named"),
    [
        ("thread_tools:Plain", "class Plain"),
        ("thread_functions", "module thread_functions"),
        ("thread_safe_functions:Unsafe", "class Unsafe"),
        (TOOLS, ""),
        ("thread_safe_functions", ""),
        ("thread_safe_functions:Quiet", ""),
    ],
)
def test_an_adapter_that_does_not_say_that_it_is_thread_safe(adapter: str, named: str, caplog: pytest.LogCaptureFixture) -> None:
    """One warning per pool, however many workers, which names it and says how to declare it; none if it has been declared."""
    with caplog.at_level(logging.WARNING, "snakepit"), pool_of(adapter, size=2, threads=3) as pool:
        all_ready(pool)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == bool(named)
    if named:
        assert told[0].startswith(f"{named}: no word that it is thread-safe, and 3 calls run at once in each worker")
        assert "`thread_safe = True`" in told[0]
        assert "ThreadSafeAdapter" in told[0]


@pytest.mark.parametrize("settings", [{"profile": "thread"}, {}], ids=["one thread", "process profile"])
def test_one_call_at_a_time_needs_no_declaration(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    """Where one call runs at a time nothing is said."""
    with caplog.at_level(logging.WARNING, "snakepit"), snakepit.Pool("thread_tools:Plain", size=1, **settings) as pool:
        assert pool.execute("nap", {"seconds": 0, "value": 1}) == 1
    assert caplog.records == []


@pytest.mark.parametrize(("adapter", "gil"), [("OnFreeThreaded", False), ("WithLock", True)])
def test_a_free_threaded_build_shows_in_the_stats(adapter: str, gil: bool) -> None:
    """Stats and worker say so, and whether a library has switched the lock on again; cancelling works there too."""
    with pool_of(f"thread_safe_functions:{adapter}") as pool:
        assert (pool.stats().free_threaded, pool.stats().gil_enabled) == (True, gil)
        info = pool.workers()[0].info()
        assert (info.free_threaded, info.gil_enabled) == (True, gil)
        future = pool.submit("spin")
        wait_until(lambda: pool.stats().running == 1, "the call")
        assert future.cancel()
        idle(pool)
        assert pool.stats().killed == 0


def test_other_builds_say_nothing_of_it(pool: snakepit.Pool) -> None:
    """This Python is none, and says so."""
    assert (pool.stats().free_threaded, pool.stats().gil_enabled) == (False, True)


@pytest.mark.parametrize("settings", [{"threads_per_worker": 2}, {"threads_per_worker": 8, "profile": "process"}])
def test_threads_need_the_thread_profile(settings: dict[str, Any]) -> None:
    """Several calls at once in one worker are refused where tools run on the main thread, with what to write instead."""
    with pytest.raises(snakepit.ConfigurationError, match="threads_per_worker is .; allowed is 1 where profile is 'process'") as caught:
        snakepit.Pool(TOOLS, **settings)
    assert caught.value.details["field"] == "threads_per_worker"
    assert "profile='thread'" in str(caught.value)


@pytest.mark.parametrize("value", [0, -1, 1001, 2.0, True, "4", None])
def test_a_wrong_number_of_threads(value: Any) -> None:
    """The error names the setting and what is allowed."""
    with pytest.raises(snakepit.ConfigurationError, match="threads_per_worker is .*; allowed is a whole number from 1 to 1000"):
        snakepit.Pool(TOOLS, profile="thread", threads_per_worker=value)


def test_threads_by_another_name() -> None:
    """What other libraries call it leads to the right name."""
    with pytest.raises(snakepit.ConfigurationError, match="threads_per_worker=, with profile='thread'"):
        snakepit.Pool(TOOLS, threads=4)


def test_a_workers_command_is_told_how_many_threads(marks: Marks) -> None:
    """A worker that a command starts runs as many calls at once as the pool says."""
    command = [sys.executable, "-m", "snakepit_bridge", "--stdio"]
    paths = os.pathsep.join([str(pathlib.Path(snakepit.__file__).parent.parent), str(pathlib.Path(__file__).parent)])
    with pool_of(threads=2, command=command, env={"PYTHONPATH": paths}) as pool:
        futures = [pool.submit("meet", {"folder": marks.text, "name": name, "others": ["a", "b"]}) for name in ("a", "b")]
        assert len({future.result(timeout=20) for future in futures}) == 2
