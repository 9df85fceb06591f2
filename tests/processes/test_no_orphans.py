"""Nothing that a pool has started outlives its host, its guardian or its worker, whatever any of them does."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._workers import guardian_program
from snakepit._workers.guardian_program import below, born, children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guardian is Linux's")

TOOLS = str(pathlib.Path(__file__).with_name("nasty_tools.py"))
#: All that is below must have gone after so long (seconds).
WITHIN = 2.0

NASTY = [
    "computes in C",
    "is stopped",
    "ignores SIGTERM",
    "grandchild with a session of its own",
    "detached by two forks",
    "detached, with an empty environment",
    "forks all the time",
    "process pool",
]

HOST = """
import os, sys, threading, time
import snakepit

def main():
    pool = snakepit.Pool(sys.argv[1], size=len(sys.argv) - 2, worker_output="discard", cancel_timeout=60)
    pool.start()
    for kind in sys.argv[2:]:
        pool.submit("misbehave", {"kind": kind}, timeout=None)
    while pool.stats().running < len(sys.argv) - 2:
        time.sleep(0.01)
    time.sleep(0.4)
    if os.environ.get("FORK"):  # a copy of the host that stays
        if os.fork() == 0:
            os.setsid()
            time.sleep(60)
            os._exit(0)
    print("ready", flush=True)
    time.sleep(600)

if __name__ == "__main__":
    main()
"""


@pytest.fixture
def script(tmp_path: pathlib.Path) -> pathlib.Path:
    """A program that makes a pool whose workers misbehave."""
    path = tmp_path / "host.py"
    path.write_text(HOST)
    return path


def started(script: pathlib.Path, kinds: list[str], **env: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(script), TOOLS, *kinds]
    host = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(script.parent), **env})
    assert host.stdout is not None
    assert host.stdout.readline() == "ready\n"
    return host


def family(pid: int) -> dict[int, int | None]:
    """A process's descendants, with when each began."""
    return {item: born(item) for item in below([pid], children())}


def left_of(pids: dict[int, int | None]) -> list[str]:
    return [pathlib.Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:80] for pid, at in pids.items() if at and born(pid) == at]


def gone_within(pids: dict[int, int | None], seconds: float) -> float:
    """How long it took until all of them had gone."""
    began = time.monotonic()
    while left := [pid for pid, at in pids.items() if at and born(pid) == at]:
        if time.monotonic() - began > seconds:
            names = left_of(pids)
            guardian_program.signal_all(left, signal.SIGKILL)
            pytest.fail(f"after {seconds:g} s there are still: {names}")
        time.sleep(0.002)
    return time.monotonic() - began


def guardians(pid: int) -> list[int]:
    """The guardians among a host's children."""
    return [item for item in children().get(pid, []) if b"guardian_program" in pathlib.Path(f"/proc/{item}/cmdline").read_bytes()]


def test_the_host_is_killed(script: pathlib.Path) -> None:
    """Everything below it goes, also what has left every group and session, and its private directory with it."""
    with started(script, NASTY) as host:
        pids = family(host.pid)
        assert len(pids) > len(NASTY) + 1
        host.kill()
        host.wait()
        gone_within(pids, WITHIN)
    wait_until(lambda: list(script.parent.glob("snakepit-*")) == [], "the removal of the private directory")


def test_the_host_is_killed_and_a_forked_copy_of_it_lives(script: pathlib.Path) -> None:
    """The copy holds nothing that would make it look alive."""
    with started(script, ["waits", "detached by two forks"], FORK="1") as host:
        copy = [pid for pid in children()[host.pid] if pid not in guardians(host.pid)]
        pids = {pid: at for pid, at in family(host.pid).items() if pid not in copy}
        host.kill()
        host.wait()
        try:
            gone_within(pids, WITHIN)
            assert all(born(pid) for pid in copy)
        finally:
            guardian_program.signal_all(copy, signal.SIGKILL)


def test_the_guardian_is_killed(script: pathlib.Path) -> None:
    """The kernel ends its workers, the host what they have left; calls fail by name, and a new guardian starts new workers."""
    pool = snakepit.Pool(TOOLS, size=2, worker_output="discard")
    with pool:
        futures = [
            pool.submit("misbehave", {"kind": kind}, timeout=None)
            for kind in ("grandchild with a session of its own", "detached by two forks")
        ]
        wait_until(lambda: pool.stats().running == 2, "both calls")
        time.sleep(0.4)
        (guardian,) = guardians(os.getpid())
        pids = family(guardian)
        os.kill(guardian, signal.SIGKILL)
        gone_within(pids, WITHIN)
        for future in futures:
            with pytest.raises(snakepit.WorkerCrashed):
                future.result(5)
        assert pool.execute("add", {"a": 1, "b": 2}) == 3
        assert guardians(os.getpid()) != [guardian]
    assert guardians(os.getpid()) == []


