"""Closing leaves nothing, whatever runs: no process, zombie, thread, task, descriptor, socket or file.

`leaves_nothing` looks at all of these after each test; what these tests add is when and how they close.
"""

from __future__ import annotations

import asyncio
import gc
import pathlib
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import psutil
import pytest

import snakepit
from pool_helpers import ASYNC_TOOLS, TOOLS, Marks, all_ready, endpoints, finished, is_alive, script, wait_until
from worker_faces import adapter

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]


#: Scripts that end their pool in a signal handler: (folder, how). "lines" raises the signal at each line of what a caller's thread
#: runs in these files, once for each, with a pool of its own.
_IN_A_HANDLER = {
    "start": """
import signal, sys
import psutil, snakepit
pool = snakepit.Pool("pool_starts:Never", size=1, close_timeout=0.5, worker_output="discard")
signal.signal(signal.SIGTERM, lambda *_: (getattr(pool, sys.argv[2])(), print("handled")))
try:
    pool.start()
except snakepit.PoolClosed as error:
    print(type(error).__name__)
print(len(psutil.Process().children()))
""",
    "lines": """
import faulthandler, signal, sys
import psutil, snakepit
from snakepit.testing import MemoryPool
faulthandler.dump_traceback_later(45, exit=True)
FILES = ("_api/pool.py", "_api/loop_thread.py", "_api/stream.py", "_api/open_pools.py", "_api/closing.py")
seen, armed = set(), False

def trace(frame, event, _):
    global armed
    if not frame.f_code.co_filename.endswith(FILES) or frame.f_code.co_name in ("_run", "_finish", "_run_posted"):
        return None
    line = frame.f_code.co_filename, frame.f_lineno
    if armed and event == "line" and line not in seen:
        seen.add(line)
        armed = False
        signal.raise_signal(signal.SIGUSR1)
    return trace

def use(pool):
    pool.start()
    pool.execute("ping")
    for chunk in pool.stream("progress_stream", {"count": 3, "delay": 0.01}):
        pass
    pool.close()

def end(*_):
    pool.close() if sys.argv[2] == "close" else pool.drain(0.2)

signal.signal(signal.SIGUSR1, end)
while not armed:  # else every line has had its turn
    pool, armed = MemoryPool("snakepit_bridge.adapters.showcase:ShowcaseAdapter", size=1, worker_output="discard"), True
    sys.settrace(trace)
    try:
        use(pool)
    except snakepit.PoolClosed:
        pass
    sys.settrace(None)
    pool.close()
    assert pool.workers() == () and repr(pool).endswith("closed>"), seen
print(len(seen))
""",
}


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def assert_gone(pool: snakepit.Pool | snakepit.AsyncPool) -> None:
    """Right after `close` has returned, not some time later."""
    assert psutil.Process().children() == []
    assert pool.workers() == ()


def test_close_twice() -> None:
    """The second close does nothing; calls on a closed pool raise PoolClosed."""
    pool = snakepit.Pool(TOOLS, size=2)
    pool.start()
    pool.close()
    assert_gone(pool)
    pool.close()
    for call in (lambda: pool.execute("pid"), lambda: pool.stream("endless"), lambda: pool.submit("pid"), pool.start, pool.tool_specs):
        with pytest.raises(snakepit.PoolClosed, match="the pool is closed"):
            call()
    assert repr(pool) == "<Pool of 2, closed>"


def test_close_while_streams_run(marks: Marks) -> None:
    """Streams that run get PoolClosed at their next chunk; their tools run their `finally`."""
    pool = snakepit.Pool(TOOLS, size=2)
    streams = [pool.stream("hold_stream", {"folder": marks.text}), pool.stream("endless")]
    for stream in streams:
        next(stream)
    marks.wait("started")
    pool.close()
    assert_gone(pool)
    assert "left" in marks.said
    for stream in streams:
        with pytest.raises(snakepit.PoolClosed):
            list(stream)


def test_what_was_read_ahead_is_kept(marks: Marks) -> None:
    """Chunks that had come before the close are still read, and then PoolClosed."""
    pool = snakepit.Pool(TOOLS, size=1)
    stream = pool.stream("gap", {"folder": marks.text, "before": 1000, "after": 0})
    wait_until(lambda: pool.stats().chunks == 1000, "all chunks")
    pool.close()
    got = []
    with pytest.raises(snakepit.PoolClosed):
        for chunk in stream:
            got.append(chunk["data"])  # noqa: PERF401
    assert got == list(range(1000))


