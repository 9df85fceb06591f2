"""The host's half of the guardian: a process that starts this pool's workers, and outlives neither them nor this host.

`guardian_program` says what it does. One per pool: it ends with it, and what it has to report is of interest on one loop alone.
Lives on the pool's loop.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import marshal
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from snakepit.telemetry.logs import library_logger

from . import guardian_proc, guardian_program
from .our_ends import our_ends

_log = library_logger("snakepit.pool")

#: How long the guardian may take to end all that is left when the pool closes, before it is killed (seconds).
_END_SECONDS = 3.0
_LOOK_SECONDS = 0.002
#: When a thread that cannot be started is tried again (seconds).
_AGAIN_SECONDS = 0.1
#: A guardian that has not carried out a kill, or its own end, after so long is looked at (seconds): is it stopped?
_STUCK_SECONDS = 0.5

_DIRECTORY = str(Path(guardian_program.__file__).resolve().parent)
#: Imported, and not run as a file: then it is compiled once, not at each start.
_PROGRAM = "import sys; sys.path.append(sys.argv.pop(1)); import guardian_program; guardian_program.main()"


class Ward:
    """A process that the guardian has started, or will have in a moment.

    Attributes:
        number: what the guardian calls it. pid: None until it has been started.
        exited: set to its exit status as `subprocess` has it; `rss`: the most memory that it and its reaped children had (bytes).
    """

    def __init__(self, guardian: Guardian, number: int, loop: asyncio.AbstractEventLoop, on_failed: Callable[[OSError], None]) -> None:
        self.pid: int | None = None
        self.rss = 0
        self.exited: asyncio.Future[int] = loop.create_future()
        self.on_failed = on_failed
        self._guardian = guardian
        self.number = number

    def terminate(self) -> None:
        """Ask it to end (SIGTERM)."""
        self._guardian.order({"terminate": self.number})

    def report(self) -> None:
        """Make it report where its threads are (SIGUSR1)."""
        self._guardian.order({"report": self.number})

    def kill(self) -> None:
        """End it and all that descends from it (SIGKILL). From any thread."""
        self._guardian.order({"kill": self.number})
        self._guardian.look_soon()


class Guardian:
    """One guardian process, started with the first worker, and anew if somebody has killed it.

    Args:
        run: names the run in the environment of all it starts; leftovers of dead runs of that name are ended.
    """

    def __init__(self, run: str) -> None:
        self._run = run
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._wards: dict[int, Ward] = {}
        self._number = self._pid = 0  # of the guardian itself: what we have started is its keeper
        self._backlog: collections.deque[tuple[bytes, list[int]]] = collections.deque()  # orders, with descriptors of ours
        self._sending = threading.RLock()  # around the socket and the backlog; a garbage collection may give an order meanwhile
        self._sweeps: set[asyncio.Future[None]] = set()

    def start(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        descriptors: Mapping[int, int],
        run_directory: str,
        on_failed: Callable[[OSError], None],
        template: int = -1,
    ) -> Ward:
        """Have a process started.

        Args:
            descriptors: what it gets at which place: place -> descriptor of ours. Nothing else is inherited.
            run_directory: removed when this host has died.
            on_failed: told why it could not be started; `exited` is set then too.
            template: it is to be a template: the place of its socket to the guardian.

        Raises:
            OSError: the guardian itself cannot be started, or takes no order.
        """
        what = {
            "command": [os.fsencode(item) for item in command],
            "env": [os.fsencode(f"{name}={value}") for name, value in env.items()],
            "cwd": os.fsencode(cwd or _here()),
            "places": list(descriptors),
            "run_directory": run_directory,
            "template": template,
        }
        return self._started(marshal.dumps(what), list(descriptors.values()), on_failed)

    def fork(self, template: Ward, request: bytes, descriptors: Sequence[int], on_failed: Callable[[OSError], None]) -> Ward:
        """Have a template fork a process.

        Args:
            request: what the template is to know, in a file beside the descriptors. on_failed: see `start`.

        Raises:
            OSError: the guardian takes no order.
        """
        return self._started(request, descriptors, on_failed, template)

    def _started(
        self, content: bytes, descriptors: Sequence[int], on_failed: Callable[[OSError], None], template: Ward | None = None
    ) -> Ward:
        if self._socket is None:
            self._begin()
        self._number += 1
        ward = Ward(self, self._number, self._loop, on_failed)
        order = {"start": ward.number} if template is None else {"start": ward.number, "from": template.number}
        file = os.memfd_create("snakepit-start", os.MFD_CLOEXEC)
        try:
            with os.fdopen(os.dup(file), "wb") as writer:
                writer.write(content)
            os.lseek(file, 0, os.SEEK_SET)
            self._send(marshal.dumps(order), [file, *descriptors])
        finally:
            os.close(file)
        self._wards[ward.number] = ward
        return ward

    def order(self, order: dict[str, int]) -> None:
        """Tell the guardian what to do, if it is there. From any thread."""
        with contextlib.suppress(OSError, RuntimeError):  # it has ended, or the loop, and with it what it was to be told of
            self._send(marshal.dumps(order), [])

    async def close(self) -> None:
        """End it, and all that is left below it; bounded."""
        process = self._process
        self._forget()
        if process is not None:
            await self._ended(process)
        if self._sweeps:
            await asyncio.wait(self._sweeps, timeout=_END_SECONDS)

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _PROGRAM, _DIRECTORY, str(theirs.fileno()), str(os.getpid()), self._run],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C in the terminal is the host's affair
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        our_ends.add(ours.fileno())
        self._socket = ours
        self._loop.add_reader(ours.fileno(), self._read)

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        """Send an order now, or behind those that the socket has not taken yet: none overtakes another."""
        with self._sending:
            if self._socket is None:
                return
            if not self._backlog:
                try:
                    socket.send_fds(self._socket, [data], fds)
                except BlockingIOError:  # it has more to do than its socket takes
                    self._loop.call_soon_threadsafe(self._wait_to_write)
                else:
                    return
            self._backlog.append((data, [os.dup(fd) for fd in fds]))

    def _wait_to_write(self) -> None:
        if self._socket is not None:
            self._loop.add_writer(self._socket.fileno(), self._write)

    def _write(self) -> None:
        with self._sending, contextlib.suppress(OSError):  # full again; or it has ended, which its end of file tells
            assert self._socket is not None
            while self._backlog:
                data, fds = self._backlog[0]
                socket.send_fds(self._socket, [data], fds)
                self._backlog.popleft()
                _close_all(fds)
            self._loop.remove_writer(self._socket.fileno())

    def _read(self) -> None:
        assert self._socket is not None
        for _ in range(100):
            try:
                data = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            self._take(marshal.loads(data))  # noqa: S302 - our own child's

    def _take(self, news: dict[str, Any]) -> None:
        if "guardian" in news:
            self._pid = news["guardian"]
        elif "started" in news:
            self._wards[news["started"]].pid = news["pid"]
        elif "failed" in news:
            ward = self._wards.pop(news["failed"])
            ward.on_failed(OSError(news["errno"], os.strerror(news["errno"]), news["what"]))
            _set(ward.exited, 127)
        else:
            ward = self._wards.pop(news["exited"])
            ward.rss = news["rss"]
            _set(ward.exited, news["status"])

    def _lost(self) -> None:
        """It was killed: the kernel kills its workers. What they have left is found by its mark."""
        process, wards = self._process, list(self._wards.values())
        self._forget()
        _log.warning("the guardian of this pool's workers was killed: they have ended with it, and a new one starts others")
        for ward in wards:
            if ward.pid is None:
                ward.on_failed(OSError(errno.EPIPE, "the guardian has ended"))
            _set(ward.exited, -signal.SIGKILL)
        if process is not None:
            sweep = self._loop.create_future()
            self._sweeps.add(sweep)
            sweep.add_done_callback(self._sweeps.discard)
            self._begin_sweep(process, sweep)

    def _begin_sweep(self, process: subprocess.Popen[bytes], sweep: asyncio.Future[None]) -> None:
        try:
            threading.Thread(target=self._sweep, args=(process, sweep), name="snakepit-sweep", daemon=True).start()
        except RuntimeError:  # the machine has no thread left now
            self._loop.call_later(_AGAIN_SECONDS, self._begin_sweep, process, sweep)

    def _sweep(self, process: subprocess.Popen[bytes], done: asyncio.Future[None]) -> None:
        process.wait()
        until = time.monotonic() + _END_SECONDS
        while (found := guardian_proc.leftovers(self._run)) and time.monotonic() < until:
            guardian_proc.signal_all(found, signal.SIGKILL)
            time.sleep(0.005)
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(_set, done, None)

    def _forget(self) -> None:
        with self._sending:
            sock, self._socket, self._process = self._socket, None, None
            while self._backlog:
                _close_all(self._backlog.popleft()[1])
        self._wards.clear()
        if sock is not None:
            self._loop.remove_reader(sock.fileno())
            self._loop.remove_writer(sock.fileno())
            our_ends.discard(sock.fileno())
            sock.close()

    async def _ended(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for its end, and reap it; bounded."""
        for turn in range(int(_END_SECONDS / _LOOK_SECONDS)):
            if process.poll() is not None:
                return
            if turn == int(_STUCK_SECONDS / _LOOK_SECONDS):
                self._end_if_stopped()
            await asyncio.sleep(_LOOK_SECONDS)
        process.kill()
        process.wait()

    def look_soon(self) -> None:
        """It has been told to kill something: if it is stopped, it cannot. From any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has been closed
            self._loop.call_soon_threadsafe(self._loop.call_later, _STUCK_SECONDS, self._end_if_stopped)

    def _end_if_stopped(self) -> None:
        """Kill a guardian that somebody has stopped: its keeper ends everything below it, and a new one starts others."""
        fields = guardian_proc.stat_of(self._pid) if self._pid else None
        if fields is not None and fields[0] in (b"T", b"t"):
            guardian_proc.signal_all([self._pid], signal.SIGKILL)


def _set(future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        future.set_result(value)


def _close_all(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it has been removed
        return "/"
