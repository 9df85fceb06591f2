"""What is known of a worker's death: how much memory it had, how long it lived, whether memory ran out, where its threads were."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._workers import oom
from snakepit._workers.stacks import innermost

TOOLS = """
import ctypes, os, time
from snakepit_bridge import tool

@tool
def die(code: int) -> None:
    os._exit(code)

@tool
def grow(megabytes: int) -> int:
    data = bytearray(os.urandom(1024) * 1024 * megabytes)
    return len(data)

@tool
def swallow_everything(folder: str) -> None:
    open(folder + "/started", "w").close()
    while True:
        try:
            time.sleep(600)
        except BaseException:
            continue

@tool
def compute_in_c(folder: str) -> None:
    open(folder + "/started", "w").close()
    sum(range(10**13))

@tool
def hold_the_interpreter(folder: str) -> None:
    open(folder + "/started", "w").close()
    ctypes.PyDLL(None).sleep(60)
"""


@pytest.fixture
def tools(tmp_path: pathlib.Path) -> str:
    """A file of tools."""
    path = tmp_path / "dying.py"
    path.write_text(TOOLS)
    return str(path)


def test_memory_age_and_work(tools: str) -> None:
    """The most memory the worker had, how long it lived, what it had served."""
    with snakepit.Pool(tools, size=1) as pool:
        pool.execute("grow", {"megabytes": 100})
        with pytest.raises(snakepit.WorkerCrashed, match="exited with code 3") as caught:
            pool.execute("die", {"code": 3})
    details = caught.value.details
    assert 100e6 < details["rss"] < 1e9
    assert 0 < details["uptime"] < 60
    assert (details["calls_served"], details["oom"], details["stacks"]) == (1, "", "")


@pytest.mark.parametrize(
    ("kind", "words"), [("swallow_everything", "swallow_everything"), ("hold_the_interpreter", "hold_the_interpreter")]
)
def test_where_it_was_before_it_was_killed(
    tools: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture, kind: str, words: str
) -> None:
    """A tool that does not end is named with its line, also while it holds the interpreter, and the whole report goes with the log."""
    caplog.set_level(logging.WARNING, "snakepit")
    with snakepit.Pool(tools, size=1, cancel_timeout=0.3) as pool:
        future = pool.submit(kind, {"folder": str(tmp_path)})
        wait_until((tmp_path / "started").exists, "the tool")
        future.cancel()
        wait_until(lambda: pool.stats().restarts == 1, "another worker")
        wait_until(lambda: "is gone" in caplog.text, "word of it")
    (record,) = [record for record in caplog.records if "is gone" in record.message]
    assert (
        f"killed because '{kind}' ({future.call.correlation_id}) did not stop within 0.3 s of being cancelled; its main thread was in {words} ({tmp_path}/dying.py:"
        in record.message
    )
    assert "snakepit-" in record.stacks or "Thread 0x" in record.stacks  # type: ignore[attr-defined]


def test_stacks_on_request(tools: str, tmp_path: pathlib.Path) -> None:
    """Of every worker, whatever its tool does, and the tool is none the worse for it."""
    with snakepit.Pool(tools, size=2, cancel_timeout=0.3) as pool:
        future = pool.submit("compute_in_c", {"folder": str(tmp_path)})
        wait_until((tmp_path / "started").exists, "the tool")
        wait_until(lambda: pool.stats().workers_ready == 2, "both workers")
        stacks = pool.dump_stacks()
        assert sorted(stacks) == ["worker-1", "worker-2"]
        assert sum(f'File "{tmp_path}/dying.py"' in text and "in compute_in_c" in text for text in stacks.values()) == 1
        assert not future.done()
        future.cancel()


def test_the_innermost_frame_of_the_main_thread() -> None:
    """The tool's own, of the thread that is written last, past frames of the runtime."""
    report = (
        'Thread 0x1 (most recent call first):\n  File "/lib/threading.py", line 1 in run\n\n'
        'Thread 0x2 (most recent call first):\n  File "/src/snakepit_bridge/_runtime/cancel.py", line 2 in border\n'
        '  File "/app/tools.py", line 3 in train\n'
    )
    assert innermost(report) == "train (/app/tools.py:3)"
    assert innermost(report.replace("Thread 0x2", "Current thread 0x2")) == "train (/app/tools.py:3)"
    assert innermost("") == ""


HOST = """
import sys
import snakepit

def main():
    with snakepit.Pool(sys.argv[1], size=1) as pool:
        pool.start()
        try:
            pool.execute("grow", {"megabytes": 600}, timeout=60)
        except snakepit.WorkerCrashed as error:
            print(error.details["signal"], error.details["oom"])
            print(error)

if __name__ == "__main__":
    with open(sys.argv[2], "w") as procs:
        procs.write("0")
    main()
"""


@contextlib.contextmanager
def memory_cgroup(megabytes: int) -> Iterator[pathlib.Path]:
    """A cgroup with so much memory, below our own; skips by name where none may be made."""
    counter = oom._counter_of("self")
    if counter is None:
        pytest.skip("this machine has no memory cgroups")
    folder = counter.parent / f"snakepit-test-{os.getpid()}"
    try:
        folder.mkdir()
        names = (
            ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
            if counter.name == "memory.oom_control"
            else ["memory.max", "memory.swap.max"]
        )
        (folder / names[0]).write_text(str(megabytes * 1024 * 1024))
        with contextlib.suppress(OSError):  # without swap it is not there
            (folder / names[1]).write_text("0" if names[1] == "memory.swap.max" else str(megabytes * 1024 * 1024))
    except OSError as error:
        with contextlib.suppress(OSError):
            folder.rmdir()
        pytest.skip(f"no memory cgroup may be made here: {error}")
    try:
        yield folder
    finally:
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.05)


def test_a_worker_that_runs_out_of_memory(tools: str, tmp_path: pathlib.Path) -> None:
    """The kernel's own counters say that it was that, and not somebody's `kill -9`."""
    script = tmp_path / "host.py"
    script.write_text(HOST)
    with memory_cgroup(400) as folder:
        done = subprocess.run(
            [sys.executable, script, tools, folder / "cgroup.procs"], capture_output=True, text=True, timeout=100, check=False
        )
    assert "SIGKILL out of memory: the kernel killed it, or another process of its memory cgroup" in done.stdout, done.stdout + done.stderr
    assert "died while it ran 'grow': killed by SIGKILL; out of memory" in done.stdout
