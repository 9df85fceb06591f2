"""Ends of sessions while their calls wait or run, losses, lifetimes of a moment; what is left of them in the pool's books."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import time
from typing import Any

import pytest

import snakepit
from pool_helpers import Marks, all_ready, finished, idle, script, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = "session_tools:SessionTools"


def kept_by(pool: Any) -> dict[str, Any]:
    """What is left in the books of calls and sessions, by the name of the table; queues, seats and counters aside."""
    engine = pool._engine
    scheduler, keeper = engine._scheduler, engine.sessions
    owners = (scheduler, scheduler._room, keeper, keeper._sweeper, engine._calls)
    tables = {f"{type(owner).__name__}.{name}": table for owner in owners for name, table in vars(owner).items()}
    tables["calls"] = engine._ledger.open_calls()
    still = ("Scheduler._seats", "Scheduler._free", "Dispatcher._workers")
    return {name: table for name, table in tables.items() if isinstance(table, (dict, set, list)) and table and name not in still}


# ends with calls that wait -----------------------------------------------------------------------------------------------------


async def test_ending_a_session_whose_calls_follow_each_other() -> None:
    """Its leader waits for a stream's turn, its follower for the leader: both end with `SessionEnded`, no slot is lost."""
    async with snakepit.AsyncPool(TOOLS, size=2, max_concurrent_streams=1, affinity="strict_queue") as pool:
        async with asyncio.timeout(10):
            while pool.stats().workers_ready < 2:  # noqa: ASYNC110 - processes on this machine
                await asyncio.sleep(0.01)
        endless = pool.stream("numbers", {"count": 1_000_000_000})
        await anext(endless)
        session = await pool.session().open()
        leader, follower = session.stream("numbers", {"count": 1}), session.submit("count")
        await asyncio.sleep(0.02)
        await session.end()
        with pytest.raises(snakepit.SessionEnded):
            await follower
        with pytest.raises(snakepit.SessionEnded):
            await anext(leader)
        assert (pool.stats().running, pool.stats().queued) == (1, 0)
        assert (await pool.execute("count", timeout=5))["count"] == 1
        await endless.aclose()


async def test_ending_a_session_whose_first_call_has_not_left() -> None:
    """The slot of a call that is cancelled unsent does not go to the session's next call, which ends too."""
    async with snakepit.AsyncPool("session_moving_tools:Crowded", size=1, affinity="strict_queue") as pool:
        session = await pool.session().open()
        calls = [session.submit("count", {"blob": "x" * 3_000_000}) for _ in range(9)]
        await asyncio.sleep(0)
        await session.end()
        found = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(item) for item in found} == {snakepit.SessionEnded}
        assert (await pool.execute("count", timeout=5))["count"] == 1
        assert pool.stats().killed == 0


def test_a_call_that_finds_no_session_gives_its_slot_back() -> None:
    """However it comes about: it ends with `SessionEnded`, and the next call runs."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        busy = pool.submit("sleep", {"seconds": 0.5})
        wait_until(busy.running, "a busy worker")
        waiting = pool.submit("count", session_id="vanished")
        assert pool._engine is not None
        entries = pool._engine.sessions._entries
        wait_until(lambda: "vanished" in entries, "the session")
        del entries["vanished"]
        with pytest.raises(snakepit.SessionEnded):
            waiting.result(timeout=5)
        assert pool.execute("count", timeout=5)["count"] == 1
        idle(pool)


# losses ------------------------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_of_calls_that_lost_their_session() -> None:
    """Strict calls that waited for a worker that died leave the scheduler's books."""
    with snakepit.Pool(TOOLS, size=2, affinity="strict_queue", max_restarts=100) as pool:
        for number in range(3):
            session = pool.session(f"s{number}")
            pid = session.execute("count")["pid"]
            busy, *waiting = (session.submit("sleep", {"seconds": 20.0}) for _ in range(5))
            wait_until(busy.running, "a busy worker")
            os.kill(pid, signal.SIGKILL)
            for future in waiting:
                with pytest.raises(snakepit.SessionLost):
                    future.result(timeout=5)
            with pytest.raises(snakepit.WorkerCrashed):
                busy.result(timeout=5)
            session.end()
        assert kept_by(pool) == {}


# lifetimes -----------------------------------------------------------------------------------------------------------------------


def test_a_session_of_a_moment_does_not_expire_while_a_call_runs() -> None:
    """Its lifetime is shorter than the time between two looks at expiry; when the call has ended, it ends soon."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        session = pool.session("moment", ttl=0.2)
        assert session.execute("sleep", {"seconds": 1.2}) == "moment"
        wait_until(lambda: pool.session_info("moment") is None, "its expiry", timeout=1.5)


def test_an_end_hook_keeps_the_state_from_everybody_else(tmp_path: pathlib.Path) -> None:
    """While its worker computes, the state is out of any call's reach at once; the hook sees it when the computing has ended."""
    marks = Marks(tmp_path)
    with snakepit.Pool("session_moving_tools:Ending", size=1) as pool:
        session = pool.session("s", metadata={"folder": marks.text})
        assert [session.execute("count") for _ in range(2)] == [1, 2]
        busy = pool.submit("sleep", {"seconds": 0.7})
        wait_until(busy.running, "a busy worker")
        session.end()
        anew = pool.session("s", metadata={"folder": marks.text}).submit("count")
        time.sleep(0.3)
        assert not marks.said
        assert anew.result(timeout=5) == 1
        assert marks.said == {"ended-s-2"}


# what goes with a session ----------------------------------------------------------------------------------------------------------


def test_host_tools_go_with_a_session_that_was_never_used() -> None:
    """Ended before any call of it: what was offered to it alone is offered no more."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        pool.register_tool(lambda: "for her alone", name="lookup", session_id="never")
        assert [spec.name for spec in pool._offers.known("never")] == ["lookup"]
        assert pool.end_session("never") is False
        assert pool._offers.known("never") == ()


def test_leaving_the_block_in_a_forked_child() -> None:
    """Silent, like leaving the pool's own, and the parent's session goes on."""
    text = """
    import os, sys, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # os.fork beside threads
    import snakepit
    with snakepit.Pool("session_tools:SessionTools", size=1) as pool:
        with pool.session("s") as session:
            session.execute("count")
            child = os.fork()
            if child == 0:
                sys.exit(3)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), session.execute("count")["count"])
    """
    code, out, err = finished(script(text))
    assert (code, err) == (0, "")
    assert out.split() == ["3", "2"]


def test_all_ready_pools_keep_nothing() -> None:
    """After calls of every affinity have ended and their sessions too, the books are empty."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        affinities: list[Any] = ["hint", "strict_queue", "strict_fail_fast"]
        for affinity in affinities:
            futures = [pool.submit("count", session_id=affinity, affinity=affinity) for _ in range(10)]
            assert {type(future.exception(timeout=5)) for future in futures} <= {type(None), snakepit.WorkerBusy}
            pool.end_session(affinity)
        assert kept_by(pool) == {}
