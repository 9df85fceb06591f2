"""How a pool starts: its workers together, its caller with the first of them, or with the reason why there is none."""

from __future__ import annotations

import asyncio
import pathlib
import sys
import threading
import time

import psutil
import pytest

import snakepit
from pool_helpers import TOOLS, Marks, all_ready, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def starts(marks: Marks) -> dict[str, str]:
    return {"POOL_STARTS_FOLDER": marks.text}


def test_making_a_pool_starts_nothing(marks: Marks) -> None:
    """Neither a process nor a thread comes of making a pool; closing one that never started is fine."""
    before = threading.active_count()
    pool = snakepit.Pool(TOOLS, size=2)
    assert threading.active_count() == before
    assert pool.workers() == ()
    pool.close()
    with pytest.raises(snakepit.PoolClosed):
        pool.execute("pid")


def test_workers_start_in_parallel(marks: Marks) -> None:
    """Two workers that each get ready only when both are getting ready do get ready."""
    with snakepit.Pool("pool_starts:Together", size=2, env=starts(marks), start_timeout=20.0) as pool:
        all_ready(pool)
        assert len([name for name in marks.said if name.startswith("initializing-")]) == 2


def test_returns_with_the_first_ready_worker(marks: Marks) -> None:
    """`with` returns, and calls are served, while the second worker is still getting ready."""
    with snakepit.Pool("pool_starts:OneFirst", size=2, env=starts(marks)) as pool:
        assert pool.execute("pid") > 0
        marks.wait("second")
        assert pool.stats().workers_ready == 1
        assert sorted(handle.info().state for handle in pool.workers()) == ["ready", "starting"]
        marks.say("go")
        all_ready(pool)


def test_start_is_explicit_too() -> None:
    """`start()` starts the pool, twice is fine, and `with` around a started pool is too."""
    pool = snakepit.Pool(TOOLS, size=1)
    pool.start()
    pid = pool.execute("pid")
    pool.start()
    with pool:
        assert pool.execute("pid") == pid


def test_an_adapter_that_does_not_import(tmp_path: pathlib.Path) -> None:
    """The error shows the import's own traceback, down to the user's line."""
    broken = tmp_path / "broken_tools.py"
    broken.write_text("import math\n\nscale = math.nosuch\n")
    with pytest.raises(snakepit.AdapterError, match="nosuch") as caught:
        snakepit.Pool(str(broken), size=2).start()
    assert "scale = math.nosuch" in str(caught.value.__cause__)
    assert caught.value.code == "adapter_error"


def test_an_adapter_that_is_not_there() -> None:
    """A misspelt module or class is named, with near names."""
    with pytest.raises(snakepit.AdapterError, match="no module named 'pool_toolz'(.|\n)*pool_tools"):
        snakepit.Pool("pool_toolz:PoolTools", size=1).start()
    with pytest.raises(snakepit.AdapterError, match="no 'PoolTool' in(.|\n)*PoolTools"):
        snakepit.Pool("pool_tools:PoolTool", size=1).start()


def test_an_adapter_without_tools(tmp_path: pathlib.Path) -> None:
    """An adapter that offers nothing is an error, not a pool that can do nothing."""
    empty = tmp_path / "empty_tools.py"
    empty.write_text("def add(a, b):\n    return a + b\n")
    with pytest.raises(snakepit.AdapterError, match="tool"):
        snakepit.Pool(str(empty), size=1).start()


def test_an_initialize_that_raises() -> None:
    """What `initialize` raises is told with its traceback."""
    with pytest.raises(snakepit.AdapterError, match="OSError: the model file is not there") as caught:
        snakepit.Pool("pool_starts:Fails", size=2).start()
    assert 'raise OSError("the model file is not there")' in str(caught.value.__cause__)


