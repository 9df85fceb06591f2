"""Starts foreign servers that speak `snakepit.bridge.BridgeService` as Snakepit starts its own workers: `protocol="bridge"`.

The command gets Snakepit's arguments and environment; the server says that it is ready by writing its port into a file.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

from snakepit._channel.bridge.carrier import BridgeCarrier
from snakepit._channel.bridge.service import HostHalf
from snakepit_bridge.wire.codecs import available_codecs

from . import LaunchSpec, PlainLauncher
from .command import has_option
from .process import Handed, WorkerProcess, guardian_for, started

#: How often it is looked whether the server is ready (seconds).
_LOOK_SECONDS = 0.02


class BridgeLauncher(PlainLauncher):
    """Starts servers by a command line.

    Args:
        run: names the run in the environment of what it starts. folder: where readiness files lie.
    """

    name = "bridge"

    def __init__(self, run: str, folder: Callable[[], Path]) -> None:
        self._guardian = guardian_for(run)
        self._run_id = secrets.token_hex(4)[:7]
        self._folder = folder
        self._host: HostHalf | None = None

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> ServerProcess:
        """Start one server; see `Launcher.start`."""
        if self._host is None:
            self._host = HostHalf()
        ready = self._folder() / f"{spec.worker_id}.ready"
        process = started(
            self._guardian,
            self._command(spec, self._host.port),
            on_output,
            Handed({}),
            env={**os.environ, **spec.env, "SNAKEPIT_READY_FILE": str(ready), "PYTHONUNBUFFERED": "1"},
            cwd=spec.cwd,
            run_directory=spec.run_directory,
        )
        return ServerProcess(
            process, BridgeCarrier(spec.worker_id, self._host, max(1, spec.threads), process.terminate), ready, spec.command[0]
        )

    async def close(self) -> None:
        """End what is left of what it started."""
        if self._guardian is not None:
            await self._guardian.close()
        if self._host is not None:
            await self._host.close()

    def _command(self, spec: LaunchSpec, port: int) -> list[str]:
        command = list(spec.command)
        if not has_option(command, "--adapter"):
            command += [arg for ref in spec.adapter for arg in ("--adapter", ref)]
        if spec.threads > 1 and not has_option(command, "--max-workers"):
            command += ["--max-workers", str(spec.threads)]
        return [*command, "--port", "0", "--elixir-address", f"127.0.0.1:{port}", "--snakepit-run-id", self._run_id]


class ServerProcess:
    """A server's process, with the channel to it, which reports when the server has written its file.

    Args:
        process: what was started. ready: the file. executable: who is named in messages.
    """

    def __init__(self, process: WorkerProcess, carrier: BridgeCarrier, ready: Path, executable: str) -> None:
        self._process = process
        self._ready = ready
        self._executable = executable
        self._loop = asyncio.get_running_loop()
        self.channel = carrier
        self.exited = process.exited
        self.report: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        process.report.add_done_callback(self._ended)  # it says nothing by itself: only that it could not be started, or has ended
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    @property
    def pid(self) -> int | None:
        """Its number; None until it has been started."""
        return self._process.pid

    @property
    def rss(self) -> int:
        """The most memory that it had (bytes); 0: not known, or it lives."""
        return self._process.rss

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._process.terminate()

    def look(self, then: Callable[[str], None]) -> None:
        """Where its threads are: a foreign server does not tell."""
        self._process.look(then)

    def kill(self) -> None:
        """End it and what it has started (SIGKILL)."""
        self._process.kill()

    async def close(self) -> None:
        """See `WorkerProcess`."""
        self._timer.cancel()
        self._ready.unlink(missing_ok=True)
        await self._process.close()

    def _ended(self, report: asyncio.Future[dict[str, Any] | None]) -> None:
        self._timer.cancel()
        if not self.report.done():
            self.report.set_result(None if report.cancelled() else report.result())

    def _look(self) -> None:
        """Is the file there? Until it is, or the process has ended, which the pool bounds."""
        try:
            text = self._ready.read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            text = ""
        if text.isdecimal() and not self.report.done():
            self._ready.unlink(missing_ok=True)
            self.channel.address = f"127.0.0.1:{text}"
            self.report.set_result({"ready": self.channel.address, "codecs": available_codecs(), "executable": self._executable})
        elif not self.report.done():
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)
