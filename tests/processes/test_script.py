"""Scripts that are ended by signals: what their pools have been given ends, their main is told, nothing is left, and the status says why."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import threading
import time

import pytest

import snakepit
from pool_helpers import TOOLS, Marks, finished, is_alive, script, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

_HEAD = """
import asyncio, os, sys, time
import snakepit
folder = sys.argv[1]

def mark(name):
    open(os.path.join(folder, name), "w").close()

def pids(pool):
    while pool.stats().workers_ready < pool.stats().size:
        time.sleep(0.002)
    print(*[handle.pid for handle in pool.workers()], flush=True)
"""


@pytest.fixture
def marks(tmp_path: pathlib.Path) -> Marks:
    return Marks(tmp_path)


def started(text: str, marks: Marks, **variables: str) -> subprocess.Popen[str]:
    return script(_HEAD + text, marks.text, **variables)


def ended(process: subprocess.Popen[str], timeout: float = 30.0) -> tuple[int, list[str], str]:
    """(status, the lines that came after the workers' pids, stderr), when the script and all workers are gone."""
    code, out, err = finished(process, timeout)
    first, *lines = out.splitlines()
    assert not any(is_alive(int(pid)) for pid in first.split()), "a worker is left"
    return code, lines, err


_ONE_CALL = """
def main():
    with snakepit.Pool("pool_tools:PoolTools", size=2) as pool:
        pids(pool)
        print(pool.execute("until", {"folder": folder, "name": "go"}, timeout=None), flush=True)
        try:
            pool.execute("add", {"a": 1})
        except snakepit.PoolDraining as error:
            print(error.code, flush=True)
            raise

snakepit.run_as_script(main)
print("never")
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_what_runs_ends_first(marks: Marks, number: signal.Signals, status: int) -> None:
    """The call that runs gives its result, the next one is refused, main leaves, and nothing is said but one line of the log."""
    process = started(_ONE_CALL, marks)
    marks.wait("started")
    process.send_signal(number)
    time.sleep(0.2)  # for the signal to be seen: the call goes on all the same
    assert process.poll() is None
    marks.say("go")
    code, lines, err = ended(process)
    assert (code, lines) == (status, ["go", "pool_draining"])
    assert err.splitlines() in ([], [f"{number.name}: calls have 20 s to end; a second signal ends them at once"])


def test_a_stream_is_read_to_its_end(marks: Marks) -> None:
    """Calls that wait and streams that are read end, too; a pool that nobody closes is closed."""
    process = started(
        """
def main():
    pool = snakepit.Pool("pool_tools:PoolTools", size=2)
    pids_of = pool.start()
    pids(pool)
    stream = pool.stream("gap", {"folder": folder, "before": 1, "after": 3})
    next(stream)
    futures = [pool.submit("until", {"folder": folder, "name": "go", "started": str(n)}) for n in range(3)]
    mark("running")
    print(len(list(stream)) >= 3, [future.result() for future in futures], flush=True)

snakepit.run_as_script(main)
""",
        marks,
    )
    marks.wait("running")
    process.send_signal(signal.SIGTERM)
    marks.say("go")
    code, lines, _ = ended(process)
    assert (code, lines) == (143, ["True ['go', 'go', 'go']"])


def test_what_does_not_end_is_cut_off(marks: Marks) -> None:
    """After `drain_timeout`; its caller is told, and `finally` blocks of main and of the tool run."""
    process = started(
        """
def main():
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        try:
            pool.execute("hold", {"folder": folder}, timeout=None)
        finally:
            print(type(sys.exc_info()[1]).__name__, flush=True)

snakepit.run_as_script(main, drain_timeout=0.3)
""",
        marks,
    )
    marks.wait("started")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, lines, err = ended(process)
    assert (code, lines) == (143, ["PoolDraining"])
    assert "Traceback" not in err
    assert time.monotonic() - began < 5
    assert "left" in marks.said


_IDLE = """
def main():
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        try:
            mark("idle")
            time.sleep(600)
        finally:
            print(repr(sys.exc_info()[1]), flush=True)

snakepit.run_as_script(main, leave_timeout=0.2)
"""

_IDLE_ASYNC = """
async def main():
    async with snakepit.AsyncPool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        try:
            mark("idle")
            await asyncio.sleep(600)
        finally:
            print(repr(sys.exc_info()[1]), flush=True)

snakepit.run_as_script(main, leave_timeout=0.2)
"""


@pytest.mark.parametrize(("text", "how"), [(_IDLE, "SystemExit(143)"), (_IDLE_ASYNC, "CancelledError()")], ids=["sync", "async"])
def test_a_main_that_waits_is_ended(marks: Marks, text: str, how: str) -> None:
    """When it has had `leave_timeout`: by SystemExit, or by being cancelled; its blocks are left in order."""
    process = started(text, marks)
    marks.wait("idle")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, lines, err = ended(process)
    assert (code, lines) == (143, [how])
    assert "Traceback" not in err
    assert 0.2 <= time.monotonic() - began < 5


def test_an_async_main(marks: Marks) -> None:
    """What runs ends; pools that nobody closes, of either face, are closed while their loop goes on."""
    process = started(
        """
async def main():
    pool, other = snakepit.AsyncPool("pool_tools:PoolTools", size=2), snakepit.Pool("pool_tools:PoolTools", size=1)
    await pool.start()
    other.start()
    print(*[handle.pid for item in (pool, other) for handle in item.workers()], flush=True)
    calls = [pool.submit("until", {"folder": folder, "name": "go", "started": str(n)}) for n in range(3)]
    await asyncio.sleep(0)
    mark("running")
    print(await asyncio.gather(*calls), flush=True)
    try:
        await pool.execute("pid")
    except snakepit.PoolDraining as error:
        print(error.code, flush=True)
    try:
        await snakepit.AsyncPool("pool_tools:PoolTools", size=1).start()
    except snakepit.PoolDraining as error:
        print(error.code, flush=True)

snakepit.run_as_script(main)
""",
        marks,
    )
    marks.wait("running")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    marks.say("go")
    code, lines, err = ended(process)
    assert (code, lines) == (143, ["['go', 'go', 'go']", "pool_draining", "pool_draining"])
    assert "Traceback" not in err


def test_a_loop_that_handles_signals_of_its_own(marks: Marks) -> None:
    """`add_signal_handler` takes the place that signals are heard at; those of the script are seen all the same."""
    text = """
async def main():
    heard = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(1, heard.set)
    async with snakepit.AsyncPool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        call = pool.submit("until", {"folder": folder, "name": "go"})
        await heard.wait()
        print("heard", await call, flush=True)

snakepit.run_as_script(main)
"""
    process = started(text, marks)
    marks.wait("started")
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    marks.say("go")
    code, lines, _ = ended(process)
    assert (code, lines) == (143, ["heard go"])


def test_a_second_signal_waits_for_nothing(marks: Marks) -> None:
    """Neither for calls that could go on for long, nor for main, nor for a tool that swallows everything."""
    process = started(
        """
def main():
    with snakepit.Pool("pool_tools:PoolTools", size=2, close_timeout=600, cancel_timeout=600) as pool:
        pids(pool)
        pool.submit("swallow", {"folder": folder})
        time.sleep(600)

snakepit.run_as_script(main, drain_timeout=600, leave_timeout=600)
""",
        marks,
    )
    marks.wait("started")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == 143
    assert time.monotonic() - began < 3
    assert "Traceback" not in err


_STUCK = {
    "in C": "hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)",
    "swallowing": "swallow()",
}


@pytest.mark.parametrize("how", _STUCK)
def test_a_main_that_cannot_be_ended(marks: Marks, how: str) -> None:
    """It computes in C, or swallows SystemExit: its pools are closed, and the process exits, with the same status."""
    text = f"""
import hashlib

def swallow():
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass

def main():
    pool = snakepit.Pool("pool_tools:PoolTools", size=1, close_timeout=0.1)
    pool.start()
    pids(pool)
    mark("stuck")
    {_STUCK[how]}

snakepit.run_as_script(main, leave_timeout=0.1)
"""
    process = started(text, marks)
    marks.wait("stuck")
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == 143
    assert "Traceback" not in err


def test_without_a_signal(marks: Marks) -> None:
    """Main's result comes back, or its exception; what it leaves open is closed; handlers are as they were."""
    process = started(
        """
import signal
before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

def main():
    pool = snakepit.Pool("pool_tools:PoolTools", size=1)
    pool.start()
    pids(pool)
    main.pool = pool
    return pool.execute("add", {"a": 1})

async def other():
    main.other = snakepit.AsyncPool("pool_tools:PoolTools", size=1)
    return await main.other.execute("add", {"a": 2})

def fails():
    raise KeyError("mine")

print(snakepit.run_as_script(main), main.pool)
print(snakepit.run_as_script(other), main.other)
try:
    snakepit.run_as_script(fails)
except KeyError as error:
    print(error)
print([signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before, signal.set_wakeup_fd(-1))
""",
        marks,
    )
    assert ended(process) == (0, ["2 <Pool of 1, closed>", "3 <AsyncPool of 1, closed>", "'mine'", "True -1"], "")


def test_an_error_of_its_own_is_shown(marks: Marks) -> None:
    """Also after a signal, which the status tells; and an error that has nothing to do with it keeps its own status."""
    text = """
def main():
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        mark("ready")
        pool.execute("until", {"folder": folder, "name": "go"})
        raise KeyError("mine")

snakepit.run_as_script(main)
"""
    for sent, status in ((True, 143), (False, 1)):
        process = started(text, marks)
        marks.wait("started")
        if sent:
            process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        marks.say("go")
        code, _, err = ended(process)
        assert (code, err.count("Traceback"), "KeyError: 'mine'" in err) == (status, 1, True)


def test_a_forked_child_is_on_its_own(marks: Marks) -> None:
    """A signal that a child gets ends the child, as if there were no handler, and does not reach the script."""
    process = started(
        """
def main():
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        child = os.fork()
        if child == 0:
            time.sleep(600)
            os._exit(1)
        time.sleep(0.1)
        os.kill(child, 15)
        print(os.WTERMSIG(os.waitpid(child, 0)[1]), pool.execute("add", {"a": 1}), flush=True)

snakepit.run_as_script(main)
""",
        marks,
        PYTHONWARNINGS="ignore",
    )
    code, lines, _ = ended(process)
    assert (code, lines) == (0, ["15 2"])


def test_a_signal_while_a_pool_starts(marks: Marks) -> None:
    """The start is given up; what has been started ends."""
    process = started(
        """
def main():
    print(flush=True)
    snakepit.execute("pid")

snakepit.configure("pool_starts:Never", size=1)
snakepit.run_as_script(main)
""",
        marks,
        POOL_STARTS_FOLDER=marks.text,
    )
    marks.wait("initializing")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == 143
    assert time.monotonic() - began < 8
    assert "Traceback" not in err


def test_main_may_store_what_it_has_got(marks: Marks) -> None:
    """Its time begins when the call that does not stop no longer holds it up, where it leaves the pool's block."""
    process = started(
        """
def main():
    try:
        with snakepit.Pool("pool_tools:PoolTools", size=1, cancel_timeout=1.0) as pool:
            pids(pool)
            pool.submit("swallow", {"folder": folder}, timeout=None).result()
    except snakepit.PoolDraining:
        time.sleep(0.2)
        print("stored", flush=True)

snakepit.run_as_script(main, drain_timeout=0.3, leave_timeout=0.8)
""",
        marks,
    )
    marks.wait("started")
    process.send_signal(signal.SIGTERM)
    code, lines, _ = ended(process)
    assert (code, lines) == (143, ["stored"])


def test_an_ignored_signal_stays_ignored(marks: Marks) -> None:
    """As `nohup` and the shell's `&` have it for Ctrl-C."""
    process = started("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + _ONE_CALL, marks)
    marks.wait("started")
    process.send_signal(signal.SIGINT)
    marks.say("go")
    code, lines, _ = ended(process)
    assert (code, lines) == (0, ["go", "never"])


def test_a_signal_as_the_script_ends(marks: Marks) -> None:
    """One that comes while the interpreter ends changes nothing any more: neither the status nor what is written then."""
    process = started(
        """
import atexit

def late():
    mark("ending")
    time.sleep(0.3)
    print("written", flush=True)

def main():
    atexit.register(late)
    with snakepit.Pool("pool_tools:PoolTools", size=1) as pool:
        pids(pool)
        mark("idle")
        time.sleep(600)

snakepit.run_as_script(main, leave_timeout=0.1)
""",
        marks,
    )
    marks.wait("idle")
    process.send_signal(signal.SIGTERM)
    marks.wait("ending")
    process.send_signal(signal.SIGINT)
    assert ended(process)[:2] == (143, ["written"])


def test_where_it_may_be_used() -> None:
    """On the main thread, with times above 0."""
    ends: list[BaseException] = []

    def call() -> None:
        try:
            snakepit.run_as_script(lambda: None)
        except RuntimeError as error:
            ends.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    assert "main thread" in str(ends[0])
    with pytest.raises(snakepit.InvalidParameter, match="drain_timeout is 0"):
        snakepit.run_as_script(lambda: None, drain_timeout=0)
    with pytest.raises(snakepit.InvalidParameter, match="leave_timeout is None"):
        snakepit.run_as_script(lambda: None, leave_timeout=None)  # type: ignore[call-overload]
    assert snakepit.run_as_script(lambda: 5) == 5


def test_in_this_process() -> None:
    """A program that goes on can use it: the signal ends main alone, pools can be started again, and handlers hear what comes later."""

    def main() -> None:
        with snakepit.Pool(TOOLS, size=1) as pool:
            os.kill(os.getpid(), signal.SIGTERM)
            wait_until(lambda: pool.stats().draining, "the draining")
            pool.execute("pid")

    before = signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    heard: list[int] = []
    try:
        with pytest.raises(SystemExit) as caught:
            snakepit.run_as_script(main)
        assert caught.value.code == 143
        os.kill(os.getpid(), signal.SIGTERM)  # at once: the same wish once more
        assert heard == []
        ended = time.monotonic()
        wait_until(lambda: time.monotonic() - ended > 1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
    with snakepit.Pool(TOOLS, size=1) as pool:
        assert pool.execute("add", {"a": 1}) == 2
