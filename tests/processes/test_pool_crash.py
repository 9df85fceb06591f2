"""A worker that dies under a stream or a call: what was delivered stays, the error comes fast and says how."""

from __future__ import annotations

import asyncio
import os
import pathlib
import signal
import threading
import time

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def test_kill_in_the_middle_of_a_stream(marks: Marks) -> None:
    """`kill -9`: delivered chunks stay delivered, the error names SIGKILL and how far it was, the next call succeeds."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        got = []
        with pytest.raises(snakepit.WorkerCrashed, match="SIGKILL") as caught:
            for chunk in pool.stream("gap", {"folder": marks.text, "before": 500, "after": 1}):
                got.append(chunk["data"])
                if len(got) == 500:
                    os.kill(pool.workers()[0].info().pid, signal.SIGKILL)
        assert got == list(range(500))
        assert caught.value.details["chunks"] == 500
        assert pool.execute("add", {"a": 1}) == 2


def test_the_error_comes_within_a_second(marks: Marks) -> None:
    """From the kill to the error in the reader's hands it takes less than a second."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        stream = pool.stream("gap", {"folder": marks.text, "before": 2000, "after": 1})
        assert [next(stream)["data"] for _ in range(2000)] == list(range(2000))
        (handle,) = pool.workers()
        pid = handle.info().pid
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            next(stream)
        assert time.monotonic() - began < 1.0
        error = caught.value
        assert f"worker-1 (pid {pid}) died while it ran 'gap': killed by SIGKILL" in str(error)
        assert (error.details["signal"], error.details["exit_code"], error.details["chunks"]) == ("SIGKILL", None, 2000)
        assert pool.execute("add", {"a": 1}) == 2


async def test_the_same_on_the_async_face(marks: Marks) -> None:
    """The async face delivers what came, then the error."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        got = []
        with pytest.raises(snakepit.WorkerCrashed, match="SIGKILL"):
            async for chunk in pool.stream("gap", {"folder": marks.text, "before": 1500, "after": 1}):
                got.append(chunk["data"])
                if len(got) == 1500:
                    os.kill(pool.workers()[0].info().pid, signal.SIGKILL)
        assert got == list(range(1500))
        assert await asyncio.wait_for(pool.execute("add", {"a": 1}), 10) == 2


def test_chunks_that_came_before_the_crash_are_read_after_it(marks: Marks) -> None:
    """Chunks that the host had received when the worker died are read all the same, and then the error."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        stream = pool.stream("leave_after", {"folder": marks.text, "chunks": 1000})
        assert next(stream)["data"] == 0
        while pool.stats().chunks < 1000:
            pass
        marks.say("go")
        while pool.stats().crashed == 0:
            pass
        got = [0]
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            for chunk in stream:
                got.append(chunk["data"])  # noqa: PERF401
        assert got == list(range(1000))
        assert caught.value.details["signal"] == "SIGSEGV"


def test_the_other_stream_goes_on(marks: Marks) -> None:
    """Two streams on two workers, one is killed: the other is read to its end."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        all_ready(pool)
        streams, busy = [], []
        for _ in range(2):
            streams.append(pool.stream("gap", {"folder": marks.text, "before": 5, "after": 5}))
            assert [next(streams[-1])["data"] for _ in range(5)] == list(range(5))
            busy += [handle for handle in pool.workers() if handle.info().running and handle.id not in {one.id for one in busy}]
        os.kill(busy[0].info().pid, signal.SIGKILL)
        with pytest.raises(snakepit.WorkerCrashed) as caught:
            next(streams[0])
        assert caught.value.details["worker_id"] == busy[0].id
        marks.say("go")
        assert [chunk.get("data") for chunk in streams[1]] == [5, 6, 7, 8, 9, None]


def test_an_exit_code_is_named() -> None:
    """`os._exit(3)` in a tool: the error names the code and shows what was last said on stderr."""
    with snakepit.Pool(TOOLS, size=1) as pool, pytest.raises(snakepit.WorkerCrashed) as caught:
        pool.execute("leave", {"code": 3, "words": "it was\nme"})
    assert "exited with code 3" in str(caught.value)
    assert "worker-1 stderr: me" in str(caught.value)
    assert caught.value.details["stderr"][-2:] == ("it was", "me")


def test_a_fault_names_the_line(marks: Marks) -> None:
    """A segmentation fault: the error names SIGSEGV, and the last lines hold faulthandler's stack with the tool in it."""
    marks.say("go")
    with snakepit.Pool(TOOLS, size=1) as pool, pytest.raises(snakepit.WorkerCrashed, match="SIGSEGV") as caught:
        list(pool.stream("leave_after", {"folder": marks.text, "chunks": 0}))
    assert any("pool_tools.py" in line for line in caught.value.details["stderr"])


def test_two_hundred_abandoned_streams(marks: Marks) -> None:
    """Two hundred streams that are left midway, in a row: no slot is lost, the worker is the same, and no thread is left."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        next(iter(pool.stream("endless")))  # the first cancel starts the thread that interrupts
        before, threads, theirs = pool.execute("pid"), threading.active_count(), pool.execute("threads")
        for number in range(200):
            for chunk in pool.stream("endless"):
                if chunk["data"] == number % 7:
                    break
        assert pool.execute("pid") == before
        stats = pool.stats()
        assert (stats.cancelled, stats.killed, stats.restarts) == (201, 0, 0)
        assert (stats.running, stats.queued) == (0, 0)
        assert (threading.active_count(), pool.execute("threads")) == (threads, theirs)


async def test_two_hundred_abandoned_streams_of_the_async_face() -> None:
    """The same on the async face: no more tasks than before."""
    async with snakepit.AsyncPool(TOOLS, size=1) as pool:
        before, tasks = await pool.execute("pid"), len(asyncio.all_tasks())
        for number in range(200):
            async for chunk in pool.stream("endless"):
                if chunk["data"] == number % 7:
                    break
        assert await pool.execute("pid") == before
        assert len(asyncio.all_tasks()) == tasks
        assert pool.stats().cancelled == 200
