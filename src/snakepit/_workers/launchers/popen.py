"""A process that this host itself has started, where there is no guardian: elsewhere than on Linux.

Its end is the end of its process group; what has left that may outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence


class Child:
    """One process; see `Ward` for the names."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen = popen
        self.pid: int | None = popen.pid
        self.rss = 0
        self.exited: asyncio.Future[int] = self._loop.create_future()
        threading.Thread(target=self._wait, name=f"wait-{popen.pid}", daemon=True).start()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if not self.exited.done():
            self._popen.send_signal(signal.SIGTERM)

    def report(self) -> None:
        """Make it report where its threads are (SIGUSR1)."""
        if not self.exited.done():
            self._popen.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it and its process group (SIGKILL)."""
        if not self.exited.done():
            _kill_group(self._popen.pid)

    def _wait(self) -> None:
        os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOWAIT)
        _kill_group(self._popen.pid)  # before it is reaped, while its number cannot be anybody else's
        status = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._exited, status)

    def _exited(self, status: int) -> None:
        if not self.exited.done():
            self.exited.set_result(status)


def start(command: Sequence[str], env: Mapping[str, str], cwd: str | None, descriptors: Mapping[int, int]) -> Child:
    """Start a process in a session of its own: Ctrl-C in the terminal is the host's affair.

    Raises:
        OSError: it could not be started.
    """
    places = {place: descriptors.get(place, subprocess.DEVNULL) for place in range(3)}
    popen = subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=places[0],
        stdout=places[1],
        stderr=places[2],
        pass_fds=[descriptor for place, descriptor in descriptors.items() if place > 2],
        start_new_session=True,
    )
    return Child(popen)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
