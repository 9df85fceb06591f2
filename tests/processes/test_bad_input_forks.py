"""Tools that fork, start processes and pools of processes: one worker answers, children end, and the pool serves on."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

import snakepit
from pool_helpers import is_alive, wait_until
from worker_faces import ADAPTERS, AsyncFace, SyncFace, adapter, face_of, nothing_left

pytestmark = pytest.mark.slow

Face = SyncFace | AsyncFace
NASTY = adapter("nasty", "Nasty")
SOURCES = pathlib.Path(snakepit.__file__).parent.parent


@pytest.fixture(scope="module", autouse=True)
def leaves_nothing_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Looked at once for the whole module: its pools serve many tests."""
    with nothing_left(tmp_path_factory):
        yield


@pytest.fixture(scope="module", params=["Nasty", "NastyAsync"])
def nasty(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Nasty tools in a worker without and with a loop."""
    with face_of("sync", adapter("nasty", request.param)) as face:
        yield face


@pytest.fixture(scope="module", params=["grpc", "msgpack"])
def plain(request: pytest.FixtureRequest) -> Iterator[Face]:
    """Nasty tools in a worker without a loop, over both kinds of carrier."""
    with face_of("sync", "nasty:Nasty", protocol=request.param) as face:  # by its module's name: that is what spawned processes import
        yield face


def worker_of(face: Face) -> psutil.Process:
    """The worker, which serves."""
    (handle,) = face.pool.workers()
    assert face.execute("ok", timeout=20) == handle.info().pid
    return psutil.Process(handle.info().pid)


def no_children(face: Face) -> None:
    """No child of the worker lives."""
    worker = worker_of(face)
    alive = lambda: [child for child in worker.children(recursive=True) if is_alive(child.pid)]  # noqa: E731
    wait_until(lambda: not alive(), "the end of all children")


def test_a_child_that_returns(nasty: Face) -> None:
    """A tool forks and both return: the caller gets the parent's answer alone, and the child ends with 0."""
    pid = worker_of(nasty).pid
    for _ in range(5):
        assert nasty.execute("fork_and_return", timeout=20) == [pid, 0]
    no_children(nasty)


@pytest.mark.parametrize(("code", "status"), [(0, 0), (3, 3 << 8), ("said", 1 << 8)])
def test_a_child_that_calls_exit(plain: Face, code: object, status: int) -> None:
    """`sys.exit()` in the child gives it that code."""
    assert plain.execute("fork_and_return", {"code": code}, timeout=20) == [worker_of(plain).pid, status]


def test_a_child_that_raises() -> None:
    """The child's error goes to the output with its traceback, and it ends with 1; the call is the parent's."""
    told: list[str] = []
    with face_of("sync", NASTY, worker_output=lambda *line: told.append(line[2])) as face:
        assert face.execute("fork_and_raise", timeout=20) == [worker_of(face).pid, 1 << 8]
        wait_until(lambda: "ValueError: in the child" in told)
        assert told.count("ValueError: in the child") == 1


@pytest.mark.parametrize(("before", "after"), [(0, 5), (5, 5), (5, 5000), (2000, 2000)])
def test_a_child_that_yields_on(nasty: Face, before: int, after: int) -> None:
    """A generator forks in the middle: every chunk once, all from the parent, and the child ends instead of waiting for ever."""
    pid = worker_of(nasty).pid
    *chunks, final = nasty.stream("fork_and_yield", {"before": before, "after": after}, timeout=30)
    assert [chunk["i"] for chunk in chunks] == list(range(before + after))
    assert {chunk["pid"] for chunk in chunks} == {pid}
    assert final["is_final"]
    no_children(nasty)


def test_a_child_that_reports(plain: Face) -> None:
    """Reports of the child go nowhere."""
    heard: list[dict[str, Any]] = []
    pid = worker_of(plain).pid
    assert plain.execute("fork_and_report", on_progress=heard.append, timeout=20) == [pid, 0]
    assert {report["pid"] for report in heard} == {pid}


def test_a_child_of_an_async_tool_that_awaits() -> None:
    """The copy of a loop is of no use to the child: it ends, and the parent's loop goes on."""
    with face_of("sync", adapter("nasty", "NastyAsync"), worker_output="discard") as face:
        pid, status = face.execute("fork_and_await", timeout=20)
        assert pid == worker_of(face).pid
        assert status != 0
        assert face.execute("fork_and_return", timeout=20) == [pid, 0]


def test_a_hundred_forks_in_a_row(plain: Face) -> None:
    """No child dies of what its parent's threads were doing."""
    assert plain.execute("fork_many", {"n": 100}, timeout=40) == [0] * 100
    assert plain.execute("fork_and_exit") == [worker_of(plain).pid, 7 << 8]


def test_forks_beside_a_busy_channel(plain: Face) -> None:
    """The same while the channel carries another call's answers back and forth."""
    pid = worker_of(plain).pid
    for _ in range(10):
        assert plain.execute("fork_many", {"n": 5}, timeout=40) == [0] * 5
        assert plain.execute("echo", {"value": b"x" * 300_000}) == b"x" * 300_000
    assert worker_of(plain).pid == pid


def test_forks_where_the_adapter_has_imported_grpc_itself(tmp_path: pathlib.Path) -> None:
    """An adapter that imports gRPC before the worker does changes nothing, whatever the environment says."""
    path = tmp_path / "early.py"
    path.write_text(f"import sys\nimport grpc\nsys.path.insert(0, {str(ADAPTERS)!r})\nfrom nasty import Nasty\n", encoding="utf-8")
    with face_of("sync", f"{path}:Nasty", env={"GRPC_ENABLE_FORK_SUPPORT": "1"}) as face:
        assert face.execute("fork_many", {"n": 50}, timeout=40) == [0] * 50


def test_a_child_that_uses_grpc() -> None:
    """Where its parent's channel uses gRPC, it is told that this cannot be, and what to do; the channel goes on."""
    with face_of("sync", "nasty:Nasty", protocol="grpc") as face:
        said, status = face.execute("fork_and_use_grpc", timeout=20)
        assert "gRPC does not work in a forked child of a worker" in said
        assert "spawn" in said
        assert status == 0
        worker_of(face)


def test_a_child_that_uses_grpc_where_the_channel_does_not() -> None:
    """It may."""
    with face_of("sync", "nasty:Nasty", protocol="msgpack") as face:
        assert face.execute("fork_and_use_grpc", timeout=20) == ["opened", 0]
        worker_of(face)


def test_children_end_with_their_worker(tmp_path: pathlib.Path) -> None:
    """A child that stays, and a command left running, end when the pool closes."""
    with face_of("sync", NASTY) as face:
        child = face.execute("fork_and_stay", {"path": str(tmp_path / "there")}, timeout=20)
        command = face.execute("leave_a_process")
        wait_until((tmp_path / "there").exists)
        assert is_alive(child)
        assert is_alive(command)
    wait_until(lambda: not is_alive(child) and not is_alive(command), "the end of what the tool left")


def test_children_end_with_a_killed_worker(tmp_path: pathlib.Path) -> None:
    """The same when the worker is killed: its group goes with it."""
    with face_of("sync", NASTY) as face:
        child = face.execute("fork_and_stay", {"path": str(tmp_path / "there")}, timeout=20)
        wait_until((tmp_path / "there").exists)
        os.kill(worker_of(face).pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(child), "the end of the child")
        wait_until(lambda: face.pool.stats().restarts == 1)
        assert face.execute("ok", timeout=20)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(plain: Face, method: str) -> None:
    """Processes and pools of processes work in a tool with every start method."""
    pid = worker_of(plain).pid
    assert plain.execute("one_process", {"method": method}, timeout=40) == 5
    assert plain.execute("processes", {"method": method}, timeout=40) == [2 * i for i in range(8)]
    assert worker_of(plain).pid == pid


def test_a_process_pool_executor(plain: Face) -> None:
    """So does `concurrent.futures.ProcessPoolExecutor`, several times in a row."""
    for _ in range(3):
        assert plain.execute("executor", timeout=40) == [2 * i for i in range(8)]


def test_commands(plain: Face) -> None:
    """A command finds an empty stdin, and its output is its own when the tool captures it."""
    assert plain.execute("run_command", timeout=20) == ["out\n", "err\n"]


def test_what_commands_inherit(plain: Face) -> None:
    """Nothing of the worker's: no secret, no setting of this library but its mark, no descriptor, and Ctrl-C is not ignored."""
    assert plain.execute("python_in_python", timeout=20) == "['SNAKEPIT_GUARDIAN'] [] False\n"


def test_the_host_may_fork_too(tmp_path: pathlib.Path) -> None:
    """A program with a pool can fork as often as it likes: no child dies of the pool's threads, and nothing is printed."""
    path = tmp_path / "program.py"
    path.write_text(
        "import os, snakepit\n"
        "with snakepit.Pool(size=1) as pool:\n"
        "    for _ in range(5):\n"
        "        pool.execute('ping')\n"
        "        for _ in range(20):\n"
        "            child = os.fork()\n"
        "            if child == 0:\n"
        "                os._exit(0)\n"
        "            assert os.waitpid(child, 0)[1] == 0\n"
        "print('GRPC_ENABLE_FORK_SUPPORT' in os.environ)\n",
        encoding="utf-8",
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCES)}
    env.pop("GRPC_ENABLE_FORK_SUPPORT", None)
    done = subprocess.run([sys.executable, str(path)], env=env, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
