"""Workers that have served, lived or grown enough are replaced, and nobody waits for that."""

from __future__ import annotations

import os
import pathlib
import threading
import time

import pytest

import snakepit
from pool_helpers import wait_until
from snakepit._workers.guardian_proc import children

TOOLS = str(pathlib.Path(__file__).with_name("recycled_tools.py"))


def test_by_calls() -> None:
    """After so many a worker leaves; its replacement is ready before, so no call is slower for it."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, max_calls=10) as pool:
        first, slowest = pool.execute("pid"), 0.0
        pids = {first}
        deadline = time.monotonic() + 20
        while len(pids) < 3:
            assert time.monotonic() < deadline
            began = time.monotonic()
            pids.add(pool.execute("pid"))
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.001)
        assert slowest < 0.1, "a call has waited for a worker's start"
        stats = pool.stats()
        assert (stats.restarts, stats.crashed, stats.failed) == (0, 0, 0)
        assert stats.recycled >= 2
        wait_until(lambda: pool.stats().workers_ready == 1 and len(pool.workers()) <= 2, "the old worker's end")


def test_by_age() -> None:
    """After so long, also without a call."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=2, max_age=0.5) as pool:
        pool.start()
        first = {handle.pid for handle in pool.workers()}
        wait_until(lambda: not first & {handle.pid for handle in pool.workers()}, "both to be replaced")
        assert pool.execute("pid") not in first
        assert pool.stats().restarts == 0


def test_by_memory() -> None:
    """Between calls: what a worker holds counts, not what it held."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, max_memory=200 * 1024 * 1024) as pool:
        first = pool.execute("pid")
        for _ in range(3):
            assert pool.execute("keep", {"megabytes": 20}) == first
            time.sleep(0.3)
        pool.execute("keep", {"megabytes": 200})
        time.sleep(0.3)
        pool.execute("pid")
        wait_until(lambda: pool.execute("pid") != first, "another worker")
        assert pool.stats().recycled == 1


def test_a_limit_of_memory_kills() -> None:
    """Also while a tool runs; its call fails and says why."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, memory_limit=300 * 1024 * 1024) as pool:
        with pytest.raises(snakepit.WorkerCrashed, match=r"killed because it held \d+ MiB of memory, and memory_limit is 300 MiB"):
            pool.execute("grow", timeout=30)
        assert pool.execute("pid")


def test_calls_and_streams_go_on(tmp_path: pathlib.Path) -> None:
    """Those that a worker runs when it is to leave end there; nothing is lost under load."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=2, max_calls=7) as pool:
        stream = pool.stream("count", {"n": 100, "folder": str(tmp_path)})
        found: list[int] = []

        def read() -> None:
            found.extend(chunk["n"] for chunk in stream if not chunk["is_final"])

        reader = threading.Thread(target=read)
        reader.start()
        pids = [future.result(20) for future in [pool.submit("work", {"seconds": 0.01}) for _ in range(120)]]
        reader.join(20)
        assert found == list(range(100))
        assert len(set(pids)) > 2
        stats = pool.stats()
        assert (stats.crashed, stats.failed, stats.restarts) == (0, 0, 0)


def test_sessions_with_snapshots_go_on() -> None:
    """In strict mode too: the state is whole, call for call."""
    with snakepit.Pool(f"{TOOLS}:Remembering", size=2, max_calls=5) as pool:
        session = pool.session("s", affinity="strict_queue")
        pids, number, deadline = set(), 0, time.monotonic() + 20
        while len(pids) < 3:
            assert time.monotonic() < deadline, "the worker is not replaced"
            pid, seen = session.execute("add", {"value": number})
            pids.add(pid)
            number += 1
            assert seen == list(range(number))
            time.sleep(0.01)


def test_sessions_without_snapshots_are_lost_by_name() -> None:
    """A strict session says that its worker was recycled, and why; then it is bound anew."""
    with snakepit.Pool(f"{TOOLS}:Recycled", size=1, max_calls=3) as pool:
        session = pool.session("s", affinity="strict_queue")
        for number in range(3):
            session.execute("add", {"value": number})
        with pytest.raises(snakepit.SessionLost, match="the worker was recycled: it had served 3 calls"):
            wait_until(lambda: session.execute("add", {"value": 9}) is None, "the end of the worker")
        pool.rebind_session("s")
        assert session.execute("add", {"value": 1})[1] == [1]


def test_nothing_stays(tmp_path: pathlib.Path) -> None:
    """A pool that closes while workers are being replaced ends them all."""
    for pause in (0.0, 0.05, 0.15):
        with snakepit.Pool(f"{TOOLS}:Recycled", size=2, max_calls=1) as pool:
            for _ in range(6):
                pool.execute("pid")
            time.sleep(pause)
        wait_until(
            lambda: not any(b"snakepit" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children().get(os.getpid(), [])),
            "the end",
        )


def test_a_successor_that_does_not_start_leaves_the_old_one_at_work(tmp_path: pathlib.Path) -> None:
    """It serves on until one does."""
    tools = tmp_path / "fussy.py"
    tools.write_text(
        "import os, pathlib\nfrom snakepit_bridge import tool\n"
        f"if (pathlib.Path({str(tmp_path)!r}) / 'broken').exists():\n    os._exit(5)\n\n@tool\ndef pid():\n    return os.getpid()\n"
    )
    with snakepit.Pool(str(tools), size=1, max_calls=2, max_restarts=1000) as pool:
        first = pool.execute("pid")
        (tmp_path / "broken").touch()
        for _ in range(5):
            assert pool.execute("pid") == first
            time.sleep(0.1)
        (tmp_path / "broken").unlink()
        wait_until(lambda: pool.execute("pid") != first, "a successor")