def test_close_while_a_caller_waits(marks: Marks) -> None:
    """A thread that waits for a call gets PoolClosed, and so does a future; a call in the queue too."""
    pool = snakepit.Pool(TOOLS, size=1)
    future = pool.submit("hold", {"folder": marks.text})
    marks.wait("started")
    waiting = pool.submit("pid")
    ends: list[BaseException] = []

    def call() -> None:
        try:
            pool.execute("pid")
        except snakepit.SnakepitError as error:
            ends.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    wait_until(lambda: pool.stats().queued == 2, "the waiting call")
    pool.close()
    thread.join(10)
    ends += [future.exception(timeout=10), waiting.exception(timeout=10)]
    assert [type(end) for end in ends] == [snakepit.PoolClosed] * 3


def test_leaving_with_lets_unary_calls_end(marks: Marks) -> None:
    """The end of a `with` block waits for submitted calls; an exception in the block does not."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        future = pool.submit("until", {"folder": marks.text, "name": "go"})
        marks.wait("started")
        timer = threading.Timer(0.1, marks.say, ["go"])
        timer.start()
    timer.join()
    assert future.result(timeout=0) == "go"
    with pytest.raises(KeyError), snakepit.Pool(TOOLS, size=1) as pool:
        future = pool.submit("hold", {"folder": marks.text})
        raise KeyError("mine")
    assert isinstance(future.exception(timeout=0), snakepit.PoolClosed)


def test_close_from_another_thread(marks: Marks) -> None:
    """Any thread may close a pool while another reads from it."""
    pool = snakepit.Pool(TOOLS, size=1)
    stream = pool.stream("hold_stream", {"folder": marks.text})
    next(stream)
    closer = threading.Thread(target=pool.close)
    closer.start()
    with pytest.raises(snakepit.PoolClosed):
        next(stream)
    closer.join(10)
    assert not closer.is_alive()
    assert_gone(pool)


def test_close_by_two_threads_at_once() -> None:
    """Threads that close together all return when it is closed, and nothing is left."""
    pool = snakepit.Pool(TOOLS, size=2)
    pool.start()
    barrier, left = threading.Barrier(4), list[snakepit.WorkerHandle]()

    def close() -> None:
        barrier.wait()
        pool.close()
        left.extend(pool.workers())

    threads = [threading.Thread(target=close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert left == []
    assert_gone(pool)


def test_close_while_another_thread_leaves_with(marks: Marks) -> None:
    """The end of a `with` block lets calls end; a close that comes meanwhile does not."""
    ends: list[BaseException | None] = []

    def use() -> None:
        with pool:
            future = pool.submit("hold", {"folder": marks.text}, timeout=None)
        ends.append(future.exception(0))

    pool = snakepit.Pool(TOOLS, size=1)
    thread = threading.Thread(target=use)
    thread.start()
    marks.wait("started")
    pool.close()
    thread.join(10)
    assert type(ends[0]) is snakepit.PoolClosed
    assert_gone(pool)


def test_close_in_a_signal_handler_while_it_closes(marks: Marks) -> None:
    """A handler that closes the pool whose close it interrupts does not wait for itself."""
    pool = snakepit.Pool("pool_starts:Slow", size=1, env={"POOL_STARTS_FOLDER": marks.text, "POOL_STARTS_CLEANUP": "0.5"})
    pool.start()
    before = signal.signal(signal.SIGUSR2, lambda _number, _frame: (pool.close(), marks.say("handled")))
    try:
        threading.Timer(0.2, signal.raise_signal, [signal.SIGUSR2]).start()
        began = time.monotonic()
        pool.close()
        assert time.monotonic() - began < 4
    finally:
        signal.signal(signal.SIGUSR2, before)
    wait_until(lambda: "handled" in marks.said, "the handler")
    assert_gone(pool)


@pytest.mark.parametrize("what", ["close", "drain"])
def test_in_a_signal_handler_while_it_starts(what: str, marks: Marks) -> None:
    """The handler returns at once, and `start`, which it has interrupted, raises PoolClosed when everything has ended."""
    host = script(_IN_A_HANDLER["start"], marks.text, what, POOL_STARTS_FOLDER=marks.text)
    marks.wait("initializing")
    host.send_signal(signal.SIGTERM)
    code, out, err = finished(host, timeout=15)
    assert (code, out.split(), err) == (0, ["handled", "PoolClosed", "0"], "")


@pytest.mark.parametrize("what", ["close", "drain"])
def test_in_a_signal_handler_between_any_two_lines(what: str, marks: Marks) -> None:
    """Of start, of calls, of streams and of close: the handler's close ends the pool, and what it has interrupted raises PoolClosed."""
    host = script(_IN_A_HANDLER["lines"], marks.text, what)
    code, out, err = finished(host, timeout=60)
    assert (code, err) == (0, "")
    assert int(out) > 20, "so many lines were interrupted"


