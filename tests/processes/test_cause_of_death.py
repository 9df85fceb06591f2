"""What is known of a worker's death: how much memory it had, how long it lived, whether memory ran out, where its threads were."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._workers import oom
from snakepit._workers.stacks import StackReports, innermost

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
def end_by(how: str) -> None:
    print("last words", flush=True)
    {"segfault": lambda: ctypes.string_at(0), "abort": os.abort, "exit": lambda: os._exit(7), "kill": lambda: os.kill(os.getpid(), 9)}[how]()

@tool
def keep(folder: str, megabytes: int) -> None:
    data = bytearray(os.urandom(1024) * 1024 * megabytes)
    time.sleep(600)

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
        assert future.call is not None
        correlation_id = future.call.correlation_id
        future.cancel()
        wait_until(lambda: pool.stats().restarts == 1, "another worker")
        wait_until(lambda: "is gone" in caplog.text, "word of it")
    (record,) = [record for record in caplog.records if "is gone" in record.message]
    assert (
        f"killed because '{kind}' ({correlation_id}) did not stop within 0.3 s of being cancelled; its main thread was in {words} ({tmp_path}/dying.py:"
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


def test_stacks_by_the_channel_and_by_the_signal(tools: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that answers is not sent the signal, which might end it; one that cannot is."""
    signals = []
    ask = StackReports.request
    monkeypatch.setattr(StackReports, "request", lambda self, then: (signals.append(1), ask(self, then)))
    with snakepit.Pool(tools, size=1, cancel_timeout=0.3) as pool:
        pool.execute("grow", {"megabytes": 1})
        for number in range(200):
            (text,) = pool.dump_stacks().values()
            assert text.rpartition("Thread 0x")[2].rstrip().endswith("in <module>"), (number, text)
        assert (signals, pool.stats().restarts) == ([], 0)
        future = pool.submit("compute_in_c", {"folder": str(tmp_path)})
        wait_until((tmp_path / "started").exists, "the tool")
        assert "in compute_in_c" in pool.dump_stacks()["worker-1"]
        assert signals == [1]
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
    assert innermost(report.replace("Thread 0x1", "Current thread 0x1")) == "train (/app/tools.py:3)"
    assert innermost("") == ""


def test_every_end_reads_differently(tools: str, tmp_path: pathlib.Path) -> None:
    """A segmentation fault, an abort, an exit, a kill, an import that fails, a start that takes too long: each names itself."""
    texts = {}
    with snakepit.Pool(tools, size=1, max_restarts=100) as pool:
        for how in ("segfault", "abort", "exit", "kill"):
            with pytest.raises(snakepit.WorkerCrashed) as caught:
                pool.execute("end_by", {"how": how})
            texts[how] = str(caught.value)
    for name, code in (("import", "import there_is_no_such_module"), ("stuck", "import time\nwhile True:\n    time.sleep(600)")):
        (tmp_path / f"{name}_tools.py").write_text(code)
        with pytest.raises((snakepit.AdapterError, snakepit.PoolStartFailed)) as failed:
            snakepit.Pool(str(tmp_path / f"{name}_tools.py"), size=1, start_timeout=2.0).start()
        texts[name] = str(failed.value)
    marks = {
        "segfault": ["killed by SIGSEGV", "Segmentation fault", "in end_by"],
        "abort": ["killed by SIGABRT", "Aborted", "in end_by"],
        "exit": ["exited with code 7"],
        "kill": ["killed by SIGKILL"],
        "import": ["No module named 'there_is_no_such_module'"],
        "stuck": ["was not ready within 2 s: it was in <module> (", "stuck_tools.py:3)"],
    }
    for name, words in marks.items():
        for word in words:
            assert [other for other, text in texts.items() if word in text] == [name] or word == "in end_by", (word, texts)
            assert word in texts[name]


