"""What becomes of a session's state: let go where it is out of date, never brought back, and hooks that go wrong on the way."""

from __future__ import annotations

import logging
import os
import pathlib
import signal
import time

import pytest

import snakepit
from pool_helpers import Marks, all_ready, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

NOTED, ASYNC_NOTED = "session_hook_tools:NotedEnds", "session_hook_tools:AsyncNotedEnds"


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    """Where the hooks say what they saw."""
    return Marks(tmp_path)


def _kill(pool: snakepit.Pool, worker_id: str) -> None:
    (pid,) = [handle.pid for handle in pool.workers() if handle.id == worker_id]
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker_id not in {handle.id for handle in pool.workers()}, "the worker's end")


# rebinding -----------------------------------------------------------------------------------------------------------------


def test_rebinding_never_brings_back_what_an_earlier_move_left(marks: Marks) -> None:
    """State is left on A by a move to B, and B dies: after `rebind` the session is empty on A too, whose copy has ended."""
    with snakepit.Pool(NOTED, size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session(metadata={"folder": marks.text})
        first = session.execute("note", {"text": "old"})["worker"]
        busy = session.submit("sleep", {"seconds": 20.0}, affinity="hint")
        wait_until(busy.running, "a busy worker")
        second = session.execute("note", {"text": "new"}, affinity="hint")["worker"]
        assert second != first
        _kill(pool, second)
        with pytest.raises(snakepit.SessionLost):
            session.execute("recall")
        assert session.rebind() is True
        busy.cancel()
        marks.wait("ended-old", timeout=2.0)
        assert session.execute("note", {"text": "again"})["notes"] == ["again"]


def test_a_strict_session_that_moves_takes_its_state_away(marks: Marks) -> None:
    """A hint call moves it; its next strict call ends the copy that stayed behind, with its hook, while the new one goes on."""
    with snakepit.Pool(NOTED, size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session(metadata={"folder": marks.text})
        session.execute("note", {"text": "old"})
        busy = session.submit("sleep", {"seconds": 20.0}, affinity="hint")
        wait_until(busy.running, "a busy worker")
        session.execute("note", {"text": "new"}, affinity="hint")
        assert session.execute("note", {"text": "more"})["notes"] == ["new", "more"]
        busy.cancel()
        marks.wait("ended-old", timeout=1.0)
        assert marks.said == {"ended-old"}


def test_a_hint_session_keeps_a_copy_as_a_cache(marks: Marks) -> None:
    """Its calls that find the former worker again find what they left there."""
    with snakepit.Pool(NOTED, size=2) as pool:
        all_ready(pool)
        session = pool.session(metadata={"folder": marks.text})
        first = session.execute("note", {"text": "one"})["worker"]
        busy = session.submit("sleep", {"seconds": 20.0})
        wait_until(busy.running, "a busy worker")
        second = session.execute("note", {"text": "two"})["worker"]
        busy.cancel()
        idle(pool)
        busy = session.submit("sleep", {"seconds": 20.0})
        wait_until(busy.running, "a busy worker")
        again = session.execute("note", {"text": "three"})
        assert (again["worker"], again["notes"]) == (first, ["one", "three"])
        _kill(pool, first)
        busy.cancel()
        idle(pool)
        assert session.rebind() is True
        empty = session.execute("note", {"text": "four"})
        assert (empty["worker"], empty["notes"]) == (second, ["four"])


def test_rebinding_a_session_that_is_there_changes_nothing(marks: Marks) -> None:
    """It says False, and the session goes on where it is; so does one that nobody knows."""
    with snakepit.Pool(NOTED, size=2, affinity="strict_queue") as pool:
        session = pool.session(metadata={"folder": marks.text})
        worker = session.execute("note", {"text": "a"})["worker"]
        assert session.rebind() is False
        assert pool.rebind_session("nobody") is False
        assert session.execute("note", {"text": "b"}) == {"notes": ["a", "b"], "worker": worker}


def test_an_end_hook_waits_for_the_calls_of_its_state(marks: Marks) -> None:
    """A copy that is let go while a call runs on it ends after that call, whose result arrives; further calls see a new state."""
    with snakepit.Pool(ASYNC_NOTED, size=2, affinity="strict_queue") as pool:
        all_ready(pool)
        session = pool.session(metadata={"folder": marks.text})
        first = session.execute("note", {"text": "a"})["worker"]
        slow = [session.submit("note", {"text": "slow", "seconds": 2.0}, affinity="hint") for _ in range(4)]
        marks.wait("waiting-slow")
        wait_until(lambda: all(future.running() for future in slow), "a full worker")
        second = session.execute("note", {"text": "b"}, affinity="hint")["worker"]
        assert second != first
        session.execute("note", {"text": "c"})
        assert not any(future.done() for future in slow)
        assert not any(name.startswith("ended") for name in marks.said)
        assert slow[0].result()["notes"] == ["a", "slow", "slow", "slow", "slow"]
        marks.wait("ended-a-slow-slow-slow-slow-waited", timeout=1.0)


# end hooks that hang ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["sleep", "compute"])
def test_an_end_hook_that_hangs_is_interrupted(way: str, caplog: pytest.LogCaptureFixture) -> None:
    """After `cancel_timeout` the log names hook, session and worker, the hook is interrupted, and the worker goes on."""
    caplog.set_level(logging.INFO, "snakepit.worker")
    with snakepit.Pool("session_hook_tools:SlowEnds", size=1, cancel_timeout=0.5, worker_output="log") as pool:
        session = pool.session("slow", metadata={"way": way})
        pid = session.execute("count")["pid"]
        before = time.monotonic()
        session.end()
        assert pool.execute("count", timeout=10)["pid"] == pid
        assert 0.4 < time.monotonic() - before < 4.0
    assert "on_session_end of session 'slow' on worker-1 has not ended within 0.5 s" in caplog.text


@pytest.mark.parametrize("way", ["stubborn", "hold the interpreter"])
def test_an_end_hook_that_cannot_be_interrupted_costs_its_worker(way: str) -> None:
    """The worker ends and is replaced, within twice `cancel_timeout` and a little more."""
    with snakepit.Pool("session_hook_tools:SlowEnds", size=1, cancel_timeout=0.5) as pool:
        session = pool.session("stubborn", metadata={"way": way})
        pid = session.execute("count")["pid"]
        session.end()
        wait_until(lambda: pool.stats().restarts == 1, "another worker", timeout=5.0)
        assert pool.execute("count", timeout=10)["pid"] != pid


@pytest.mark.parametrize("way", ["block", "await"])
def test_an_async_end_hook_that_hangs_is_cancelled(way: str, marks: Marks, caplog: pytest.LogCaptureFixture) -> None:
    """Like a call: a blocked loop is interrupted, a task is cancelled and cleans up."""
    caplog.set_level(logging.INFO, "snakepit.worker")
    with snakepit.Pool("session_hook_tools:SlowAsyncEnds", size=1, cancel_timeout=0.5, worker_output="log") as pool:
        session = pool.session("slow", metadata={"way": way, "folder": marks.text})
        session.execute("count")
        session.end()
        wait_until(lambda: "on_session_end of session 'slow' on worker-1" in caplog.text, "the warning", timeout=3.0)
        assert pool.execute("count", timeout=5) == 1
        if way == "await":
            marks.wait("cleaned up", timeout=1.0)
        assert pool.stats().restarts == 0


# hooks that fail -----------------------------------------------------------------------------------------------------------


def test_a_start_hook_that_raises_is_named() -> None:
    """The hook and the session, not the tool, which did not run."""
    with snakepit.Pool("session_hook_tools:WrongHooks", size=1) as pool:
        with pytest.raises(snakepit.ToolError) as caught:
            pool.session("s", metadata={"start": "raise"}).execute("count")
        assert caught.value.message == "on_session_start of session 's' raised RuntimeError: no licence, before 'count' ran"
        assert caught.value.code == "session_hook_error"
        assert caught.value.details["hook"] == "on_session_start"
        assert "in on_session_start" in caught.value.traceback
        with pytest.raises(snakepit.ToolError, match=r"on_session_start called sys.exit\(3\); the worker goes on, before"):
            pool.session("t", metadata={"start": "exit"}).execute("count")


def test_a_restore_that_raises_is_named_and_can_be_given_up() -> None:
    """Calls fail by the hook's name until it succeeds, or `rebind` goes on with an empty state; the start hook runs once."""
    with snakepit.Pool("session_hook_tools:WrongHooks", size=1, affinity="strict_queue") as pool:
        session = pool.session("s", metadata={"restore": "raise"})
        session.execute("count")
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        message = "restore of session 's' raised RuntimeError: the file is of version 1, before 'count' ran"
        for _ in range(2):
            with pytest.raises(snakepit.ToolError, match=message) as caught:
                session.execute("count")
            assert "rebind" in caught.value.hint
        _kill(pool, session.info().worker_id)  # what is restored then is the snapshot, not what a failed restore left
        session.update(lambda metadata: {})
        assert session.execute("recall") == {"starts": 1, "count": 1}
        assert session.rebind() is False
        session.update(lambda metadata: {"restore": "raise"})
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        with pytest.raises(snakepit.ToolError, match=message):
            session.execute("count")
        assert session.rebind() is True
        assert session.execute("recall") == {"starts": 1}
        assert session.execute("count")["count"] == 1


def test_a_snapshot_that_cannot_travel_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """The hook, the session and the path to what cannot travel; not again for each call, until one has succeeded."""
    caplog.set_level(logging.INFO)
    with snakepit.Pool("session_hook_tools:WrongHooks", size=1, worker_output="log") as pool:
        session = pool.session("s", metadata={"snapshot": "unsendable"})
        for _ in range(3):
            session.execute("count")
        told = "snapshot() of session 's' returned what cannot travel: the value['model'] is a object"
        assert caplog.text.count(told) == 1
        assert "Traceback" not in caplog.text
        session.update(lambda metadata: {})
        session.execute("count")
        session.update(lambda metadata: {"snapshot": "unsendable"})
        session.execute("count")
        assert caplog.text.count(told) == 2


def test_half_of_what_keeps_sessions_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """At the start, naming the hook that is missing; once for all workers of a pool."""
    with snakepit.Pool("session_hook_tools:OnlySnapshot", size=2) as pool:
        all_ready(pool)
    assert caplog.text.count("OnlySnapshot has snapshot() but no restore()") == 1