def test_close_from_the_loops_own_thread() -> None:
    """A future's callback that closes the pool gets an error, not a deadlock; and the pool can be closed elsewhere after it."""
    pool = snakepit.Pool(TOOLS, size=1)
    ends: list[BaseException] = []

    def close(_future: object) -> None:
        try:
            pool.close()
        except snakepit.PoolError as error:
            ends.append(error)

    pool.submit("pid").add_done_callback(close)
    wait_until(lambda: ends, "the callback")
    assert (ends[0].code, type(ends[0])) == ("would_deadlock", snakepit.PoolError)  # type: ignore[attr-defined]
    assert pool.execute("add", {"a": 1}) == 2
    pool.close()
    assert_gone(pool)


def test_a_sync_call_from_the_loops_own_thread() -> None:
    """A blocking call from a future's callback, which runs on the loop's thread, raises instead of waiting for ever."""
    ends: list[BaseException] = []
    with snakepit.Pool(TOOLS, size=1) as pool:

        def call(_future: object) -> None:
            for attempt in (lambda: pool.execute("pid"), lambda: pool.stream("endless"), lambda: pool.submit("pid").result()):
                try:
                    attempt()
                except snakepit.PoolError as error:
                    ends.append(error)

        pool.submit("pid").add_done_callback(call)
        wait_until(lambda: len(ends) == 3, "the callback")
        assert {error.code for error in ends} == {"would_deadlock"}  # type: ignore[attr-defined]
        assert pool.execute("add", {"a": 1}) == 2


def test_a_callback_may_submit() -> None:
    """The next step of a chain, which waits for nothing there."""
    over = threading.Event()
    found: list[int] = []
    with snakepit.Pool(TOOLS, size=1) as pool:

        def then(future: snakepit.CallFuture) -> None:
            found.append(future.result())
            if len(found) < 100:
                pool.submit("add", {"a": found[-1]}).add_done_callback(then)
            else:
                over.set()

        pool.submit("add", {"a": 0}).add_done_callback(then)
        assert over.wait(30)
    assert found == list(range(1, 101))


def test_a_pool_that_is_started_from_the_loops_own_thread() -> None:
    """Neither the pool that is just starting (its worker prints, and `worker_output` calls it) nor another one is waited for."""
    ends: list[str] = []

    def call(*_line: str) -> None:
        for target in (pool, snakepit.Pool(TOOLS, size=1)):
            try:
                target.execute("pid")
            except snakepit.PoolError as error:
                ends.append(error.code)

    pool = snakepit.Pool(adapter("printing", "Printing"), size=1, worker_output=call)
    pool.start()
    wait_until(lambda: ends, "the callback")
    pool.close()
    assert set(ends) == {"would_deadlock"}
    assert_gone(pool)


def test_cleanup_runs_and_is_bounded(marks: Marks) -> None:
    """An adapter's `cleanup` runs at close; one that takes longer than `close_timeout` is ended."""
    env = {"POOL_STARTS_FOLDER": marks.text}
    with snakepit.Pool("pool_starts:Slow", size=1, env=env):
        pass
    assert "cleaned" in marks.said
    (pathlib.Path(marks.text) / "cleaned").unlink()
    pool = snakepit.Pool("pool_starts:Slow", size=1, env={**env, "POOL_STARTS_CLEANUP": "600"}, close_timeout=0.3)
    pool.start()
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 5
    assert "cleaned" not in marks.said
    assert_gone(pool)


