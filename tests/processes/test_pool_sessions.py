"""Sessions of a pool: they stick to a worker, keep their state there, end, expire, get lost, go on elsewhere."""

from __future__ import annotations

import concurrent.futures
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import snakepit
from pool_helpers import Marks, all_ready, idle, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("module_leaves_nothing")]

TOOLS = "session_tools:SessionTools"


@pytest.fixture(scope="module")
def pool() -> Iterator[snakepit.Pool]:
    """One pool for the tests that leave it as it was."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        yield pool


# state -----------------------------------------------------------------------------------------------------------------


def test_a_session_keeps_its_state_on_one_worker(pool: snakepit.Pool) -> None:
    """Calls of one session see what earlier ones left, all on one worker, whatever other calls come between."""
    with pool.session() as session:
        pids = set()
        for number in range(1, 9):
            found = session.execute("count")
            assert found["count"] == number
            assert found["session"] == session.id
            pids.add(found["pid"])
            pool.execute("has_session")
        assert len(pids) == 1


def test_sessions_do_not_see_each_other(pool: snakepit.Pool) -> None:
    """Sessions that take turns on the same workers keep their states apart."""
    sessions = [pool.session(affinity="strict_queue") for _ in range(6)]
    for round_number in range(1, 6):
        for session in sessions:
            assert session.execute("count")["count"] == round_number
    for session in sessions:
        session.end()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["remember", "recall", "end"]), st.integers(0, 3)), max_size=25))
def test_no_interleaving_mixes_two_sessions(pool: snakepit.Pool, steps: list[tuple[str, str, int]]) -> None:
    """Whatever sessions do in whatever order, each sees exactly what it has put into its own state."""
    expected: dict[str, dict[str, int]] = {}
    futures = []
    for number, (name, action, key) in enumerate(steps):
        if action == "remember":
            expected.setdefault(name, {})[str(key)] = number
            args = {"key": str(key), "value": number}
            futures.append(pool.submit("remember", args, session_id=name, affinity="strict_queue"))
        elif action == "recall":
            assert pool.execute("recall", session_id=name, affinity="strict_queue") == expected.setdefault(name, {})
        else:
            for future in futures:
                future.result()
            pool.end_session(name)
            expected.pop(name, None)
    for future in futures:
        future.result()
    for name in "abcd":
        assert pool.execute("recall", session_id=name, affinity="strict_queue") == expected.get(name, {})
        pool.end_session(name)


def test_a_call_without_a_session_has_an_empty_one_of_its_own(pool: snakepit.Pool) -> None:
    """It is false, and its state ends with the call."""
    assert pool.execute("has_session") is False
    assert pool.execute("count")["count"] == 1
    assert pool.execute("count")["session"] == ""


def test_session_id_on_every_kind_of_call(pool: snakepit.Pool) -> None:
    """`execute`, `stream`, `submit` and the tools' functions take `session_id`, which opens the session if need be."""
    assert pool.execute("count", session_id="kinds")["count"] == 1
    assert pool.submit("count", session_id="kinds").result()["count"] == 2
    assert [chunk.get("session") for chunk in pool.stream("numbers", {"count": 2}, session_id="kinds")][:2] == ["kinds", "kinds"]
    assert pool.tools.count.options(session_id="kinds")()["count"] == 3
    assert pool.execute("recall", session_id="kinds")["streamed"] == 2
    assert pool.session("kinds").tools.count()["count"] == 4
    assert pool.end_session("kinds") is True
    assert pool.end_session("kinds") is False


def test_metadata_reaches_the_tool_and_its_changes_too(pool: snakepit.Pool) -> None:
    """Tools see the metadata, cannot change it, and see what the application changes with the next call."""
    with pool.session(metadata={"user": "ann", "limits": {"n": [1, 2]}}) as session:
        assert session.execute("metadata") == {"user": "ann", "limits": {"n": [1, 2]}}
        assert "does not support item assignment" in session.execute("metadata_is_frozen")
        session.update(lambda metadata: {**metadata, "user": "bob"})
        assert session.execute("metadata")["user"] == "bob"
        assert session.info().metadata["user"] == "bob"


def test_leaving_the_block_ends_what_it_made(pool: snakepit.Pool) -> None:
    """A session made by the `with` block is over after it; one that was there before is left alone."""
    with pool.session("made") as session:
        session.execute("count")
    assert pool.session_info("made") is None
    with pytest.raises(snakepit.SessionEnded):
        session.execute("count")
    pool.execute("count", session_id="there")
    with pool.session("there") as session:
        assert session.execute("count")["count"] == 2
    assert pool.execute("count", session_id="there")["count"] == 3
    pool.end_session("there")


