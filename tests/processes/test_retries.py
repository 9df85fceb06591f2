"""A call that a crash cut off runs once more, if its tool says that it may, and nobody has seen anything of it."""

from __future__ import annotations

import os
import pathlib
import signal
import time

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit import RetryPolicy

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

class Busy(Exception):
    pass

def refuse(folder, times, error):
    runs = pathlib.Path(folder) / "runs"
    with runs.open("a") as file:
        file.write("run\\n")
    if len(runs.read_text().split()) <= times:
        raise {"busy": Busy, "reset": ConnectionResetError, "value": ValueError}[error]("not now")
    return len(runs.read_text().split())

@tool(idempotent=True)
def refusing(folder: str, times: int, error: str = "reset") -> int:
    return refuse(folder, times, error)

@tool
def refusing_once(folder: str, times: int, error: str = "reset") -> int:
    return refuse(folder, times, error)

@tool(idempotent=True)
def refusing_chunks(folder: str, before: int):
    for number in range(before):
        yield {"n": number}
    refuse(folder, 1, "reset")
    yield {"n": "last"}

@tool(idempotent=True)
async def asks(folder: str) -> int:
    return refuse(folder, 1, "reset")

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
    """How often tools were run there; the file is there a moment before its first line is."""
    file = folder / "runs"
    return len(file.read_text().split()) if file.exists() else 0


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
        wait_until(lambda: runs(tmp_path), "the tool")
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
        wait_until(lambda: runs(tmp_path), "the tool")
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(snakepit.WorkerTimeout):
            future.result(10)
        assert time.monotonic() - began < 3.5
        assert runs(tmp_path) == 2


def test_as_often_as_the_pool_allows(tools: str, tmp_path: pathlib.Path) -> None:
    """`attempts` counts the first run too; what the metadata and the error tell grows with them."""
    with snakepit.Pool(tools, size=1, retry=RetryPolicy(attempts=4)) as pool:
        seen: list[dict[str, object]] = []
        pool.execute("again", {"folder": str(tmp_path), "times": 3}, on_metadata=seen.append)
        assert (seen[0]["runs"], runs(tmp_path), pool.stats().retried) == (4, 4, 3)
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            pool.execute("again", {"folder": str(tmp_path), "times": 100})
        assert (caught.value.details["runs"], runs(tmp_path)) == (4, 8)


def test_as_a_call_asks_for(tools: str, tmp_path: pathlib.Path) -> None:
    """A call's own `retry` goes before the pool's, on `execute`, `submit`, `stream` and in `tools`; it cannot make a tool idempotent."""
    with snakepit.Pool(tools, size=1) as pool:
        for call in (
            lambda: pool.execute("again", {"folder": str(tmp_path), "times": 100}, retry=False),
            lambda: pool.submit("again", {"folder": str(tmp_path), "times": 100}, retry={"crashes": False}).result(),
            lambda: list(pool.stream("again", {"folder": str(tmp_path), "times": 100}, retry=RetryPolicy(attempts=1))),
            lambda: pool.tools.once.options(retry={"attempts": 5})(str(tmp_path), 100),
        ):
            before = pool.stats().submitted
            with pytest.raises(snakepit.WorkerCrashed):
                call()
            assert runs(tmp_path) == pool.stats().submitted == before + 1
        pool.execute("again", {"folder": str(tmp_path), "times": 6}, retry={"attempts": 3})
        assert pool.stats().retried == 2
        with pytest.raises(snakepit.InvalidParameter, match="retry.attempts is 0"):
            pool.execute("again", {"folder": str(tmp_path), "times": 0}, retry={"attempts": 0})