@pytest.fixture
def spy() -> str:
    """py-spy, where it is installed and may look at other processes."""
    program = shutil.which("py-spy", path=str(pathlib.Path(sys.executable).parent))
    if program is None:
        pytest.skip("py-spy is not installed: pip install 'snakepit-bridge[stacks]'")
    with subprocess.Popen([sys.executable, "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        seen = subprocess.run([program, "dump", "--nonblocking", "--pid", str(other.pid)], capture_output=True, text=True, check=False)
        other.kill()
    if seen.returncode:
        pytest.skip(f"py-spy may not look at other processes here: {seen.stderr[:200]}")
    return program


def test_one_that_is_stopped_is_seen_from_outside(spy: str, tools: str, tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """It cannot say where it is: py-spy can."""
    caplog.set_level(logging.WARNING, "snakepit")
    with snakepit.Pool(tools, size=1, heartbeat={"interval": 0.1, "timeout": 0.3, "max_missed": 1}) as pool:
        future = pool.submit("swallow_everything", {"folder": str(tmp_path)})
        wait_until((tmp_path / "started").exists, "the tool")
        pid = pool.workers()[0].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(snakepit.WorkerCrashed, match="had not answered") as caught:
            future.result(10)
    assert "swallow_everything (" in caught.value.details["stacks"]
    assert f"its main thread was in swallow_everything ({tmp_path}/dying.py:" in caplog.text


def test_one_that_hangs_before_it_can_say_so_is_seen_from_outside(spy: str, tools: str, tmp_path: pathlib.Path) -> None:
    """While its interpreter starts; the signal that asks for the stacks would end it, and is not sent."""
    (tmp_path / "sitecustomize.py").write_text("import time\nwhile True:\n    time.sleep(600)\n")
    with pytest.raises(snakepit.PoolStartFailed, match=r"not ready within 1 s: it was in <module> \(.*sitecustomize.py:3\)") as caught:
        snakepit.Pool(tools, size=1, start_timeout=1.0, env={"PYTHONPATH": str(tmp_path)}).start()
    assert "sitecustomize.py" in caught.value.details["stacks"]


def test_without_anybody_to_look_nothing_is_said(tools: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it takes no longer."""
    monkeypatch.setattr("shutil.which", lambda *_args, **_kwargs: None)
    (tmp_path / "sitecustomize.py").write_text("import time\nwhile True:\n    time.sleep(600)\n")
    with pytest.raises(snakepit.PoolStartFailed, match="not ready within 1 s") as caught:
        snakepit.Pool(tools, size=1, start_timeout=1.0, env={"PYTHONPATH": str(tmp_path)}).start()
    assert caught.value.details["stacks"] == ""


@pytest.mark.parametrize(
    ("tool", "args", "settings", "cause"),
    [
        ("compute_in_c", {}, {"heartbeat": {"interval": 0.1, "timeout": 0.3, "max_missed": 2}}, "had not answered 2 heartbeats"),
        ("keep", {"megabytes": 300}, {"memory_limit": 250 * 1024 * 1024}, "memory_limit is 250 MiB"),
    ],
    ids=["heartbeat", "memory limit"],
)
def test_where_it_was_goes_with_the_error(
    tools: str, tmp_path: pathlib.Path, tool: str, args: dict[str, Any], settings: dict[str, Any], cause: str
) -> None:
    """Whatever it was killed for."""
    with snakepit.Pool(tools, size=1, **settings) as pool, pytest.raises(snakepit.WorkerCrashed, match=cause) as caught:
        pool.execute(tool, {"folder": str(tmp_path), **args}, timeout=30)
    assert f'File "{tmp_path}/dying.py"' in caught.value.details["stacks"]
    assert f" in {tool}" in caught.value.details["stacks"]


def test_one_that_does_not_leave_is_named_when_the_pool_closes(tmp_path: pathlib.Path, caplog: pytest.LogCaptureFixture) -> None:
    """With the place where it was, before it is ended."""
    (tmp_path / "staying.py").write_text(
        "import time\nfrom snakepit_bridge import BaseAdapter, tool\n\nclass Staying(BaseAdapter):\n"
        "    @tool\n    def ping(self) -> str:\n        return 'pong'\n\n    def cleanup(self):\n        time.sleep(600)\n"
    )
    caplog.set_level(logging.WARNING, "snakepit")
    with snakepit.Pool(str(tmp_path / "staying.py"), size=1, close_timeout=0.3) as pool:
        pool.execute("ping")
    assert f"did not leave within 0.3 s of being told to; its main thread was in cleanup ({tmp_path}/staying.py:10)" in caplog.text


def test_what_py_spy_says() -> None:
    """The innermost frame of its main thread that is not the runtime's."""
    report = (
        "Process 7: python -c x\nPython v3.11.7 (/usr/bin/python3)\n\n"
        'Thread 8 (idle): "other"\n    wait (/lib/threading.py:1)\n'
        'Thread 7 (idle): "MainThread"\n    border (/src/snakepit_bridge/_runtime/cancel.py:2)\n    train (/app/tools (1).py:3)\n    <module> (<string>:1)\n'
    )
    assert innermost(report) == "train (/app/tools (1).py:3)"
    assert innermost(report.replace(': "MainThread"', "")) == "train (/app/tools (1).py:3)"
    assert innermost(report.replace("MainThread", "x").replace("Thread 7", "Thread 9")) == ""


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


def test_one_kill_of_the_kernel_is_told_of_one_process(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one that somebody kills has not run out of memory because another one had."""
    counter = tmp_path / "memory.events"
    counter.write_text("oom_kill 3\n")
    monkeypatch.setattr(oom, "_counter_of", lambda _pid: counter)
    monkeypatch.setattr(oom, "_MACHINE", tmp_path / "none")
    first, second, third = oom.oom_counts(), oom.oom_counts(), oom.oom_counts()
    assert first.evidence() == ""
    counter.write_text("oom_kill 5\n")
    assert "out of memory" in first.evidence()
    assert "out of memory" in second.evidence()
    assert third.evidence() == ""