def test_a_crash_at_import(tmp_path: pathlib.Path) -> None:
    """A worker that ends while it imports the adapter: how it ended, and its last lines of stderr."""
    deadly = tmp_path / "deadly_tools.py"
    deadly.write_text("import os, sys\nprint('about to fall', file=sys.stderr, flush=True)\nos._exit(3)\n")
    with pytest.raises(snakepit.PoolStartFailed, match="exited with code 3(.|\n)*about to fall") as caught:
        snakepit.Pool(str(deadly), size=1).start()
    assert "about to fall" in caught.value.details["stderr"]


def test_a_segmentation_fault_at_import(tmp_path: pathlib.Path) -> None:
    """The signal is named, and the last lines hold faulthandler's traceback."""
    deadly = tmp_path / "faulty_tools.py"
    deadly.write_text("import ctypes\nctypes.string_at(0)\n")
    with pytest.raises(snakepit.PoolStartFailed, match="killed by SIGSEGV") as caught:
        snakepit.Pool(str(deadly), size=1).start()
    assert any("faulty_tools.py" in line for line in caught.value.details["stderr"])


def test_start_timeout(marks: Marks) -> None:
    """A worker that does not get ready in time: the bound, the hint and what it last said."""
    with pytest.raises(snakepit.PoolStartFailed, match=r"not ready within 1.5 s(.|\n)*still loading the model") as caught:
        snakepit.Pool("pool_starts:Never", size=1, env=starts(marks), start_timeout=1.5).start()
    assert "start_timeout" in caught.value.hint
    assert "initializing" in marks.said


def test_an_interpreter_that_cannot_run(tmp_path: pathlib.Path) -> None:
    """`python=` that is no program, or no Python, is an error that names it and what it said."""
    text = tmp_path / "python"
    with pytest.raises(snakepit.ConfigurationError, match=f"{text}', which does not exist or cannot be run"):
        snakepit.Pool(TOOLS, size=2, python=str(text))
    for content, problem in (
        ("not a program", "cannot be run: Exec format error"),
        ("#!/bin/sh\necho no such thing >&2; exit 3\n", "is no Python that answers: no such thing"),
        ('#!/bin/sh\necho \'{"python": [3, 7, 1], "implementation": "CPython"}\'\n', "is CPython 3.7.1"),
        ('#!/bin/sh\necho \'{"python": [3, 10, 14], "implementation": "PyPy"}\'\n', "is PyPy 3.10.14"),
    ):
        text.write_text(content)
        text.chmod(0o755)
        with pytest.raises(snakepit.ConfigurationError, match=problem):
            snakepit.Pool(TOOLS, size=2, python=str(text)).start()


def test_more_failures_than_patience(tmp_path: pathlib.Path) -> None:
    """A large pool none of whose workers starts, with fewer restarts allowed than it has workers, fails and does not wait."""
    deadly = tmp_path / "deadly_tools.py"
    deadly.write_text("import os\nos._exit(3)\n")
    with pytest.raises(snakepit.PoolStartFailed, match="exited with code 3"):
        snakepit.Pool(str(deadly), size=4, max_restarts=1).start()


def test_one_worker_that_fails_at_first_does_not_fail_the_start(marks: Marks) -> None:
    """While another worker is still getting ready, one that keeps failing does not end the start."""
    with snakepit.Pool("pool_flaky:SecondIsFine", size=2, env=starts(marks), max_restarts=50) as pool:
        assert pool.execute("pid") > 0


def test_a_failed_start_can_be_tried_again(tmp_path: pathlib.Path) -> None:
    """After a start that failed the pool is as it was before: mended, it starts."""
    tools = tmp_path / "later_tools.py"
    tools.write_text("raise RuntimeError('not yet')\n")
    pool = snakepit.Pool(str(tools), size=1)
    with pytest.raises(snakepit.AdapterError, match="not yet"):
        pool.start()
    tools.write_text("from snakepit_bridge import tool\n\n@tool\ndef one():\n    return 1\n")
    with pool:
        assert pool.execute("one") == 1


