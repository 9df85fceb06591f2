"""One worker process as the host holds it: its outputs, its report, its channel where it inherited one, its end.

The launchers make these. On Linux a guardian starts, watches and ends the process itself; elsewhere this host does.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple, Protocol

from snakepit._channel.stream_carrier import StreamCarrier, parse_report
from snakepit._workers import outside
from snakepit._workers.guardian import Guardian
from snakepit._workers.our_ends import our_ends
from snakepit._workers.stacks import StackReports
from snakepit.errors import ChannelError

from . import popen
from .lines import Lines


class Body(Protocol):
    """The process itself: a `Ward`, or a `Child`."""

    pid: int | None
    rss: int
    exited: asyncio.Future[int]

    def terminate(self) -> None: ...

    def report(self) -> None: ...

    def kill(self) -> None: ...


class WorkerProcess:
    """One worker process and its descriptors.

    Args:
        body: the process itself.
        outputs: what it prints to, by name.
        on_output: called with what it prints; see `Lines`.
        lifeline: our end of the socket on which it reports; None: it reports on its channel.
        channel: our ends of what carries its channel: (what we read, what we write), which may be one socket; None: it listens.
        stacks: our end of the socket on which it reports where its threads are; None: it cannot.
    """

    def __init__(
        self,
        body: Body,
        outputs: Mapping[str, IO[bytes]],
        on_output: Callable[[str, str, str], None],
        lifeline: socket.socket | None,
        channel: tuple[socket.socket, socket.socket] | None,
        stacks: socket.socket | None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._stacks = StackReports(stacks, body.report) if stacks is not None else None
        self.body = body
        self.exited = body.exited
        self.report: asyncio.Future[dict[str, Any] | None] = self._loop.create_future()
        self._outputs = [(Lines(self._loop, name, on_output), pipe) for name, pipe in outputs.items()]
        self._lifeline = _Report(self.report)
        self.channel = StreamCarrier(self._loop) if channel is not None else None
        self._sockets = [*(channel or ()), *([lifeline] if lifeline is not None else [])]
        self._fds = {sock.fileno() for sock in self._sockets}
        our_ends.update(self._fds)
        self._opened = self._loop.create_task(self._open(lifeline, channel), name="open-worker")
        self.exited.add_done_callback(self._no_report)

    @property
    def pid(self) -> int | None:
        """Its number; None until it has been started."""
        return self.body.pid

    @property
    def rss(self) -> int:
        """The most memory that it had (bytes); 0: not known, or it lives."""
        return self.body.rss

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self.body.terminate()

    def look(self, then: Callable[[str], None]) -> None:
        """Ask where its threads are; `then` is called with its report, soon, or with an empty text."""
        pid = self.body.pid
        if self._stacks is None or self.exited.done() or pid is None:
            then("")
        elif outside.answers(pid):
            self._stacks.request(then)
        else:
            outside.look(pid, then)

    def kill(self) -> None:
        """End it and what it has started (SIGKILL)."""
        self.body.kill()

    def fail(self, failed: dict[str, Any]) -> None:
        """Report why it could not be started."""
        if not self.report.done():
            self.report.set_result({"failed": failed})

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
        if self._stacks is not None:
            self._stacks.close()
        our_ends.difference_update(self._fds)
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
            if self.channel is not None and self.channel.noise:
                self.fail(failed)  # at once: the worker behind a greeting, whose channel has been broken off, is about to end
            else:
                self._loop.call_later(_STATUS_SECONDS, self.fail, failed)  # unless the process has ended by then, which says more

    def _no_report(self, _exited: asyncio.Future[int]) -> None:
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


class Handed(NamedTuple):
    """What a process is given, and our ends of it.

    Attributes:
        descriptors: what it gets, by place; closed here once it has them.
        lifeline, channel, stacks: see `WorkerProcess`.
    """

    descriptors: Mapping[int, socket.socket]
    lifeline: socket.socket | None = None
    channel: tuple[socket.socket, socket.socket] | None = None
    stacks: socket.socket | None = None


def started(
    guardian: Guardian | None,
    command: Sequence[str],
    on_output: Callable[[str, str, str], None],
    handed: Handed,
    *,
    env: Mapping[str, str],
    cwd: str | None,
    run_directory: str,
    template: int = -1,
) -> WorkerProcess:
    """Start a process. Its outputs come here, and its stdin is empty, unless they are among its descriptors.

    Args:
        guardian: starts it; None: this host does.
        template: see `Guardian.start`.

    Raises:
        OSError: the process could not be started.
    """

    def begin(places: Mapping[int, int], fail: Callable[[dict[str, Any]], None]) -> Body:
        if guardian is None:
            return popen.start(command, env, cwd, places)
        failed = functools.partial(_could_not_start, command, fail)
        return guardian.start(command, env, cwd, places, run_directory, failed, template)

    return assembled(begin, on_output, handed)


def assembled(
    begin: Callable[[Mapping[int, int], Callable[[dict[str, Any]], None]], Body],
    on_output: Callable[[str, str, str], None],
    handed: Handed,
) -> WorkerProcess:
    """A process with its outputs and channels.

    Args:
        begin: has it started with descriptors at places; calls the function that it is given if that fails later.

    Raises:
        OSError: the process could not be started.
    """
    outputs: dict[str, IO[bytes]] = {}
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as ours:
        places = {place: theirs.enter_context(sock).fileno() for place, sock in handed.descriptors.items()}
        for sock in (handed.lifeline, handed.stacks, *(handed.channel or ())):
            if sock is not None:
                ours.enter_context(sock)
        if 0 not in places:
            places[0] = theirs.enter_context(open(os.devnull, "rb")).fileno()  # noqa: PTH123 - bytes are read by who gets it
        for place, name in ((1, "stdout"), (2, "stderr")):
            if place not in places:
                read, write = os.pipe()
                outputs[name] = ours.enter_context(os.fdopen(read, "rb", buffering=0))
                places[place] = theirs.enter_context(os.fdopen(write, "wb", buffering=0)).fileno()
        made: list[WorkerProcess] = []

        def fail(failed: dict[str, Any]) -> None:
            made[0].fail(failed)  # later than now: it is told by the guardian

        body = begin(places, fail)
        ours.pop_all()
    made.append(WorkerProcess(body, outputs, on_output, handed.lifeline, handed.channel, handed.stacks))
    return made[0]


def _could_not_start(command: Sequence[str], fail: Callable[[dict[str, Any]], None], error: OSError) -> None:
    message = f"{command[0]} cannot be started: {error.strerror}"
    if error.filename == "cwd":
        message = f"its working directory cannot be entered: {error.strerror}"
    fail({"kind": "start", "message": message, "hint": "", "traceback": ""})


def guardian_for(run: str) -> Guardian | None:
    """What starts workers so that they cannot outlive the host; None where there is no such thing."""
    return Guardian(run) if sys.platform == "linux" else None


def _itself(protocol: Lines) -> Lines:
    return protocol
