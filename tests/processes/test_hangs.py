"""A tool that runs no line of Python for too long is found and cancelled; one that only looks so is left alone."""

from __future__ import annotations

import logging
import os
import pathlib
import signal
import time

import pytest

import snakepit
from pool_helpers import wait_until

pytestmark = pytest.mark.usefixtures("leaves_nothing")
TOOLS = str(pathlib.Path(__file__).with_name("hang_tools.py"))
SECONDS = 0.5


@pytest.mark.parametrize(
    ("adapter", "tool", "rung"),
    [
        ("Hanging", "waits_for_a_lock", "exception"),
        ("Hanging", "waits_for_a_thread", "exception"),
        ("Hanging", "computes_in_c", "kill"),
        ("AsyncHanging", "blocks_the_loop", "exception"),
    ],
)
def test_a_tool_that_hangs(caplog: pytest.LogCaptureFixture, adapter: str, tool: str, rung: str) -> None:
    """Its error names the place, the log has the stacks of its worker, and its call climbs the ladder."""
    caplog.set_level(logging.WARNING, "snakepit")
    with snakepit.Pool(f"{TOOLS}:{adapter}", size=1, hang_timeout=SECONDS, cancel_timeout=0.4) as pool:
        pool.execute("ping")
        began = time.monotonic()
        with pytest.raises(snakepit.HangTimeout) as caught:
            pool.execute(tool, timeout=30)
        took = time.monotonic() - began
        wait_until(lambda: caught.value.rung == rung, "the end of the ladder")
        assert pool.execute("ping", timeout=20) == "pong"
    error = caught.value
    assert (error.code, error.details["worker_id"]) == ("hang_timeout", "worker-1")
    assert f"{tool!r} ran no line of Python for 0.5 s, the hang_timeout, on worker-1: it hangs in " in str(error)
    assert error.details["where"].split()[0] in (tool, "_wait_for_tstate_lock", "join")
    assert f'File "{TOOLS}"' in error.details["stacks"]
    (record,) = [record for record in caplog.records if "ran no line" in record.message]
    assert f"in {tool}" in record.message.partition("\n")[2]
    assert SECONDS <= took < 3 * SECONDS + 1.0


@pytest.mark.parametrize("tool", ["loops_in_one_line", "polls", "calls_back_from_c", "reports_from_a_thread"])
def test_a_tool_that_only_looks_so(tool: str) -> None:
    """Lines run, or it tells that it lives: it comes to its end, four bounds later."""
    with snakepit.Pool(f"{TOOLS}:Hanging", size=1, hang_timeout=SECONDS) as pool:
        assert pool.execute(tool, {"seconds": 4 * SECONDS}) == "whole"
        assert pool.stats().restarts == 0


def test_chunks_and_awaits() -> None:
    """A stream that goes on does not hang, nor does what waits on a loop."""
    with snakepit.Pool(f"{TOOLS}:AsyncHanging", size=1, hang_timeout=SECONDS) as pool:
        assert len(list(pool.stream("yields", {"seconds": 4 * SECONDS}).values())) == 10
        assert pool.execute("awaits", {"seconds": 3 * SECONDS}) == "whole"


def slow() -> str:
    """A host tool."""
    time.sleep(3 * SECONDS)
    return "whole"


def test_who_waits_for_the_application() -> None:
    """For its reader, or for a host tool: that is not the tool's doing."""
    with snakepit.Pool(f"{TOOLS}:Hanging", size=1, hang_timeout=SECONDS, window_chunks=1) as pool:
        pool.host_tool(slow)
        found = []
        for chunk in pool.stream("yields", {"seconds": 0.8}).values():
            time.sleep(2 * SECONDS)
            found.append(chunk["n"])
        assert found == [0, 1, 2, 3]
        assert pool.execute("asks") == "whole"


def test_cancels_of_what_is_watched(tmp_path: pathlib.Path) -> None:
    """The watch and the cancel use one signal and one way to trace: nothing is raised elsewhere, no lock is lost, no tracing stays."""
    with snakepit.Pool(f"{TOOLS}:Hanging", size=1, hang_timeout=0.1, worker_output="discard") as pool:
        for number in range(60):
            future = pool.submit("works", {"folder": str(tmp_path)})
            wait_until((tmp_path / "started").exists, "the tool")
            (tmp_path / "started").unlink()
            time.sleep(number % 20 * 0.005)
            future.cancel()
            assert pool.execute("sound", timeout=20) is True
        stats = pool.stats()
    assert (stats.crashed, stats.killed, stats.restarts) == (0, 0, stats.tainted)
    assert stats.tainted <= 1


def test_a_worker_that_was_stopped_does_not_hang() -> None:
    """The time in which it could not look does not count."""
    with snakepit.Pool(f"{TOOLS}:Hanging", size=1, hang_timeout=SECONDS) as pool:
        pool.execute("ping")
        future = pool.submit("polls", {"seconds": 1.0})
        pid = pool.workers()[0].pid
        assert pid is not None
        wait_until(lambda: pool.stats().running == 1, "the call")
        os.kill(pid, signal.SIGSTOP)
        time.sleep(3 * SECONDS)
        os.kill(pid, signal.SIGCONT)
        assert future.result(20) == "whole"


def test_where_it_cannot_be_known() -> None:
    """Is refused."""
    with pytest.raises(snakepit.ConfigurationError, match="hang_timeout is given, and only a tool on its worker's main thread"):
        snakepit.Pool(hang_timeout=1.0, profile="thread")
    with pytest.raises(snakepit.ConfigurationError, match="hang_timeout is 0; allowed is a number of seconds above 0"):
        snakepit.Pool(hang_timeout=0)