def test_errors_that_the_user_has_named(tools: str, tmp_path: pathlib.Path) -> None:
    """A tool that raised one of them runs once more, if it is idempotent; the worker lives on, and others are told at once."""
    policy = RetryPolicy(attempts=3, errors=[ConnectionResetError, "Busy"])
    with snakepit.Pool(tools, size=1, retry=policy) as pool:
        seen: list[dict[str, object]] = []
        folder = {"folder": str(tmp_path)}
        assert pool.execute("refusing", {**folder, "times": 2}, on_metadata=seen.append) == 3
        assert seen[0]["retried"] == {"worker_id": "worker-1", "cause": "tool 'refusing' raised ConnectionResetError: not now"}
        assert pool.execute("refusing", {**folder, "times": 4, "error": "busy"}) == 5
        for tool, times, error, count in (("refusing", 100, "busy", 3), ("refusing", 100, "value", 1), ("refusing_once", 100, "reset", 1)):
            before = runs(tmp_path)
            with pytest.raises(snakepit.ToolError, match="not now"):
                pool.execute(tool, {**folder, "times": times, "error": error})
            assert runs(tmp_path) - before == count
        assert (pool.stats().restarts, pool.stats().retried, pool.stats().failed, pool.stats().succeeded) == (0, 5, 3, 2)


def test_errors_of_streams(tools: str, tmp_path: pathlib.Path) -> None:
    """A stream begins again only if nothing of it has been seen."""
    with snakepit.Pool(tools, size=1, retry={"errors": [ConnectionResetError]}) as pool:
        chunks = [chunk["n"] for chunk in pool.stream("refusing_chunks", {"folder": str(tmp_path), "before": 0}) if "n" in chunk]
        assert (chunks, runs(tmp_path)) == (["last"], 2)
        (tmp_path / "runs").unlink()
        with pytest.raises(snakepit.ToolError):
            list(pool.stream("refusing_chunks", {"folder": str(tmp_path), "before": 1}))
        assert runs(tmp_path) == 1


def test_pauses_and_the_deadline(tools: str, tmp_path: pathlib.Path) -> None:
    """Between two runs the worker serves others; a retry for which no time is left is not waited for."""
    policy = RetryPolicy(attempts=2, errors=[ConnectionResetError], first_delay=0.5, jitter=0.0)
    with snakepit.Pool(tools, size=1, retry=policy) as pool:
        folder = {"folder": str(tmp_path)}
        began = time.monotonic()
        waiting = pool.submit("refusing", {**folder, "times": 1})
        wait_until(lambda: pool.stats().retried == 1, "the pause")
        assert pool.stats().running == pool.stats().queued == 0
        other = tmp_path / "other"
        other.mkdir()
        pool.execute("again", {"folder": str(other), "times": 0})
        assert time.monotonic() - began < 0.5
        assert waiting.result(10) == 2
        assert time.monotonic() - began >= 0.5
        began = time.monotonic()
        with pytest.raises(snakepit.ToolError, match="not now"):
            pool.execute("refusing", {**folder, "times": 100}, timeout=0.4)
        assert time.monotonic() - began < 0.4


def test_a_pause_ends_with_its_call(tools: str, tmp_path: pathlib.Path) -> None:
    """A call that is cancelled, or cut off by the pool's end, while it waits for its next run, is over at once."""
    policy = RetryPolicy(errors=[ConnectionResetError], first_delay=600.0, max_delay=600.0)
    pool = snakepit.Pool(tools, size=1, retry=policy, queue_timeout=0.2)
    first, second = (pool.submit("refusing", {"folder": str(tmp_path), "times": 100}) for _ in range(2))
    wait_until(lambda: pool.stats().retried == 2, "the pauses")
    time.sleep(0.3)  # longer than it may wait for a worker, which it does not now
    assert not second.done()
    first.cancel()
    wait_until(lambda: pool.stats().cancelled == 1, "the cancel")
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 5
    assert isinstance(second.exception(0), snakepit.PoolClosed)
    assert runs(tmp_path) == 2


async def test_the_async_face(tools: str, tmp_path: pathlib.Path) -> None:
    """The same there, with async tools too."""
    async with snakepit.AsyncPool(tools, size=1, retry={"errors": [ConnectionResetError]}) as pool:
        assert await pool.execute("asks", {"folder": str(tmp_path)}) == 2
        with pytest.raises(snakepit.ToolError):
            await pool.execute("refusing", {"folder": str(tmp_path), "times": 100}, retry=False)
