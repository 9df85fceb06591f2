"""Crashes in the middle of large transfers: no call hangs, no result is wrong, and no piece of shared memory is left."""

from __future__ import annotations

import contextlib
import gc
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

import memory_of
import snakepit
from promise_figures import measured, often
from transfer_tools import Load, Transfers, halves

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("leaves_nothing"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc"),
]

_MIB = 1024 * 1024
_HOST = str(pathlib.Path(__file__).with_name("transfer_tools.py"))
_CARRIERS = pytest.mark.parametrize(
    ("protocol", "limit"),
    [("msgpack", 64 * _MIB), ("msgpack", 0), ("grpc", 64 * _MIB), ("grpc", 0)],
    ids=["msgpack-shared", "msgpack-channel", "grpc-shared", "grpc-channel"],
)


def _until(condition: Any, what: str, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} not within {seconds:g} s"
        time.sleep(0.01)


def _lives(process: psutil.Process) -> bool:
    """An orphan that has ended waits for the system to take note of it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@_CARRIERS
def test_workers_that_are_killed_in_transfers_leave_nothing(protocol: str, limit: int) -> None:
    """Arguments, results, chunks and host tools' arrays are on their way: each call ends right or with its worker, and the rest goes on."""
    kills, seed = often(500, 8), random.randrange(2**32)
    dice, struck = random.Random(seed), 0
    with snakepit.Pool(Transfers, size=2, protocol=protocol, shared_memory_limit=limit, launcher="template", max_restarts=10**6) as pool:
        pool.register_tool(halves)
        load = Load(pool, seed)
        load.start()
        while struck < kills:
            time.sleep(dice.uniform(0.0, 0.06))
            ready = [handle.pid for handle in pool.workers() if handle.info().state == "ready" and handle.pid]
            with contextlib.suppress(ProcessLookupError, IndexError):  # it has just ended, or none is ready
                os.kill(dice.choice(ready), signal.SIGKILL)
                struck += 1
        assert load.stop(), f"seed {seed}: a call has not ended"
        _until(lambda: pool.stats().workers_ready == 2, "the pool is whole again")
        stats, ends = pool.stats(), load.ends
        gc.collect()
        _until(lambda: memory_of.mapped(os.getpid()) <= 2 * 2 * max(limit, 1), "what dead workers had lent is let go")
        assert load.wrong == [], f"seed {seed}"
        assert kills // 4 <= ends["crashed"] <= kills, f"seed {seed}: {ends}"
        assert stats.submitted == stats.succeeded + stats.crashed == ends.total(), f"seed {seed}"
    assert (memory_of.segments(os.getpid()), memory_of.mapped(os.getpid())) == ({}, 0), f"seed {seed}"
    how = f"{protocol} {'and shared memory' if limit else 'alone'}"
    measured.append(f"{struck} workers killed in transfers over {how}: {ends['crashed']} calls ended with them, {ends['well']} well")


@_CARRIERS
def test_a_host_that_is_killed_in_transfers_leaves_nothing(protocol: str, limit: int) -> None:
    """Its workers are gone in two seconds, and no process has a piece of their shared memory open or mapped."""
    seen = 0
    for number in range(often(50, 1)):
        command = [sys.executable, _HOST, protocol, str(limit), str(number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as host:
            assert host.stdout is not None
            assert host.stdout.readline() == "transfers\n"
            time.sleep(random.uniform(0.0, 0.1))
            family = [psutil.Process(host.pid), *psutil.Process(host.pid).children(recursive=True)]
            pieces = {name for process in family for name in memory_of.segments(process.pid)}
            seen += len(pieces)
            host.kill()
            _until(lambda family=family: not any(map(_lives, family)), "its processes end", 2.0)
            assert not pieces & memory_of.everywhere()
    assert (seen > 0) == (limit > 0)
    measured.append(
        f"{number + 1} hosts killed in transfers over {protocol} {'and shared memory' if limit else 'alone'}: {seen} segments, all gone"
    )
