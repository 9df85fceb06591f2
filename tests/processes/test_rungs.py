"""Which rung of the ladder ended a cancelled call: in the error, in the figures, in the log; and what becomes of its worker."""

from __future__ import annotations

import copy
import dataclasses
import json
import logging
import os
import pathlib
import pickle
import signal
import time
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TOOLS = str(pathlib.Path(__file__).with_name("rung_tools.py"))


def timed_out(pool: snakepit.Pool, tool: str, folder: pathlib.Path, timeout: float = 0.4) -> snakepit.WorkerTimeout:
    """The error of a call that reaches its deadline."""
    with pytest.raises(snakepit.WorkerTimeout) as caught:
        pool.execute(tool, {"folder": str(folder)}, timeout=timeout)
    return caught.value


@pytest.mark.parametrize(
    ("adapter", "tool", "rung", "settings"),
    [
        ("Rungs", "flag", "flag", {}),
        ("Rungs", "exception", "exception", {}),
        ("Rungs", "kill", "kill", {}),
        ("AsyncRungs", "exception", "exception", {}),
        ("AsyncRungs", "waits", "close", {}),
        ("Rungs", "flag", "flag", {"profile": "thread"}),
        ("Rungs", "kill", "kill", {"profile": "thread"}),
        ("Rungs", "exception", "kill", {"profile": "thread"}),
    ],
)
def test_the_error_says_what_ended_the_call(
    tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, adapter: str, tool: str, rung: str, settings: dict[str, Any]
) -> None:
    """`pending` at first; then the rung, which the figures count and the log tells with call, tool, worker and time."""
    caplog.set_level(logging.INFO, "snakepit.pool")
    with snakepit.Pool(f"{TOOLS}:{adapter}", size=1, cancel_timeout=0.3, **settings) as pool:
        pool.execute("ping")
        error = timed_out(pool, tool, tmp_path)
        seen = error.rung
        wait_until(lambda: error.rung != "pending", "the end of the ladder")
        assert (error.rung, error.details["rung"]) == (rung, rung)
        if rung == "kill":
            assert seen == "pending"
        assert pool.stats().rungs == {rung: 1}
        assert pool.stats().killed == (rung == "kill")
        assert pool.execute("ping", timeout=20) == "pong"
    (record,) = [record for record in caplog.records if "the cancelled call" in record.message]
    assert f"the cancelled call of {tool!r} on worker-1 ended by {rung} after 0." in record.message
    assert record.rung == rung  # type: ignore[attr-defined]
    assert record.correlation_id.endswith("-2")  # type: ignore[attr-defined]
    assert record.levelno == (logging.WARNING if rung == "kill" else logging.INFO)


def test_a_stream_that_is_cancelled(tmp_path: pathlib.Path) -> None:
    """Its generator is closed, whether its reader, its deadline or a gap between two chunks ends it."""
    with snakepit.Pool(f"{TOOLS}:Rungs", size=1) as pool:
        stream = pool.stream("close", {"folder": str(tmp_path)})
        next(stream)
        stream.cancel()
        with pytest.raises(snakepit.CallCancelled) as caught:
            for _ in stream:
                pass
        wait_until(lambda: caught.value.rung == "close", "the end of the ladder")
        with pytest.raises(snakepit.ChunkTimeout) as gap:
            list(pool.stream("exception", {"folder": str(tmp_path)}, chunk_timeout=0.2))
        wait_until(lambda: gap.value.rung == "exception", "the end of the ladder")
        assert pool.stats().rungs == {"close": 1, "exception": 1}


def test_a_call_that_never_ran(tmp_path: pathlib.Path) -> None:
    """It waited behind another."""
    with snakepit.Pool(f"{TOOLS}:Rungs", size=1) as pool:
        first = pool.submit("exception", {"folder": str(tmp_path)})
        wait_until((tmp_path / "started").exists, "the tool")
        assert timed_out(pool, "flag", tmp_path, 0.1).rung == "queued"
        first.cancel()
        wait_until(lambda: pool.stats().running == 0, "the end of the ladder")
        assert pool.stats().rungs == {"queued": 1, "exception": 1}


