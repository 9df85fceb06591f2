"""Host tools that call pools again: waits that can never end fail at once, others are served, and all ends with the call above."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import os
import pathlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import all_ready, idle, wait_until
from snakepit._pool.call import Failed, Item

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

ODD, ODD_ASYNC = "host_tool_odd_tools:Odd", "host_tool_odd_tools:OddAsync"
NEVER = "'(pid|numbers)' could never run: each of the 1 workers of this pool waits"

# what can never end ----------------------------------------------------------------------------------------------------------


def _execute(pool: snakepit.Pool) -> Any:
    return pool.execute("pid", timeout=None)


def _result(pool: snakepit.Pool) -> Any:
    return pool.submit("pid").result()


def _exception(pool: snakepit.Pool) -> Any:
    error = pool.submit("pid").exception()
    raise error if error is not None else AssertionError("it ran")


def _wait(pool: snakepit.Pool) -> Any:
    future = pool.submit("pid")
    concurrent.futures.wait([future])
    return future.result()


def _as_completed(pool: snakepit.Pool) -> Any:
    return next(concurrent.futures.as_completed([pool.submit("pid")])).result()


def _callback(pool: snakepit.Pool) -> Any:
    future, done = pool.submit("pid"), threading.Event()
    future.add_done_callback(lambda _future: done.set())
    assert done.wait(10)
    return future.result()


def _stream(pool: snakepit.Pool) -> Any:
    return list(pool.stream("numbers", {"count": 3}, timeout=None))


def _thread(pool: snakepit.Pool) -> Any:
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        return threads.submit(contextvars.copy_context().run, pool.execute, "pid", timeout=None).result()


WAYS = [_execute, _result, _exception, _wait, _as_completed, _callback, _stream, _thread]


@pytest.fixture(scope="module")
def single() -> Iterator[snakepit.Pool]:
    """A pool of one worker."""
    with snakepit.Pool(ODD, size=1) as pool:
        yield pool


@pytest.mark.parametrize("way", WAYS)
def test_a_call_that_can_never_run_fails_at_once(single: snakepit.Pool, way: Callable[[snakepit.Pool], Any]) -> None:
    """In whichever way the host tool waits for it."""
    single.register_tool(lambda: way(single), name=way.__name__)
    began = time.monotonic()
    with pytest.raises(snakepit.ToolError, match=NEVER):
        single.execute("ask", {"name": way.__name__})
    assert time.monotonic() - began < 3


def test_an_async_host_tool_that_waits_in_a_thread(single: snakepit.Pool) -> None:
    """`asyncio.to_thread` keeps the context by itself."""

    async def later() -> Any:
        return await asyncio.to_thread(single.execute, "pid", timeout=None)

    single.register_tool(later)
    with pytest.raises(snakepit.ToolError, match=NEVER):
        single.execute("ask", {"name": "later"})


def test_a_sync_tool_holds_the_whole_of_an_async_worker() -> None:
    """The worker has free slots, and a main thread that waits for the host tool; an async tool leaves the thread free."""
    with snakepit.Pool(ODD_ASYNC, size=1) as pool:
        pool.register_tool(lambda: pool.execute("pid", timeout=None), name="back")
        with pytest.raises(snakepit.ToolError, match=NEVER):
            pool.execute("sync_ask", {"name": "back"})
        assert isinstance(pool.execute("ask", {"name": "back"}), int)


def test_a_wait_for_a_call_that_runs_may_be_the_last_straw() -> None:
    """The inner call runs already, and waits for a slot that its caller holds; only now its caller waits for it."""
    asked = threading.Event()
    with snakepit.Pool(ODD, size=2) as pool:
        all_ready(pool)

        @pool.host_tool
        def outer() -> Any:
            future = pool.submit("ask", {"name": "inner"})
            assert asked.wait(5)
            time.sleep(0.1)
            return future.result()

        @pool.host_tool
        def inner() -> Any:
            asked.set()
            return pool.execute("pid", timeout=None)

        began = time.monotonic()
        with pytest.raises(snakepit.ToolError, match="could never run: each of the 2 workers"):
            pool.execute("ask", {"name": "outer"})
        assert time.monotonic() - began < 3


# what can ----------------------------------------------------------------------------------------------------------------------


def test_a_call_is_not_refused_for_others_that_will_be_served() -> None:
    """One waits for a session's worker, whose call waits for any: a third worker will serve that one, and so all."""
    with snakepit.Pool(ODD, size=3, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session("theirs")
        session.execute("pid")
        asked = threading.Event()

        @pool.host_tool
        def any_worker() -> Any:
            asked.set()
            return pool.execute("pid")

        @pool.host_tool
        def that_worker() -> Any:
            assert asked.wait(5)
            time.sleep(0.1)
            return session.execute("pid")

        rest = pool.submit("rest", {"seconds": 1.0})
        wait_until(rest.running, "a call on the third worker")
        first = pool.submit("ask", {"name": "that_worker"})
        wait_until(first.running, "the call on another worker")
        second = session.submit("ask", {"name": "any_worker"})
        assert isinstance(first.result(10), int)
        assert isinstance(second.result(10), int)


def test_who_has_given_up_waiting_blocks_nobody() -> None:
    """A host tool stopped waiting for a call, and will end: what needs its slot waits for that, and is served."""
    gave_up, go_on = threading.Event(), threading.Event()
    with snakepit.Pool(ODD, size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session("theirs")

        @pool.host_tool
        def patient() -> Any:
            return pool.execute("pid") if gave_up.wait(5) else None

        @pool.host_tool
        def impatient() -> str:
            future = session.submit("pid")
            with pytest.raises(TimeoutError):
                future.result(0.1)
            assert not concurrent.futures.wait([future], timeout=0.1).done
            gave_up.set()
            assert go_on.wait(5)
            return "went on"

        waiting = session.submit("ask", {"name": "patient"})
        wait_until(waiting.running, "the session's call")
        other = pool.submit("ask", {"name": "impatient"})
        assert gave_up.wait(5)
        time.sleep(0.2)
        assert not waiting.done()
        go_on.set()
        assert other.result(5) == "went on"
        assert isinstance(waiting.result(5), int)


def test_a_call_that_is_asked_after_is_not_waited_for(single: snakepit.Pool) -> None:
    """`result(0)` only looks: the host tool goes on."""

    def look() -> str:
        future = single.submit("pid")
        try:
            future.result(0)
        except TimeoutError:
            return "not yet"
        return "done"

    single.register_tool(look)
    assert single.execute("ask", {"name": "look"}) == "not yet"
    idle(single)


def test_calls_pass_a_worker_that_a_sync_tool_blocks() -> None:
    """Beside it another worker is idle: that one gets them, although the first has free slots."""
    with snakepit.Pool(ODD_ASYNC, size=2) as pool:
        all_ready(pool)
        blocked = pool.submit("block", {"seconds": 1.0})
        wait_until(blocked.running, "the blocking call")
        pids = {pool.execute("pid", timeout=0.8) for _ in range(6)}
        assert not blocked.done()
        assert blocked.result() not in pids


# the end -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pools() -> Iterator[tuple[snakepit.Pool, snakepit.Pool]]:
    """Two pools; calls to the second are made by host tools of the first."""
    with snakepit.Pool(ODD, size=3) as pool, snakepit.Pool(ODD, size=1) as other:
        all_ready(pool)
        all_ready(other)
        yield pool, other
        idle(pool)
        idle(other)


def _cancelled(mark: pathlib.Path) -> None:
    wait_until(mark.exists, "the end of the inner call", 3)
    wait_until(lambda: mark.read_text(encoding="utf-8") == "Cancelled", "its cancellation", 1)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("how", ["cancel", "deadline", "death"])
def test_what_a_host_tool_has_called_ends_with_the_tool(
    pools: tuple[snakepit.Pool, snakepit.Pool], tmp_path: pathlib.Path, how: str, elsewhere: bool
) -> None:
    """Cancelled, out of time or lost with its worker: the inner call is cancelled, in this pool and in another."""
    pool, other = pools
    target, mark, begun = other if elsewhere else pool, tmp_path / "mark", threading.Event()

    @pool.host_tool
    def nest() -> Any:
        begun.set()
        return target.execute("mark_later", {"path": str(mark), "seconds": 8}, timeout=None)

    future = pool.submit("ask", {"name": "nest"}, timeout=0.5 if how == "deadline" else None)
    assert begun.wait(5)
    wait_until(lambda: target.stats().running == (1 if elsewhere else 2), "the inner call")
    if how == "cancel":
        future.cancel()
    elif how == "death":
        assert future.call is not None
        outer = next(handle for handle in pool.workers() if handle.id == future.call.worker_id)
        os.kill(outer.pid or 0, signal.SIGKILL)
    _cancelled(mark)


def test_the_whole_chain_ends(pools: tuple[snakepit.Pool, snakepit.Pool], tmp_path: pathlib.Path) -> None:
    """A tool's host tool's tool's host tool's tool."""
    pool, _ = pools
    mark = tmp_path / "mark"
    pool.register_tool(lambda: pool.execute("ask", {"name": "second"}, timeout=None), name="first")
    pool.register_tool(lambda: pool.execute("mark_later", {"path": str(mark), "seconds": 8}, timeout=None), name="second")
    future = pool.submit("ask", {"name": "first"})
    wait_until(lambda: pool.stats().running == 3, "the innermost call")
    future.cancel()
    _cancelled(mark)


def test_calls_that_nobody_waited_for_end_with_the_tool_too(pools: tuple[snakepit.Pool, snakepit.Pool], tmp_path: pathlib.Path) -> None:
    """The host tool has returned, the tool returns: what was left behind is cancelled, but for what has a context of its own."""
    pool, other = pools
    mark, futures = tmp_path / "mark", []

    @pool.host_tool
    def leave_behind() -> str:
        futures.append(pool.submit("mark_later", {"path": str(mark), "seconds": 8}))
        futures.append(contextvars.Context().run(other.submit, "rest", {"seconds": 0.5}))
        wait_until(lambda: futures[0].running() and futures[1].running(), "both calls")
        return "left"

    assert pool.execute("ask", {"name": "leave_behind"}) == "left"
    _cancelled(mark)
    with pytest.raises(snakepit.CallCancelled, match="the call that led to it has ended"):
        futures[0].result(5)
    assert futures[1].result(5) == "rested"


def test_a_host_tool_that_goes_on_makes_no_further_calls(pools: tuple[snakepit.Pool, snakepit.Pool]) -> None:
    """A sync one cannot be interrupted; once its tool is cancelled, its calls are refused with the reason."""
    pool, other = pools
    begun, told = threading.Event(), threading.Event()
    said: list[str] = []

    @pool.host_tool
    def goes_on() -> None:
        begun.set()
        context = snakepit.current_host_call()
        wait_until(lambda: context.cancelled, "the cancel")
        for target in (pool, other):
            with pytest.raises(snakepit.CallCancelled) as caught:
                target.execute("pid")
            said.append(caught.value.message)
        told.set()

    future = pool.submit("ask", {"name": "goes_on"})
    assert begun.wait(5)
    future.cancel()
    assert told.wait(5)
    assert said == [said[0]] * 2
    assert said[0] == "'pid' is not called: the call of 'ask' that led to it, by host tool 'goes_on', has ended or was cancelled"


async def test_a_call_that_is_cancelled_on_its_way_in_never_runs() -> None:
    """The call above it may end between its making and its submission, which are on two threads."""
    async with snakepit.AsyncPool(ODD, size=1) as pool:
        engine = pool._engine
        assert engine is not None
        mailbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        call = engine.new_call("rest", {"seconds": 5}, mailbox, streaming=False, timeout=None)
        engine.cancel(call, "the call that led to it has ended")
        engine.submit(call)
        assert isinstance(mailbox.get_nowait(), Failed)
        assert mailbox.empty()
        stats = pool.stats()
        assert (stats.submitted, stats.cancelled, stats.running, stats.queued) == (1, 1, 0, 0)
        assert isinstance(await pool.execute("pid"), int)
