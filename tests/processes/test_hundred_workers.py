"""A pool of a hundred workers on this machine: that it serves and mends itself as a small one does, and what it costs the host."""

from __future__ import annotations

import os
import pathlib
import resource
import signal
import sys
import time
from collections.abc import Iterator

import psutil
import pytest

import snakepit
from pool_helpers import all_ready, idle, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="templates are Linux's"),
]

WORKERS = 100
#: Of the host, for each worker: descriptors (what the command `doctor` reckons with), and memory (bytes):
#: that for reading is one for all.
DESCRIPTORS, MEMORY = 11, 200 * 1024
#: What the host may compute while all is idle (seconds of a second): heartbeats, and nothing else.
IDLE_SHARE = 0.05


@pytest.fixture
def enough_descriptors() -> Iterator[None]:
    """As many as a hundred workers take, if that may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 4 * DESCRIPTORS * WORKERS
    if hard != resource.RLIM_INFINITY and hard < needed:
        pytest.skip(f"{hard} descriptors are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def pool_of(size: int) -> snakepit.Pool:
    tools = str(pathlib.Path(__file__).with_name("hundred_tools.py"))
    return snakepit.Pool(tools, size=size, launcher="template", protocol="msgpack", affinity="strict_queue")


def computed(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def test_a_hundred_workers(enough_descriptors: None) -> None:
    """All serve, ten deaths cost ten calls, each of a hundred sessions has a worker of its own, and the host hardly notices them."""
    host = psutil.Process()
    with pool_of(2) as small:  # what any pool brings into memory
        assert small.execute("where") > 0
    descriptors, threads, memory = host.num_fds(), host.num_threads(), host.memory_info().rss
    with pool_of(WORKERS) as pool:
        all_ready(pool)
        together = [pool.submit("hold", {"seconds": 1.0}) for _ in range(WORKERS)]
        pids = {future.result() for future in together}
        assert len(pids) == WORKERS
        for future in [pool.submit("where") for _ in range(10 * WORKERS)]:
            assert future.result() in pids
        assert host.num_fds() - descriptors <= DESCRIPTORS * WORKERS + 20
        assert host.num_threads() - threads <= 2
        assert (host.memory_info().rss - memory) / WORKERS <= MEMORY
        _idles(host)
        _outlives_deaths(pool, sorted(pids)[:10])
        _has_sessions(pool)
        idle(pool)
    assert host.num_threads() - threads <= 0


def _idles(host: psutil.Process) -> None:
    before, began = computed(host), time.monotonic()
    time.sleep(3.0)
    assert computed(host) - before <= IDLE_SHARE * (time.monotonic() - began)


def _outlives_deaths(pool: snakepit.Pool, victims: list[int]) -> None:
    futures = [pool.submit("hold", {"seconds": 1.0}) for _ in range(WORKERS)]
    wait_until(lambda: pool.stats().running == WORKERS, "a call on each")
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    errors = [future.exception() for future in futures]
    assert [type(error) for error in errors if error is not None] == [snakepit.WorkerCrashed] * len(victims)
    all_ready(pool)
    assert pool.stats().restarts == len(victims)


def _has_sessions(pool: snakepit.Pool) -> None:
    sessions = [pool.session(f"session-{number}") for number in range(WORKERS)]
    homes = [future.result() for future in [session.submit("hold", {"seconds": 1.0}) for session in sessions]]
    assert len(set(homes)) == WORKERS
    assert [future.result() for future in [session.submit("where") for session in sessions]] == homes
    for session in sessions:
        session.end()