def test_an_ended_session_begins_empty_again(pool: snakepit.Pool) -> None:
    """The same id after `end` is a new session."""
    assert pool.execute("count", session_id="again")["count"] == 1
    pool.end_session("again")
    assert pool.execute("count", session_id="again")["count"] == 1
    pool.end_session("again")


def test_an_ended_sessions_state_leaves_the_worker_by_itself(pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """Without any further call, within a second."""
    with pool.session() as session:
        session.execute("keep_telltale", {"path": str(tmp_path / "gone")})
        assert not (tmp_path / "gone").exists()
    wait_until((tmp_path / "gone").exists, "the state's end", timeout=1.0)


def test_an_expired_sessions_state_leaves_the_worker_by_itself(pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """Its lifetime counts from its last call; a second after it at the latest, the state is gone."""
    session = pool.session(ttl=0.6)
    session.execute("keep_telltale", {"path": str(tmp_path / "gone")})
    for _ in range(3):
        time.sleep(0.3)
        session.execute("has_session")
    assert not (tmp_path / "gone").exists()
    wait_until((tmp_path / "gone").exists, "the state's end", timeout=1.6)
    with pytest.raises(snakepit.SessionEnded):
        session.execute("has_session")


def test_state_leaves_also_while_the_worker_computes(tmp_path: pathlib.Path) -> None:
    """A busy main thread does not keep the state of other sessions, where no hook has to run."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        session = pool.session()
        session.execute("keep_telltale", {"path": str(tmp_path / "gone")})
        busy = pool.submit("sleep", {"seconds": 3.0})
        wait_until(busy.running, "a busy worker")
        session.end()
        wait_until((tmp_path / "gone").exists, "the state's end", timeout=1.0)
        busy.cancel()


def test_a_session_does_not_expire_while_a_call_runs(pool: snakepit.Pool) -> None:
    """However long it takes."""
    session = pool.session(ttl=0.3)
    assert session.execute("sleep", {"seconds": 1.0}) == session.id
    assert session.execute("has_session") is True
    session.end()


def test_ending_a_session_cancels_its_calls(pool: snakepit.Pool) -> None:
    """They end with `SessionEnded`."""
    session = pool.session()
    session.execute("count")
    future = session.submit("sleep", {"seconds": 30.0})
    wait_until(future.running, "a running call")
    session.end()
    with pytest.raises(snakepit.SessionEnded, match="ended"):
        future.result(timeout=2)
    idle(pool)


# affinity ----------------------------------------------------------------------------------------------------------------


def test_hint_falls_back_when_its_worker_is_busy(pool: snakepit.Pool) -> None:
    """The other worker takes the call, the session moves there, and the result's metadata says so."""
    session = pool.session(affinity="hint")
    first: list[dict[str, Any]] = []
    session.execute("count", on_metadata=first.append)
    assert "session_moved" not in first[0]
    busy = session.submit("sleep", {"seconds": 20.0})
    wait_until(busy.running, "a busy worker")
    second: list[dict[str, Any]] = []
    assert session.execute("count", on_metadata=second.append)["count"] == 1
    assert second[0]["worker_id"] != first[0]["worker_id"]
    assert second[0]["session_moved"] == {"from": first[0]["worker_id"], "reason": "busy", "restored": False}
    busy.cancel()
    session.end()
    idle(pool)


def test_strict_queue_waits_for_its_worker(pool: snakepit.Pool) -> None:
    """Its calls wait while another worker is idle."""
    session = pool.session(affinity="strict_queue")
    pid = session.execute("count")["pid"]
    busy = session.submit("sleep", {"seconds": 0.5})
    wait_until(busy.running, "a busy worker")
    waiting = session.submit("count")
    assert pool.execute("count")["count"] == 1
    assert not waiting.done()
    assert waiting.result() == {"count": 2, "pid": pid, "session": session.id}
    session.end()


def test_strict_fail_fast_refuses_at_once(pool: snakepit.Pool) -> None:
    """`WorkerBusy`, with the worker's name, and nothing else changes; per call too."""
    session = pool.session()
    session.execute("count", affinity="strict_fail_fast")
    busy = session.submit("sleep", {"seconds": 20.0})
    wait_until(busy.running, "a busy worker")
    with pytest.raises(snakepit.WorkerBusy, match=f"worker-.*session '{session.id}'") as caught:
        session.execute("count", affinity="strict_fail_fast")
    assert caught.value.code == "worker_busy"
    busy.cancel()
    idle(pool)
    assert session.execute("count", affinity="strict_fail_fast")["count"] == 2
    session.end()


def test_calls_of_a_new_strict_session_meet_on_one_worker(pool: snakepit.Pool) -> None:
    """Twenty calls at once, before the session has a worker: all of them get the same one."""
    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        found = list(threads.map(lambda _: pool.execute("count", session_id="crowd", affinity="strict_queue"), range(20)))
    assert sorted(item["count"] for item in found) == list(range(1, 21))
    assert len({item["pid"] for item in found}) == 1
    pool.end_session("crowd")


# loss --------------------------------------------------------------------------------------------------------------------


def test_strict_sessions_say_that_they_are_lost() -> None:
    """After its worker's death every strict call says why, when and which worker, until the session is bound anew."""
    with snakepit.Pool(TOOLS, size=2, affinity="strict_queue") as pool:
        session = pool.session("fragile")
        session.execute("count")
        worker = session.info().worker_id
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        before = time.time()
        for _ in range(2):
            with pytest.raises(snakepit.SessionLost, match=f"'fragile' was lost with {worker}.*SIGKILL") as caught:
                session.execute("count")
        details = caught.value.details
        assert details["worker_id"] == worker
        assert before - 30 < details["at"] < time.time()
        assert details["session_id"] == "fragile"
        assert session.info().state == "lost"
        session.rebind()
        assert session.execute("count")["count"] == 1
        assert session.info().state == "bound"


def test_waiting_strict_calls_are_told_of_the_loss() -> None:
    """Calls that wait for the dead worker end with `SessionLost`, not with the deadline."""
    with snakepit.Pool(TOOLS, size=1, affinity="strict_queue") as pool:
        session = pool.session()
        session.execute("count")
        dying = session.submit("die")
        waiting = [session.submit("count") for _ in range(5)]
        with pytest.raises(snakepit.WorkerCrashed):
            dying.result()
        for future in waiting:
            with pytest.raises(snakepit.SessionLost):
                future.result(timeout=5)


def test_hint_sessions_go_on_and_say_so() -> None:
    """After its worker's death the next call binds the session to another, and its metadata says from where and why."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        session = pool.session()
        session.execute("count")
        worker = session.info().worker_id
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        facts: list[dict[str, Any]] = []
        assert session.execute("count", on_metadata=facts.append)["count"] == 1
        assert facts[0]["session_moved"]["from"] == worker
        assert "SIGKILL" in facts[0]["session_moved"]["reason"]
        *_, last = session.stream("numbers", {"count": 1})
        assert last["_metadata"]["session_id"] == session.id
        assert "session_moved" not in last["_metadata"]


def test_a_snapshot_lets_a_strict_session_go_on() -> None:
    """With `snapshot` and `restore` the next call runs on another worker with the state of the last call that ended."""
    with snakepit.Pool("session_tools:SnapshotTools", size=2, affinity="strict_queue") as pool:
        session = pool.session()
        for _ in range(3):
            session.execute("count")
        worker = session.info().worker_id
        dying, waiting = session.submit("die"), session.submit("count")
        with pytest.raises(snakepit.WorkerCrashed):
            dying.result()
        assert waiting.result()["count"] == 4
        assert waiting.metadata["session_moved"]["from"] == worker
        assert waiting.metadata["session_moved"]["restored"] is True
        assert session.execute("recall")["restored"] is True
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        assert session.execute("count")["count"] == 5


def test_a_snapshot_that_fails_does_not_bring_back_an_older_one(caplog: pytest.LogCaptureFixture) -> None:
    """The call itself succeeds, a warning names the session, and a loss then is a loss."""
    with snakepit.Pool("session_tools:SnapshotTools", size=1, affinity="strict_queue") as pool:
        session = pool.session("unkept")
        session.execute("count")
        session.execute("remember", {"key": "unkeepable", "value": True})
        assert "snapshot() of session 'unkept' raised ValueError: cannot keep this (after 'remember')" in caplog.text
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        with pytest.raises(snakepit.SessionLost):
            session.execute("count")


# hooks -------------------------------------------------------------------------------------------------------------------


def test_hooks_run_once_each(tmp_path: pathlib.Path) -> None:
    """`on_session_start` before the first call, `on_session_end` at the end, with the state as it is then."""
    marks = Marks(tmp_path)
    with snakepit.Pool("session_tools:HookedTools", size=1) as pool:
        with pool.session("one", metadata={"folder": marks.text}) as session:
            assert session.execute("count")["count"] == 1
            assert session.execute("count")["count"] == 2
            assert session.execute("recall")["started"] is True
        marks.wait("end-one-2", timeout=1.0)
        pool.session("two", metadata={"folder": marks.text}).execute("count")
    assert marks.said == {"start-one-0", "end-one-2", "start-two-0", "end-two-1"}  # also when the pool closes


def test_a_start_hook_that_raises_fails_the_call_and_is_tried_again(tmp_path: pathlib.Path) -> None:
    """The caller gets what it raised; when the metadata has been mended the session starts."""
    with snakepit.Pool("session_tools:HookedTools", size=1) as pool:
        session = pool.session(metadata={"refuse": True})
        with pytest.raises(snakepit.ToolError, match="this session is refused"):
            session.execute("count")
        session.update(lambda metadata: {"refuse": False})
        assert session.execute("recall") == {"started": True}


def test_eight_calls_at_once_never_see_another_session(tmp_path: pathlib.Path) -> None:
    """Async tools that overlap on one adapter have each their own `self.session`; start hooks run once per session."""
    with snakepit.Pool("session_tools:AsyncSessionTools", size=1) as pool:
        sessions = [pool.session(f"s{number}", metadata={"folder": str(tmp_path)}) for number in range(8)]
        futures = [session.open().submit("note", {"item": f"{session.id}-{turn}"}) for turn in range(10) for session in sessions]
        for future in futures:
            future.result()
        for session in sessions:
            seen = session.execute("note", {"item": "last"})
            assert seen[-1] == "last"
            assert sorted(seen[:-1]) == [f"{session.id}-{turn}" for turn in range(10)]
            assert session.execute("starts") == 1
            session.end()
        wait_until(lambda: len(list(tmp_path.iterdir())) == 8, "eight end hooks", timeout=1.0)


def test_async_snapshots(tmp_path: pathlib.Path) -> None:
    """Async `snapshot` and `restore` carry a session over its worker's death."""
    with snakepit.Pool("session_tools:AsyncSessionTools", size=1, affinity="strict_queue") as pool:
        session = pool.session()
        session.execute("note", {"item": "a"})
        with pytest.raises(snakepit.WorkerCrashed):
            session.execute("die")
        assert session.execute("note", {"item": "b"}) == ["a", "b"]


# bad input -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"session_id": ""}, "session"),
        ({"session_id": 7}, "session"),
        ({"session_id": "x", "affinity": "glue"}, "affinity is 'glue'; allowed is one of hint, strict_queue, strict_fail_fast"),
        ({"affinity": "hint"}, "affinity is given without session_id"),
    ],
)
def test_bad_options_are_refused(pool: snakepit.Pool, options: dict[str, Any], message: str) -> None:
    """Before anything is sent, by name."""
    with pytest.raises(snakepit.InvalidParameter, match=message):
        pool.execute("count", **options)


