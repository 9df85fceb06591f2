"""What clients of a gateway leave behind when they are killed: nothing, at once. The gateway is a process of its own, and so is each client."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from promise_figures import often
from snakepit.cli.hosts import look

pytestmark = pytest.mark.slow

_SERVE = [sys.executable, "-m", "snakepit", "serve", "--address", "127.0.0.1:0", "--json", "--size", "1", "--adapter"]
_CALL = [sys.executable, "-m", "snakepit", "call", "--json", "--target"]


@pytest.fixture
def gateway(tools: str) -> Iterator[tuple[int, str]]:
    """Its process id and address."""
    with subprocess.Popen([*_SERVE, f"{tools}:Sleeping"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.pid, json.loads(process.stdout.readline())["address"]
        process.terminate()


def _until(pid: int, *, running: int, waiting: int = 0) -> float:
    """When so many calls run and wait."""
    end = time.perf_counter() + 20
    while True:
        told = look(pid).pools[0]
        if (told["stats"]["running"], told["queue"]["waiting"]) == (running, waiting):
            return time.perf_counter()
        assert time.perf_counter() < end, told
        time.sleep(0.002)


def test_a_client_that_is_killed_frees_its_worker(gateway: tuple[int, str], figures: Any, tmp_path: pathlib.Path) -> None:
    """While its tool sits in time.sleep, while it streams, and while its call waits in the queue."""
    pid, address = gateway
    freed = []
    for kind in ("nap", "ticks", "queued"):
        for number in range(often(20, 3)):
            mark = tmp_path / f"{kind}{number}"
            words = ["ticks" if kind == "ticks" else "nap", f"path={mark}"]
            client = subprocess.Popen([*_CALL, address, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while not mark.exists():
                time.sleep(0.002)
            if kind == "queued":
                second = subprocess.Popen([*_CALL, address, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                _until(pid, running=1, waiting=1)
                began = time.perf_counter()
                second.kill()
                freed.append(_until(pid, running=1) - began)
                second.wait()
            began = time.perf_counter()
            client.kill()
            freed.append(_until(pid, running=0) - began)
            client.wait()
    figures("a gateway's client is killed: its worker is free").hold(freed, max=1.0)
