"""One worker process as the host holds it: its outputs, its report, its channel where it inherited one, its end.

The end of a process is learned from the kernel (a pidfd), never by asking. Whatever the worker left in its process group
ends with it. The launchers make these.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterable
from typing import Any

from snakepit._channel.stream_carrier import StreamCarrier, parse_report
from snakepit.errors import ChannelError

from .lines import Lines

#: The host's ends of what its workers inherited. A forked copy of the host must not hold them open: they say that the host lives.
_our_ends: set[int] = set()


def _after_fork_in_child() -> None:
    for fd in _our_ends:
        with contextlib.suppress(OSError):
            os.close(fd)
    _our_ends.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)


class WorkerProcess:
    """One worker process and its descriptors.

    Args:
        popen: the process; its pipes are its outputs.
        on_output: called with what it prints; see `Lines`.
        lifeline: our end of the socket on which it reports; None: it reports on its channel.
        channel: our ends of what carries its channel: (what we read, what we write), which may be one socket; None: it listens.
    """

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        on_output: Callable[[str, str, str], None],
        lifeline: socket.socket | None,
        channel: tuple[socket.socket, socket.socket] | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._popen = popen
        self.pid = popen.pid
        self.report: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        pipes = [(name, pipe) for name, pipe in (("stdout", popen.stdout), ("stderr", popen.stderr)) if pipe is not None]
        self._outputs = [(Lines(self._loop, name, on_output), pipe) for name, pipe in pipes]
        self._lifeline = _Report(self.report)
        self.channel = StreamCarrier(self._loop) if channel is not None else None
        self._sockets = [*(channel or ()), *([lifeline] if lifeline is not None else [])]
        self._fds = {sock.fileno() for sock in self._sockets}
        _our_ends.update(self._fds)
        self._opened = self._loop.create_task(self._open(lifeline, channel), name=f"open-{self.pid}")
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
            for sock in self._sockets:
                sock.close()
            for _, pipe in self._outputs:
                pipe.close()
        elif self._outputs:
            await asyncio.wait([lines.ended for lines, _ in self._outputs], timeout=0.5)
        for lines, _ in self._outputs:
            lines.close()
        _our_ends.difference_update(self._fds)
        self._lifeline.close()
        if self.channel is not None:
            await self.channel.close()
        await asyncio.sleep(0)  # transports close their descriptors in a callback

    async def _open(self, lifeline: socket.socket | None, channel: tuple[socket.socket, socket.socket] | None) -> None:
        if self.channel is not None and channel is not None:
            await self.channel.open(*channel)
            if lifeline is None:
                self.channel.first.add_done_callback(self._reported)
        if lifeline is not None:
            await self._loop.create_unix_connection(lambda: self._lifeline, sock=lifeline)
        for lines, pipe in self._outputs:
            await self._loop.connect_read_pipe(functools.partial(_itself, lines), pipe)

    def _reported(self, first: asyncio.Future[bytes]) -> None:
        if self.report.done():
            return
        error = first.exception()
        if error is None:
            self.report.set_result(parse_report(first.result()))
        elif isinstance(error, ChannelError) and not self.exited.done():
            failed = {"kind": "channel", "message": error.message, "hint": _NOISE_HINT, "traceback": ""}
            self._loop.call_later(_STATUS_SECONDS, self._report_failure, failed)

    def _report_failure(self, failed: dict[str, Any]) -> None:
        if not self.report.done():  # else the process has ended, which says more
            self.report.set_result({"failed": failed})

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
            self._report.set_result(parse_report(line))

    def eof_received(self) -> bool:
        return True  # keep our end open: its end of file would mean that we are gone

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


#: A process whose channel has ended usually ends as well, and its exit code says more (seconds).
_STATUS_SECONDS = 0.5
_NOISE_HINT = "what the command starts must print nothing on stdout before the worker speaks there: a login script, a banner"


def started(
    command: list[str],
    on_output: Callable[[str, str, str], None],
    *,
    lifeline: socket.socket | None,
    channel: tuple[socket.socket, socket.socket] | None,
    close_after: Iterable[socket.socket],
    **options: Any,
) -> WorkerProcess:
    """Start a process in a session of its own: Ctrl-C in the terminal is the host's affair, and its group ends with it.

    Args:
        close_after: the worker's ends, which are closed here once it has them.
        **options: of `subprocess.Popen`.

    Raises:
        OSError: the process could not be started.
    """
    try:
        popen = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, **options)
    except BaseException:
        for sock in (lifeline, *(channel or ())):
            if sock is not None:
                sock.close()
        raise
    finally:
        for sock in close_after:
            sock.close()
    return WorkerProcess(popen, on_output, lifeline, channel)


def _itself(protocol: Lines) -> Lines:
    return protocol


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
