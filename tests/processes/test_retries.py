"""A call that a crash cut off runs once more, if its tool says that it may, and nobody has seen anything of it."""

from __future__ import annotations

import os
import pathlib
import signal
import time

import pytest

import snakepit
from pool_helpers import wait_until

TOOLS = """
import os, pathlib, time
from snakepit_bridge import tool

def fall(folder, times):
    runs = pathlib.Path(folder) / "runs"
    with runs.open("a") as file:
        file.write("run\\n")
    if len(runs.read_text().split()) <= times:
        os._exit(9)

@tool(idempotent=True)
def again(folder: str, times: int, blob: bytes = b"") -> list:
    fall(folder, times)
    return [os.getpid(), len(blob)]

@tool
def once(folder: str, times: int) -> int:
    fall(folder, times)
    return os.getpid()

@tool(idempotent=True)
def chunks(folder: str, before: int):
    for number in range(before):
        yield {"n": number}
    time.sleep(0.1)  # for what was yielded to leave
    fall(folder, 1)
    yield {"n": "last"}

@tool(idempotent=True)
def wait(folder: str) -> str:
    with (pathlib.Path(folder) / "runs").open("a") as file:
        file.write("run\\n")
    time.sleep(600)
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    """A file of tools that fall a number of times."""
    path = tmp_path / "falling.py"
    path.write_text(TOOLS)
    return str(path)


def runs(folder: pathlib.Path) -> int:
    return len((folder / "runs").read_text().split())


def test_once_more_elsewhere(tools: str, tmp_path: pathlib.Path) -> None:
    """With the same arguments, bytes too; the caller sees the result, and in its metadata what happened."""
    with snakepit.Pool(tools, size=2) as pool:
        seen: list[dict[str, object]] = []
        pid, size = pool.execute(
            "again", {"folder": str(tmp_path), "times": 1}, binary_parameters={"blob": b"x" * 1000}, on_metadata=seen.append
        )
        assert size == 1000
        assert pid in {handle.pid for handle in pool.workers()}
        assert seen[0]["retried"] in [{"worker_id": f"worker-{number}", "cause": "exited with code 9"} for number in (1, 2)]
        stats = pool.stats()
        assert (runs(tmp_path), stats.retried, stats.crashed, stats.succeeded) == (2, 1, 0, 1)


def test_not_twice(tools: str, tmp_path: pathlib.Path) -> None:
    """What ends two workers is not given to a third."""
    with snakepit.Pool(tools, size=2) as pool:
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            pool.execute("again", {"folder": str(tmp_path), "times": 5})
        assert caught.value.details["retried"]["worker_id"] in ("worker-1", "worker-2")
    assert runs(tmp_path) == 2


def test_not_unless_the_tool_says_so(tools: str, tmp_path: pathlib.Path) -> None:
    """A tool that says nothing is run once."""
    with snakepit.Pool(tools, size=2) as pool, pytest.raises(snakepit.WorkerCrashed):
        pool.execute("once", {"folder": str(tmp_path), "times": 1})
    assert runs(tmp_path) == 1


def test_not_after_a_chunk(tools: str, tmp_path: pathlib.Path) -> None:
    """A stream of which something has come fails; one of which nothing has, begins again."""
    with snakepit.Pool(tools, size=1) as pool:
        stream, found = pool.stream("chunks", {"folder": str(tmp_path), "before": 2}), []
        with pytest.raises(snakepit.WorkerCrashed):
            found.extend(chunk["n"] for chunk in stream)
        assert found == [0, 1]
        (tmp_path / "runs").unlink()
        assert [chunk["n"] for chunk in pool.stream("chunks", {"folder": str(tmp_path), "before": 0}) if "n" in chunk] == ["last"]


def test_not_in_a_session(tools: str, tmp_path: pathlib.Path) -> None:
    """Its state has gone with the worker."""
    with snakepit.Pool(tools, size=1) as pool, pytest.raises(snakepit.WorkerCrashed):
        pool.execute("again", {"folder": str(tmp_path), "times": 1}, session_id="s")
    assert runs(tmp_path) == 1


def test_not_when_nobody_waits(tools: str, tmp_path: pathlib.Path) -> None:
    """A cancelled call whose worker dies is not begun again; nor is any when the pool closes."""
    with snakepit.Pool(tools, size=1, cancel_timeout=0.2) as pool:
        future = pool.submit("wait", {"folder": str(tmp_path)})
        wait_until((tmp_path / "runs").exists, "the tool")
        pid = pool.workers()[0].pid
        assert pid is not None
        future.cancel()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pool.stats().restarts == 1 and pool.stats().workers_ready == 1, "another worker")
        assert runs(tmp_path) == 1
    pool = snakepit.Pool(tools, size=1, close_timeout=0.2)
    pool.submit("wait", {"folder": str(tmp_path)})
    wait_until(lambda: runs(tmp_path) == 2, "the tool")
    pool.close()
    time.sleep(0.1)
    assert runs(tmp_path) == 2


def test_its_deadline_goes_on(tools: str, tmp_path: pathlib.Path) -> None:
    """The second run has what is left of the time."""
    with snakepit.Pool(tools, size=1) as pool:
        began = time.monotonic()
        future = pool.submit("wait", {"folder": str(tmp_path)}, timeout=2.0)
        wait_until((tmp_path / "runs").exists, "the tool")
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(snakepit.WorkerTimeout):
            future.result(10)
        assert time.monotonic() - began < 3.5
        assert runs(tmp_path) == 2