def test_an_unknown_option_is_refused(pool: snakepit.Pool) -> None:
    """Like a keyword that a function does not know, with a near name."""
    with pytest.raises(TypeError, match="no option named 'sesion_id'; did you mean session_id"):
        pool.execute("count", sesion_id="x")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ttl": 0}, "ttl is 0"),
        ({"metadata": 5}, "metadata is 5, an int; allowed is a dict"),
        ({"id": ""}, "id is ''"),
        ({"id": 5}, "id is 5, an int; allowed is text"),
    ],
)
def test_bad_sessions_are_refused(pool: snakepit.Pool, arguments: dict[str, Any], message: str) -> None:
    """By `pool.session`, naming the field."""
    with pytest.raises(snakepit.InvalidParameter, match=message):
        pool.session(**arguments)


def test_the_quota_of_sessions() -> None:
    """One too many is refused with its code and the setting to raise; an ended one makes room."""
    with snakepit.Pool(TOOLS, size=1, max_sessions=2) as pool:
        first, second = pool.session("a").open(), pool.session("b").open()
        with pytest.raises(snakepit.SessionQuotaExceeded, match="max_sessions") as caught:
            pool.execute("count", session_id="c")
        assert caught.value.code == "session_quota_exceeded"
        first.end()
        assert pool.execute("count", session_id="c")["count"] == 1
        assert {info.id for info in pool.sessions()} == {second.id, "c"}