def test_close_while_a_tool_swallows_everything(marks: Marks) -> None:
    """A tool that cannot be interrupted does not hold the close up beyond `close_timeout` and the kill."""
    pool = snakepit.Pool(TOOLS, size=1, close_timeout=0.5)
    future = pool.submit("swallow", {"folder": marks.text})
    marks.wait("started")
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 5
    assert isinstance(future.exception(), snakepit.PoolClosed)
    assert_gone(pool)


def test_close_while_a_worker_restarts() -> None:
    """A pool that is closed while it replaces a worker leaves neither the old nor the new one."""
    for _ in range(2):
        pool = snakepit.Pool(TOOLS, size=2)
        pool.start()
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("die")
        pool.close()
        assert_gone(pool)


def test_a_process_that_a_tool_started_ends_too(marks: Marks) -> None:
    """A subprocess that a tool still waits for goes with its worker."""
    pool = snakepit.Pool(TOOLS, size=1)
    pool.submit("hold", {"folder": marks.text, "kind": "subprocess.run"})
    marks.wait("started")
    children = wait_until(lambda: [item for item in psutil.Process().children(recursive=True) if item.name() == "sleep"], "the child")
    pool.close()
    wait_until(lambda: not any(is_alive(child.pid) for child in children), "the child's end")


def test_a_dropped_pool() -> None:
    """A pool whose last reference goes closes itself."""
    pool = snakepit.Pool(TOOLS, size=1)
    pid = pool.execute("pid")
    del pool
    gc.collect()
    wait_until(lambda: not is_alive(pid), "the worker's end")


async def test_a_dropped_async_pool() -> None:
    """The same on the async face, while its loop goes on."""
    pool = snakepit.AsyncPool(TOOLS, size=1)
    pid = await pool.execute("pid")
    del pool
    gc.collect()
    loop = asyncio.get_running_loop()

    def closed() -> bool:
        return not is_alive(pid) and "snakepit-close" not in {task.get_name() for task in asyncio.all_tasks(loop)}

    await asyncio.to_thread(wait_until, closed, "the end of worker and closing task")


async def test_the_async_face_while_calls_run(marks: Marks) -> None:
    """Streams, calls and submitted tasks of the async face get PoolClosed; nothing is left when `close` has returned."""
    pool = snakepit.AsyncPool(ASYNC_TOOLS, size=2)
    await pool.start()
    tasks = [asyncio.create_task(pool.execute("hold", {"folder": marks.text})) for _ in range(10)]
    tasks += [asyncio.create_task(anext(pool.stream("hold", {"folder": marks.text})))]
    stream = pool.stream("ticks")
    await anext(stream)
    await asyncio.to_thread(wait_until, lambda: pool.stats().running == 12)
    await pool.close()
    assert_gone(pool)
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(end) for end in ends} == {snakepit.PoolClosed}
    with pytest.raises(snakepit.PoolClosed):
        async for _ in stream:
            pass
    await pool.close()


async def test_a_cancelled_async_with(marks: Marks) -> None:
    """A task that is cancelled inside `async with` closes the pool before it ends."""

    async def use() -> None:
        async with snakepit.AsyncPool(TOOLS, size=1) as pool:
            await pool.execute("hold", {"folder": marks.text}, timeout=None)

    user = asyncio.create_task(use())
    await asyncio.to_thread(marks.wait, "started")
    user.cancel()
    with pytest.raises(asyncio.CancelledError):
        await user
    assert psutil.Process().children() == []
    assert "left" in marks.said


def test_a_loop_that_ends_with_an_open_async_pool() -> None:
    """`asyncio.run` that ends while a pool is open, which nobody will close: its workers and files go all the same."""

    async def main() -> list[int]:
        pool = snakepit.AsyncPool(TOOLS, size=2)
        await pool.start()
        all_pids = [handle.info().pid for handle in pool.workers()]
        await pool.execute("pid")
        return [pid for pid in all_pids if pid]

    pids = asyncio.run(main())
    gc.collect()
    wait_until(lambda: not any(map(is_alive, pids)), "the workers' end")