async def test_a_failed_start_of_the_async_face(tmp_path: pathlib.Path) -> None:
    """The same on the async face; and all who waited for the start get the reason."""
    tools = tmp_path / "later_tools.py"
    tools.write_text("raise RuntimeError('not yet')\n")
    pool = snakepit.AsyncPool(str(tools), size=1)
    ends = await asyncio.gather(*(pool.execute("one") for _ in range(3)), return_exceptions=True)
    assert [type(end) for end in ends] == [snakepit.AdapterError] * 3
    tools.write_text("from snakepit_bridge import tool\n\n@tool\ndef one():\n    return 1\n")
    async with pool:
        assert await pool.execute("one") == 1


def test_close_while_it_starts(marks: Marks) -> None:
    """A pool that is closed from another thread while it starts: `start` raises PoolClosed at once, and nothing is left."""
    pool = snakepit.Pool("pool_starts:Never", size=2, env=starts(marks))
    ends: list[BaseException] = []

    def start() -> None:
        try:
            pool.start()
        except snakepit.SnakepitError as error:
            ends.append(error)

    thread = threading.Thread(target=start)
    thread.start()
    marks.wait("initializing")
    began = time.monotonic()
    pool.close()
    thread.join(20)
    assert not thread.is_alive()
    assert time.monotonic() - began < 10
    assert [type(end) for end in ends] == [snakepit.PoolClosed]


async def test_close_while_the_async_face_starts(marks: Marks) -> None:
    """The same on the async face."""
    pool = snakepit.AsyncPool("pool_starts:Never", size=2, env=starts(marks))
    starting = asyncio.create_task(pool.start())
    await asyncio.to_thread(marks.wait, "initializing")
    await pool.close()
    with pytest.raises(snakepit.PoolClosed):
        await starting


async def test_a_cancelled_start(marks: Marks) -> None:
    """`async with` that is cancelled while the workers get ready leaves nothing."""

    async def use() -> None:
        async with snakepit.AsyncPool("pool_starts:Never", size=1, env=starts(marks)):
            raise AssertionError("it cannot have started")

    user = asyncio.create_task(use())
    await asyncio.to_thread(marks.wait, "initializing")
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    assert psutil.Process().children() == []
    assert {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("snakepit-")} == set()


def test_a_pool_within_a_worker_that_imports(tmp_path: pathlib.Path) -> None:
    """A script that starts a Pool without a main guard: the workers that import it say which two lines to add."""
    script = tmp_path / "unguarded.py"
    script.write_text(
        "import snakepit\nfrom snakepit_bridge import tool\n\n@tool\ndef one():\n    return 1\n\n"
        "with snakepit.Pool([one], size=1) as pool:\n    print(pool.execute('one'))\n"
    )
    with pytest.raises(snakepit.AdapterError, match='if __name__ == "__main__":'):
        snakepit.Pool(str(script), size=1).start()


def test_the_interpreter_is_this_one_by_default() -> None:
    """Workers run on the host's interpreter, and import what it can import."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        assert pool.execute("settings_seen")["executable"] == sys.executable
        assert pool.workers()[0].info().executable == sys.executable


def test_a_pool_inside_a_running_loop() -> None:
    """The sync pool works where an asyncio loop runs already, as in a notebook."""

    async def main() -> int:
        with snakepit.Pool(TOOLS, size=1) as pool:
            assert [chunk["n"] for chunk in pool.stream("count", {"n": 2}) if not chunk["is_final"]] == [0, 1]
            return pool.execute("add", {"a": 1})

    assert asyncio.run(main()) == 2


def test_two_pools_share_one_loop_thread() -> None:
    """Pools of one process live on one loop thread, which ends with the last of them."""
    with snakepit.Pool(TOOLS, size=1) as one, snakepit.Pool(TOOLS, size=1) as other:
        names = [thread.name for thread in threading.enumerate() if thread.name == "snakepit-loop"]
        assert len(names) == 1
        assert one.execute("pid") != other.execute("pid")
    wait_until(lambda: "snakepit-loop" not in {thread.name for thread in threading.enumerate()}, "the loop thread's end")
