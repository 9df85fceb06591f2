"""A lost worker is followed at once: by a spare, or by one that is forked from a template."""

from __future__ import annotations

import os
import pathlib
import signal
import sys
import time
from typing import Any

import pytest

import snakepit
from promise_figures import measured, often
from snakepit._workers.worker import Worker

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="templates are Linux's")]

#: What a worker may have for itself (MiB).
_OWN_MIB = 10.0

WAYS: dict[str, tuple[dict[str, Any], float]] = {
    "spare": ({"spares": 1}, 0.010),
    "template": ({"launcher": "template"}, 0.050),
    "spare of a template": ({"spares": 1, "launcher": "template"}, 0.010),
}


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.0005)


@pytest.mark.parametrize("way", WAYS)
def test_the_next_call_after_a_crash(tools: str, figures: Any, tmp_path: pathlib.Path, way: str) -> None:
    """From the kill to the result of a call that its caller made when it had learned of it."""
    settings, bound = WAYS[way]
    times = []
    with snakepit.Pool(f"{tools}:Counting", size=1, max_restarts=10_000, **settings) as pool:
        for _ in range(often(100, 12)):
            wait_for(lambda: pool.stats().spares == settings.get("spares", 0) and pool.stats().workers_ready == 1, "the next worker")
            assert pool.execute("square", {"number": 2}) == 4
            future = pool.submit("wait", {"folder": str(tmp_path)})
            wait_for((tmp_path / "started").exists, "the tool")
            (tmp_path / "started").unlink()
            (pid,) = [handle.pid for handle in pool.workers() if handle.info().running]
            assert pid is not None
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(snakepit.WorkerCrashed):
                future.result(10)
            assert pool.execute("square", {"number": 3}) == 9
            times.append(time.perf_counter() - began)
        assert pool.stats().launcher == settings.get("launcher", "spawn")
    figures(f"the next call after a crash is served, {way}").hold(times, p50=bound)


def test_a_worker_from_the_template(figures: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the showcase, over the protocol that a pool takes by itself: from its launch until it is ready; and what it shares with nobody."""
    launched: dict[str, float] = {}
    times: list[float] = []
    launch, attach = Worker.launch, Worker.attach

    def watched_launch(worker: Worker) -> None:
        launched[worker.id] = time.perf_counter()
        launch(worker)

    async def watched_attach(worker: Worker, *args: Any) -> None:
        await attach(worker, *args)
        times.append(time.perf_counter() - launched[worker.id])

    monkeypatch.setattr(Worker, "launch", watched_launch)
    monkeypatch.setattr(Worker, "attach", watched_attach)
    with snakepit.Pool(size=2, launcher="template", max_restarts=10_000) as pool:
        wait_for(lambda: pool.stats().workers_ready == 2, "the first workers")
        times.clear()  # those had the import in them
        for number in range(often(100, 15)):
            pool.execute("ping")
            victim = next(handle.pid for handle in pool.workers() if handle.info().calls_served)
            assert victim is not None
            os.kill(victim, signal.SIGKILL)
            wait_for(lambda ended=number + 1: pool.stats().restarts == ended and pool.stats().workers_ready == 2, "the next worker")
        for _ in range(20):
            pool.execute("ping")
        own = [own_memory(handle.pid) for handle in pool.workers() if handle.pid is not None]
        assert pool.stats().launcher == "template"
    assert len(own) == 2
    measured.append(f"memory of a worker from the template: {max(own):.1f} MiB (at most {_OWN_MIB:g})")
    assert max(own) <= _OWN_MIB
    figures("a worker from the template is ready").hold(times, p50=0.020)


def own_memory(pid: int) -> float:
    """What a process shares with no other (MiB)."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:"))) / 1024
