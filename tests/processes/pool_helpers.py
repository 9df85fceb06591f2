"""What the tests of pools share: reading the tools' marks, waiting for a condition, counting connections, running scripts."""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from typing import Any

import psutil

import snakepit

TOOLS = "pool_tools:PoolTools"
ASYNC_TOOLS = "pool_tools:AsyncTools"

#: Where scripts and workers find the library and these helpers.
_PATHS = [str(pathlib.Path(snakepit.__file__).parent.parent), str(pathlib.Path(__file__).parent)]


def wait_until(condition: Callable[[], Any], what: str = "the condition", timeout: float = 10.0) -> Any:
    """The condition's value once it is true.

    Raises:
        AssertionError: it was not within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:g} s"
        time.sleep(0.002)
    return value


class Marks:
    """A folder in which tools say how far they are."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self.text = str(folder)

    def wait(self, name: str, timeout: float = 10.0) -> None:
        """Wait until somebody has said it."""
        wait_until((self._folder / name).exists, f"the mark {name!r} (there are: {sorted(self.said)})", timeout)

    def say(self, name: str) -> None:
        """Say it to the tools."""
        (self._folder / name).touch()

    @property
    def said(self) -> set[str]:
        """What has been said."""
        return {item.name for item in self._folder.iterdir()}


def idle(pool: Any) -> None:
    """Wait until no call of the pool runs or waits."""
    wait_until(lambda: pool.stats().running == 0 and pool.stats().queued == 0, "an idle pool")


def all_ready(pool: Any) -> None:
    """Wait until all workers of the pool serve."""
    wait_until(lambda: pool.stats().workers_ready == pool.stats().size, "all workers")


def endpoints(pool: Any) -> list[str]:
    """The live addresses of a pool's workers."""
    return [handle.info().endpoint for handle in pool.workers()]


def unix_connections(path: str) -> int:
    """How many connections the server of a unix socket has accepted and not closed."""
    rows = [row.split() for row in pathlib.Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()[1:]]
    connected = "03"  # SS_CONNECTED; a listening socket is 01
    return sum(len(row) == 8 and row[7] == path and row[5] == connected for row in rows)


def tcp_connections(port: int) -> int:
    """How many connections a server on this port has accepted and not closed."""
    return sum(row.laddr.port == port and row.status == psutil.CONN_ESTABLISHED for row in psutil.net_connections("tcp"))


def tcp_listeners(port: int) -> set[str]:
    """The addresses at which somebody listens on this port."""
    rows = psutil.net_connections("tcp")
    return {row.laddr.ip.removeprefix("::ffff:") for row in rows if row.laddr.port == port and row.status == psutil.CONN_LISTEN}


def script(text: str, *args: str, **variables: str) -> subprocess.Popen[str]:
    """Start a Python script that can import the library and these helpers; its group can be signalled."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(_PATHS), **variables}
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(text), *args]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def finished(process: subprocess.Popen[str], timeout: float = 30.0) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a script; killed if it does not end in time."""
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"the script did not end within {timeout:g} s\n{out}\n{err}") from None
    return process.returncode, out, err


def is_alive(pid: int) -> bool:
    """Does a process of that number run (not as a zombie)?"""
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