def test_a_worker_that_dies_while_the_ladder_climbs(tmp_path: pathlib.Path) -> None:
    """By itself, before the pool has ended it."""
    with snakepit.Pool(f"{TOOLS}:Rungs", size=1, cancel_timeout=60.0) as pool:
        error = timed_out(pool, "kill", tmp_path)
        assert error.rung == "pending"
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: error.rung == "crashed", "the end of the ladder")
        assert (pool.stats().rungs, pool.stats().killed) == ({"crashed": 1}, 0)
        assert copy.deepcopy(pool.stats()).rungs == json.loads(json.dumps(dataclasses.asdict(pool.stats())))["rungs"]
        assert pickle.loads(pickle.dumps(error)).rung == "crashed"


def test_a_forced_exception_costs_the_worker(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """It was raised within logging, under a handler's lock: it is counted, and another worker serves."""
    with snakepit.Pool(f"{TOOLS}:Rungs", size=1, cancel_timeout=5.0) as pool:
        error = timed_out(pool, "forced", tmp_path)
        wait_until(lambda: error.rung == "exception", "the end of the ladder")
        assert pool.execute("ping", timeout=20) == "pong"
        stats = pool.stats()
        assert (stats.forced, stats.tainted, stats.restarts, stats.killed) == (1, 1, 1, 0)
    assert "ended by exception, where it may have held a lock, after" in caplog.text


def test_a_lock_that_was_left_behind_costs_the_worker(tmp_path: pathlib.Path) -> None:
    """The worker finds it before it serves again."""
    with snakepit.Pool(f"{TOOLS}:Rungs", size=1) as pool:
        error = timed_out(pool, "leaves_a_lock", tmp_path)
        wait_until(lambda: error.rung == "exception", "the end of the ladder")
        assert pool.execute("ping", timeout=20) == "pong"
        stats = pool.stats()
        assert (stats.forced, stats.tainted, stats.restarts) == (0, 1, 1)


def test_who_does_not_come_back_does_not_serve_again(tmp_path: pathlib.Path) -> None:
    """The tool has left its stack, but the main thread does not return to its loop: the ladder goes on."""
    with snakepit.Pool(f"{TOOLS}:AsyncRungs", size=1, cancel_timeout=0.5) as pool:
        error = timed_out(pool, "blocks_the_loop_afterwards", tmp_path)
        wait_until(lambda: error.rung == "kill", "the end of the ladder")
        assert pool.execute("ping", timeout=20) == "pong"
        assert pool.stats().restarts == 1


def test_who_runs_beside_a_forced_exception_comes_to_its_end(tmp_path: pathlib.Path) -> None:
    """The worker is replaced after that."""
    with snakepit.Pool(f"{TOOLS}:Beside", size=1, cancel_timeout=5.0) as pool:
        beside = pool.submit("lasts", {"folder": str(tmp_path)})
        wait_until((tmp_path / "lasts").exists, "the other call")
        timed_out(pool, "forced_beside", tmp_path)
        assert beside.result(20) == "whole"
        assert pool.execute("ping", timeout=20) == "pong"
        assert (pool.stats().tainted, pool.stats().restarts, pool.stats().crashed) == (1, 1, 0)


@pytest.mark.parametrize(("stays", "rung"), [(False, "terminate"), (True, "kill")])
def test_a_soft_end(tmp_path: pathlib.Path, stays: bool, rung: str) -> None:
    """An adapter that declares one gets SIGTERM first, and two seconds."""
    with snakepit.Pool(f"{TOOLS}:Soft", size=1, cancel_timeout=0.2) as pool:
        pool.execute("ping")
        began = time.monotonic()
        with pytest.raises(snakepit.WorkerTimeout) as caught:
            pool.execute("swallows", {"folder": str(tmp_path), "stays": stays}, timeout=0.2)
        wait_until(lambda: caught.value.rung == rung, "the end of the ladder")
        assert (tmp_path / "saved").exists()
        assert (time.monotonic() - began > 2.0) is stays
        assert pool.execute("ping", timeout=20) == "pong"
        assert (pool.stats().rungs, pool.stats().restarts) == ({rung: 1}, 1)


def test_a_soft_end_that_cannot_be() -> None:
    """A hook that is async is refused at once."""
    with pytest.raises(snakepit.AdapterError, match="on_soft_end of AsyncSoft is async"), snakepit.Pool(f"{TOOLS}:AsyncSoft", size=1):
        pass