@pytest.mark.parametrize("kind", ["detached by two forks", "detached, with an empty environment", "forks all the time"])
def test_a_worker_is_killed(kind: str) -> None:
    """What its tools have started ends with it; what another worker's have started lives on."""
    with contextlib.closing(snakepit.Pool(TOOLS, size=2, worker_output="discard")) as pool:
        pool.start()
        pool.submit("misbehave", {"kind": "detached by two forks"}, timeout=None)
        pool.submit("misbehave", {"kind": kind}, timeout=None)
        wait_until(lambda: pool.stats().running == 2, "both calls")
        time.sleep(0.4)
        other, victim = (handle.pid for handle in pool.workers())
        assert other is not None
        assert victim is not None
        if not family(other):
            other, victim = victim, other
        spared, pids = family(other), family(victim)
        assert spared
        os.kill(victim, signal.SIGKILL)
        gone_within(pids, WITHIN)
        assert all(born(pid) == at for pid, at in spared.items())


def test_a_tool_that_was_cancelled_in_vain_leaves_nothing() -> None:
    """A worker that has to be killed takes all below it along."""
    with snakepit.Pool(TOOLS, size=1, worker_output="discard", cancel_timeout=0.2) as pool:
        future = pool.submit("misbehave", {"kind": "does not listen, with a detached child"}, timeout=None)
        wait_until(lambda: pool.stats().running == 1, "the call")
        time.sleep(0.4)
        pids = family(pool.workers()[0].pid or 0)
        assert pids
        future.cancel()
        gone_within(pids, WITHIN)
        assert pool.execute("add", {"a": 1, "b": 2}) == 3


def test_what_dead_runs_have_left_is_ended_by_the_next(tmp_path: pathlib.Path) -> None:
    """A process with the mark of a guardian that is not there any more; one of a run with another name, or boot, is left alone."""
    boot = guardian_program.boot()
    marks = {
        "dead": f"snakepit:999999999:1:{boot}",
        "other": f"somebody-else:999999999:1:{boot}",
        "boot": "snakepit:999999999:1:another",
        "alive": f"snakepit:{os.getpid()}:{born(os.getpid())}:{boot}",
    }
    sleepers = {
        name: subprocess.Popen(["sleep", "60"], env={guardian_program.MARKER: mark}, start_new_session=True) for name, mark in marks.items()
    }
    try:
        with snakepit.Pool(TOOLS, size=1) as pool:
            assert pool.execute("add", {"a": 1, "b": 2}) == 3
            assert sleepers["dead"].wait(5) == -signal.SIGKILL
        assert [name for name, process in sleepers.items() if process.poll() is None] == ["other", "boot", "alive"]
    finally:
        for process in sleepers.values():
            process.kill()
            process.wait()


def test_a_program_that_cannot_be_started(tmp_path: pathlib.Path) -> None:
    """The guardian says why; a directory that has gone is told from a program that has."""
    folder = tmp_path / "folder"
    folder.mkdir()
    pool = snakepit.Pool(TOOLS, size=1, cwd=folder)
    folder.rmdir()
    with pytest.raises(snakepit.PoolStartFailed, match="its working directory cannot be entered: No such file or directory"):
        pool.start()
    with pytest.raises(snakepit.PoolStartFailed, match=r"/nowhere/ssh cannot be started: No such file or directory"):
        snakepit.Pool(size=1, command=["/nowhere/ssh", "x"]).start()


@pytest.fixture(autouse=True)
def no_strays() -> Iterator[None]:
    """Each test ends what it started."""
    yield
    deadline = time.monotonic() + 3
    while guardians(os.getpid()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert guardians(os.getpid()) == []


def test_ps_shows_which_worker_of_which_pool() -> None:
    """In the first words of the command line, and as the short name."""
    with snakepit.Pool(TOOLS, size=1, instance_name="models") as pool:
        pid = pool.execute("pid")
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        assert "snakepit=models/worker-1" in words[:4]
        assert pathlib.Path(f"/proc/{pid}/comm").read_text() == "worker-1\n"


def test_no_order_is_lost(tmp_path: pathlib.Path) -> None:
    """Also those that a guardian that has much to do cannot take at once."""
    with snakepit.Pool(TOOLS, size=2) as pool:
        pool.start()
        (guardian,) = guardians(os.getpid())
        os.kill(guardian, signal.SIGSTOP)
        process = pool.workers()[1]._worker._process
        for _ in range(3000):
            pool.workers()[0]._worker._process.terminate()  # type: ignore[union-attr]
        process.kill()  # type: ignore[union-attr]
        os.kill(guardian, signal.SIGCONT)
        wait_until(lambda: pool.stats().restarts == 2, "the end of both")
        assert pool.execute("add", {"a": 1, "b": 2}) == 3


def test_without_descriptors_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """On a kernel that has none, the guardian's socket alone tells of the host's end."""
    program = tmp_path / "guardian_program.py"
    text = pathlib.Path(guardian_program.__file__).read_text()
    assert "return os.pidfd_open(pid)" in text
    program.write_text(text.replace("return os.pidfd_open(pid)", "raise OSError(38, 'not implemented')"))
    monkeypatch.setattr("snakepit._workers.guardian._PROGRAM", str(program))
    with snakepit.Pool(TOOLS, size=1) as pool:
        assert pool.execute("add", {"a": 1, "b": 2}) == 3
        pids = family(guardians(os.getpid())[0])
    gone_within(pids, WITHIN)
