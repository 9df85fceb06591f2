"""Nothing that a pool has started outlives its host, its guardian or its worker, whatever any of them does."""

from __future__ import annotations

import asyncio
import contextlib
import marshal
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

import snakepit
from orphans import KINDS, TOOLS, WITHIN, NastyHost, family, gone_within, keepers
from pool_helpers import wait_until
from snakepit._workers import guardian_proc, guardian_program, guardian_templates
from snakepit._workers.guardian import Guardian
from snakepit._workers.guardian_proc import born, children

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the guardian is Linux's")


@pytest.fixture
def begun(tmp_path: pathlib.Path) -> pathlib.Path:
    """Where tools that misbehave say that they do."""
    folder = tmp_path / "begun"
    folder.mkdir()
    return folder


def misbehaving(pool: snakepit.Pool, begun: pathlib.Path, *kinds: str) -> list[Future[object]]:
    """Let tools misbehave; returns once all have begun."""
    futures = [pool.submit("misbehave", {"kind": kind, "folder": str(begun)}, timeout=None) for kind in kinds]
    wait_until(lambda: {path.name for path in begun.iterdir()} >= set(kinds), "all of them")
    return futures


@pytest.mark.parametrize("victim", ["process", "keeper", "guardian"])
def test_one_of_them_is_killed(tmp_path: pathlib.Path, victim: str) -> None:
    """Everything below it goes, also what has left every group and session; the forked copy of the host lives on."""
    host = NastyHost(tmp_path, KINDS)
    try:
        own = host.below if victim == "process" else {pid: at for pid, at in host.below.items() if pid != host.keeper}
        os.kill(getattr(host, victim).pid if victim == "process" else getattr(host, victim), signal.SIGKILL)
        gone_within(own, WITHIN)
        assert born(host.copy)
        if victim == "process":
            host.process.wait()
            wait_until(lambda: list(tmp_path.glob("snakepit-*")) == [], "the removal of the private directory")
    finally:
        host.end()


