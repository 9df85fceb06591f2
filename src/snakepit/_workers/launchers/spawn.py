"""Starts each worker as a fresh interpreter, in a session of its own, with its output captured.

The end of a process is learned from the kernel (a pidfd), never by asking. Whatever the worker left in its process group
ends with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import snakepit_bridge

from . import LaunchSpec
from .lines import Lines

_SECRET_VARIABLE = "SNAKEPIT_CHANNEL_SECRET"
_PATH_VARIABLE = "SNAKEPIT_HOST_PATH"

#: Finds the SDK where the host has it; after everything else, so that nothing is shadowed.
_BOOT = "import sys; sys.path.append(sys.argv.pop(1)); from snakepit_bridge._runtime.main import main; sys.exit(main(sys.argv[1:]))"


#: The host's ends of its workers' lifelines. A forked copy of the host must not hold them open: they say that the host lives.
_lifelines: set[int] = set()


def _after_fork_in_child() -> None:
    for fd in _lifelines:
        with contextlib.suppress(OSError):
            os.close(fd)
    _lifelines.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)


class SpawnLauncher:
    """Starts workers by `subprocess`."""

    def start(self, spec: LaunchSpec, on_output: Callable[[str, str, str], None]) -> SpawnedProcess:
        """Start one worker; see `Launcher.start`."""
        ours, theirs = socket.socketpair()
        try:
            popen = subprocess.Popen(
                _command(spec, theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=_environment(spec),
                cwd=spec.cwd,
                start_new_session=True,  # Ctrl-C in the terminal is the host's affair; and its group ends with it
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return SpawnedProcess(popen, ours, on_output)


class SpawnedProcess:
    """One worker process and its three descriptors: the lifeline and the two outputs."""

    def __init__(self, popen: subprocess.Popen[bytes], lifeline: socket.socket, on_output: Callable[[str, str, str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen = popen
        self.pid = popen.pid
        self.report: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self._outputs = [Lines(self._loop, name, on_output) for name in ("stdout", "stderr")]
        self._lifeline = _Report(self.report)
        self._lifeline_fd = lifeline.fileno()
        _lifelines.add(self._lifeline_fd)
        self._raw = [lifeline, popen.stdout, popen.stderr]  # what is left to close if `_open` does not get to it
        self._opened = self._loop.create_task(self._open(lifeline), name=f"open-{self.pid}")
        self._watch_exit()

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        if not self.exited.done():
            self._popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and its process group (SIGKILL)."""
        if not self.exited.done():
            _kill_group(self.pid)

    async def close(self) -> None:
        """Read its outputs to their end (bounded: a child of a tool may hold them open), close every descriptor."""
        await asyncio.wait([self._opened])
        if self._opened.cancelled() or self._opened.exception() is not None:  # the loop is going, or has no descriptors left
            for item in self._raw:
                if item is not None:
                    item.close()
        else:
            await asyncio.wait([line.ended for line in self._outputs], timeout=0.5)
        for output in self._outputs:
            output.close()
        _lifelines.discard(self._lifeline_fd)
        self._lifeline.close()
        await asyncio.sleep(0)  # transports close their descriptors in a callback

    async def _open(self, lifeline: socket.socket) -> None:
        await self._loop.create_unix_connection(lambda: self._lifeline, sock=lifeline)
        for lines, pipe in zip(self._outputs, (self._popen.stdout, self._popen.stderr), strict=True):
            await self._loop.connect_read_pipe(functools.partial(_itself, lines), pipe)

    def _watch_exit(self) -> None:
        try:
            pidfd = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # not Linux, or an old kernel: a thread waits instead
            threading.Thread(target=self._wait_in_thread, name=f"wait-{self.pid}", daemon=True).start()
            return
        self._loop.add_reader(pidfd, self._on_exit, pidfd)

    def _on_exit(self, pidfd: int) -> None:
        self._loop.remove_reader(pidfd)
        os.close(pidfd)
        _kill_group(self.pid)  # before it is reaped, while its number cannot be anybody else's
        self._exited(self._popen.wait())

    def _wait_in_thread(self) -> None:
        status = self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._exited, status)

    def _exited(self, status: int) -> None:
        if not self.exited.done():
            self.exited.set_result(status)
        if not self.report.done():
            self.report.set_result(None)


class _Report(asyncio.Protocol):
    """The lifeline: one line of JSON in; held open for as long as the worker may live."""

    def __init__(self, report: asyncio.Future[dict[str, Any] | None]) -> None:
        self._report = report
        self._pending = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._pending += data
        line, newline, _ = self._pending.partition(b"\n")
        if newline and not self._report.done():
            self._report.set_result(_parse_report(line))

    def eof_received(self) -> bool:
        return True  # keep our end open: its end of file would mean that we are gone

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _itself(protocol: Lines) -> Lines:
    return protocol


def _parse_report(line: bytes) -> dict[str, Any]:
    try:
        report = json.loads(line)
    except ValueError:
        report = None
    if not isinstance(report, dict):
        return {"failed": {"kind": "start", "message": "the worker's report is not JSON", "hint": "", "traceback": ""}}
    return report


def _command(spec: LaunchSpec, lifeline: int) -> list[str]:
    options = [arg for ref in spec.adapter for arg in ("--adapter", ref)]
    options += ["--listen", spec.listen, "--worker-id", spec.worker_id, "--lifeline-fd", str(lifeline)]
    options += ["--run-directory", spec.run_directory] if spec.run_directory else []
    if spec.python == sys.executable:
        flags: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        return [spec.python, *flags, "-c", _BOOT, str(pathlib.Path(snakepit_bridge.__file__).parent.parent), *options]
    return [spec.python, "-m", "snakepit_bridge", *options]


def _environment(spec: LaunchSpec) -> dict[str, str]:
    env = {**os.environ, **spec.env, _SECRET_VARIABLE: spec.secret}
    if spec.python == sys.executable:
        env[_PATH_VARIABLE] = json.dumps([entry for entry in sys.path if entry])
    return env


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