@pytest.mark.parametrize("ending", ["pass", "del pool", "sys.exit(0)", "raise SystemExit"])
def test_without_with_it_closes_at_exit(marks: Marks, ending: str) -> None:
    """A script that never closes its pool ends by itself, silently, and leaves neither worker nor file."""
    code, out, err = finished(script(_NEVER_CLOSED + ending, marks.text))
    assert (code, err) == (0, "")
    *pids, directory = out.split()
    assert not any(is_alive(int(pid)) for pid in pids)
    assert not pathlib.Path(directory).exists()


_NEVER_CLOSED = """
import sys
import weakref
weakref.finalize(sys, int)  # a finalizer older than the library's own
import snakepit, pathlib
pool = snakepit.Pool("pool_tools:PoolTools", size=2)
stream = pool.stream("endless")
next(stream)
future = pool.submit("hold", {"folder": sys.argv[1]})
while not all(handle.info().endpoint for handle in pool.workers()):
    pass
print(*[handle.info().pid for handle in pool.workers()])
print(pathlib.Path(pool.workers()[0].info().endpoint.removeprefix("unix:")).parent, flush=True)
"""


def test_an_exception_ends_the_script_as_usual() -> None:
    """An error outside of any `with` prints its traceback and nothing else, and leaves nothing."""
    code, out, err = finished(script(_NEVER_CLOSED + "raise KeyError('mine')", "/tmp"))
    assert code == 1
    assert err.rstrip().endswith("KeyError: 'mine'")
    assert err.count("Traceback") == 1
    *pids, directory = out.split()
    assert not any(is_alive(int(pid)) for pid in pids)
    assert not pathlib.Path(directory).exists()


def test_the_default_pool_closes_at_exit() -> None:
    """The module-level pool, too, is closed by the interpreter's end."""
    text = "import snakepit; snakepit.configure('pool_tools:PoolTools', size=1); print(snakepit.execute('pid'))"
    code, out, err = finished(script(text))
    assert (code, err) == (0, "")
    assert not is_alive(int(out))


def test_a_host_that_is_killed_leaves_no_worker(marks: Marks) -> None:
    """SIGKILL to the host: its workers end, also those that compute, block, or swallow everything."""
    host = script(_KILLED_HOST, marks.text)
    pids = [int(word) for word in host.stdout.readline().split()]
    marks.wait("started")
    assert all(map(is_alive, pids))
    host.send_signal(signal.SIGKILL)
    finished(host)
    wait_until(lambda: not any(map(is_alive, pids)), "the workers' end")
    for directory in pathlib.Path(tempfile.gettempdir()).glob("snakepit-*"):
        shutil.rmtree(directory)  # nobody is left who could have removed it


_KILLED_HOST = """
import sys, time
import snakepit
pool = snakepit.Pool("pool_tools:PoolTools", size=3)
pool.start()
while pool.stats().workers_ready < 3:
    time.sleep(0.002)
pool.submit("hold", {"folder": sys.argv[1], "kind": "busy loop"}, timeout=None)
pool.submit("swallow", {"folder": sys.argv[1]}, timeout=None)
stream = pool.stream("endless")
next(stream)
print(*[handle.info().pid for handle in pool.workers()], flush=True)
time.sleep(600)
"""


def test_many_pools_in_a_row() -> None:
    """Four pools one after the other: each begins and ends like the first."""
    for number in range(4):
        with snakepit.Pool(TOOLS, size=1) as pool:
            assert pool.execute("add", {"a": number}) == number + 1
        assert_gone(pool)


def test_the_directory_is_gone_also_when_a_file_was_left_in_it() -> None:
    """Whatever lies in the run's directory at close is removed with it."""
    with snakepit.Pool(TOOLS, size=1, protocol="grpc") as pool:
        directory = pathlib.Path(endpoints(pool)[0].removeprefix("unix:")).parent
        (directory / "left.txt").write_text("by somebody")
    assert not directory.exists()


def test_close_waits_for_every_worker() -> None:
    """Four workers, all ready: the close has seen the end of each of them when it returns."""
    pool = snakepit.Pool(TOOLS, size=4)
    pool.start()
    all_ready(pool)
    pids = [handle.info().pid for handle in pool.workers()]
    pool.close()
    assert len(pids) == 4
    assert not any(map(is_alive, pids))
    assert subprocess.run(["ps", "-o", "pid=", *map(str, pids)], capture_output=True, check=False, text=True).stdout == ""