@pytest.mark.parametrize("victim", ["keeper", "guardian"])
def test_the_pool_goes_on_after_the_guardian_is_killed(
    begun: pathlib.Path, victim: str, caplog: pytest.LogCaptureFixture, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls fail by name, and a new guardian starts new workers, in the directory that is there still; the log says what has happened."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with snakepit.Pool(TOOLS, size=2, worker_output="discard", protocol="grpc") as pool:
        futures = misbehaving(pool, begun, "grandchild with a session of its own", "detached by two forks")
        (keeper,) = keepers(os.getpid())
        pids = family(keeper)
        os.kill(keeper if victim == "keeper" else children()[keeper][0], signal.SIGKILL)
        gone_within(pids, WITHIN)
        for future in futures:
            with pytest.raises(snakepit.WorkerCrashed):
                future.result(5)
        assert pool.execute("add", {"a": 1, "b": 2}) == 3
        assert keeper not in keepers(os.getpid())
        assert list(tmp_path.glob("snakepit-*"))
    assert keepers(os.getpid()) == []
    assert "the guardian of this pool's workers was killed" in caplog.text
    assert "a worker did not start" not in caplog.text


@pytest.mark.parametrize(
    "kind", ["detached by two forks", "detached, with an empty environment", "forks all the time", "leaves, but for a thread"]
)
def test_a_worker_is_killed(begun: pathlib.Path, kind: str) -> None:
    """What its tools have started ends with it; what another worker's have started lives on."""
    with contextlib.closing(snakepit.Pool(TOOLS, size=2, worker_output="discard")) as pool:
        pool.start()
        misbehaving(pool, begun, "grandchild with a session of its own", kind)
        other, victim = (handle.pid for handle in pool.workers())
        assert other is not None
        assert victim is not None
        if not any(b"sleep\0600" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children().get(other, [])):
            other, victim = victim, other
        spared, pids = family(other), family(victim)
        assert spared
        assert pids
        os.kill(victim, signal.SIGKILL)
        gone_within(pids, WITHIN)
        assert all(born(pid) == at for pid, at in spared.items())


def test_a_tool_that_was_cancelled_in_vain_leaves_nothing(begun: pathlib.Path) -> None:
    """A worker that has to be killed takes all below it along."""
    with snakepit.Pool(TOOLS, size=1, worker_output="discard", cancel_timeout=0.2) as pool:
        (future,) = misbehaving(pool, begun, "does not listen, with a detached child")
        pids = family(pool.workers()[0].pid or 0)
        assert pids
        future.cancel()
        gone_within(pids, WITHIN)
        assert pool.execute("add", {"a": 1, "b": 2}) == 3


def test_what_dead_runs_have_left_is_ended_by_the_next(tmp_path: pathlib.Path) -> None:
    """A process with the mark of a guardian that is not there any more; one of a run with another name, or of another boot or container, is left alone."""
    world = guardian_proc.world()
    marks = {
        "dead": f"snakepit:999999999:1:{world}",
        "other": f"somebody-else:999999999:1:{world}",
        "world": f"snakepit:999999999:1:{world}0",
        "alive": f"snakepit:{os.getpid()}:{born(os.getpid())}:{world}",
    }
    sleepers = {
        name: subprocess.Popen(["sleep", "60"], env={guardian_proc.MARKER: mark}, start_new_session=True) for name, mark in marks.items()
    }
    try:
        with snakepit.Pool(TOOLS, size=1) as pool:
            assert pool.execute("add", {"a": 1, "b": 2}) == 3
            assert sleepers["dead"].wait(5) == -signal.SIGKILL
        assert [name for name, process in sleepers.items() if process.poll() is None] == ["other", "world", "alive"]
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
    wait_until(lambda: keepers(os.getpid()) == [], "the end of the guardian")


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
        (guardian,) = children()[keepers(os.getpid())[0]]
        os.kill(guardian, signal.SIGSTOP)
        process = pool.workers()[1]._worker._process
        for _ in range(3000):
            pool.workers()[0]._worker._process.terminate()  # type: ignore[union-attr]
        process.kill()  # type: ignore[union-attr]
        os.kill(guardian, signal.SIGCONT)
        wait_until(lambda: pool.stats().restarts == 2, "the end of both")
        assert pool.execute("add", {"a": 1, "b": 2}) == 3


async def test_no_order_overtakes_another() -> None:
    """What is given while others wait for the socket waits behind them, also when there is room again."""
    theirs, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guardian = Guardian("run")
    with theirs, ours:
        theirs.setblocking(False)
        ours.setblocking(False)
        guardian._socket = ours
        got: list[int] = []

        def read(most: int) -> None:
            with contextlib.suppress(BlockingIOError):
                got.extend(marshal.loads(theirs.recv(1000))["kill"] for _ in range(most))

        for number in range(3000):
            guardian.order({"kill": number})
            if number % 300 == 299:
                read(10)  # room for some: not for those that are given now
        assert len(got) < 3000 - len(guardian._backlog) < 3000
        for _ in range(10_000):
            read(100)
            await asyncio.sleep(0)
            if not guardian._backlog:
                break
        read(3000)
        assert got == list(range(3000))
        guardian._forget()


def test_without_descriptors_of_processes(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """On a kernel that has none, the guardian's socket alone tells of the host's end."""
    program = tmp_path / "guardian_program.py"
    shutil.copy(guardian_templates.__file__, tmp_path)
    shutil.copy(guardian_proc.__file__, tmp_path)
    text = pathlib.Path(guardian_program.__file__).read_text()
    assert "return os.pidfd_open(pid)" in text
    program.write_text(text.replace("return os.pidfd_open(pid)", "raise OSError(38, 'not implemented')"))
    monkeypatch.setattr("snakepit._workers.guardian._DIRECTORY", str(tmp_path))
    with snakepit.Pool(TOOLS, size=1) as pool:
        assert pool.execute("add", {"a": 1, "b": 2}) == 3
        pids = family(keepers(os.getpid())[0])
    gone_within(pids, WITHIN)


@pytest.mark.parametrize("lacks", ["", "CFuncPtr", "dlsym"])
def test_prctl_is_found(monkeypatch: pytest.MonkeyPatch, lacks: str) -> None:
    """Also where the C half of `ctypes` is not what it was. PR_GET_DUMPABLE (3) is 1; 0 is no request, and changes nothing."""
    import _ctypes

    if lacks:
        import ctypes  # noqa: F401 - it needs them itself, as it is imported

        monkeypatch.delattr(_ctypes, lacks)
    found = guardian_program._prctl()
    assert found(3, 0, 0, 0, 0) == 1
    assert found(0, 0, 0, 0, 0) == -1


def test_a_worker_that_cannot_be_forked_costs_no_other(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    """The machine has no process left for a moment: that start has failed, those that serve go on, and the next one succeeds."""
    program = tmp_path / "guardian_program.py"
    for module in (guardian_templates, guardian_proc):
        shutil.copy(module.__file__, tmp_path)
    text = pathlib.Path(guardian_program.__file__).read_text()
    fork = "            pid = os.fork()\n"
    assert text.count(fork) == 1
    program.write_text(text.replace(fork, f"            if number == 2:\n                raise BlockingIOError(11, 'none left')\n{fork}"))
    monkeypatch.setattr("snakepit._workers.guardian._DIRECTORY", str(tmp_path))
    with snakepit.Pool(TOOLS, size=2) as pool:
        first = pool.execute("pid")
        wait_until(lambda: pool.stats().workers_ready == 2, "the second worker, at its second start")
        assert born(first)
        assert pool.stats().restarts == 1


def test_a_guardian_that_was_stopped(begun: pathlib.Path) -> None:
    """It carries out nothing; so it is ended, and its keeper ends what was below it: closing stays bounded."""
    pool = snakepit.Pool(TOOLS, size=1, close_timeout=0.5, worker_output="discard")
    pool.start()
    misbehaving(pool, begun, "is stopped")
    (keeper,) = keepers(os.getpid())
    below = family(keeper)
    os.kill(children()[keeper][0], signal.SIGSTOP)
    began = time.monotonic()
    pool.close()
    assert time.monotonic() - began < 0.5 + 2.0
    gone_within(below, 0.5)


_INNER = """
import sys, time
import snakepit

def main():
    with snakepit.Pool(sys.argv[1], size=2) as pool:
        pid = pool.execute("pid")
        print("ready", flush=True)
        sys.stdin.readline()
        print(pool.stats().restarts, flush=True)

if __name__ == "__main__":
    main()
"""


def test_workers_of_a_container_are_left_alone(tmp_path: pathlib.Path) -> None:
    """Their guardian's number is one of the container's own, which says nothing outside."""
    script = tmp_path / "inner.py"
    script.write_text(_INNER)
    contained = ["unshare", "--pid", "--fork", "--mount-proc"]
    try:
        subprocess.run([*contained, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no namespace of processes can be made here")
    with subprocess.Popen(
        [*contained, sys.executable, str(script), TOOLS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as inner:
        assert inner.stdin is not None
        assert inner.stdout is not None
        assert inner.stdout.readline() == "ready\n"
        with snakepit.Pool(TOOLS, size=1) as pool:
            pool.execute("pid")
            time.sleep(0.6)  # the guardian looks for leftovers when it has been quiet for a while
        inner.stdin.write("\n")
        inner.stdin.flush()
        assert inner.stdout.readline() == "0\n"
