"""The carrier of the MessagePack and JSON protocols in the worker: length-prefixed messages over two descriptors.

One plain thread reads. What waits is written by whoever made it wait, on the main thread or the reading one, while it is
little; a flood, what other threads send, and the rest of something large are left to a writing thread. The descriptors close
on exec and in forked children: what a tool leaves behind cannot keep a dead worker's channel open.
"""

import _socket  # the C half of `socket`: what that adds, enumerations above all, takes a millisecond of each start
import errno
import functools
import json
import os
import queue
import select
import stat
import struct
import sys
import threading
from typing import Any, Callable, Optional

from ..wire.codecs import available_codecs, codec_named
from ..wire.frames import PROTOCOL_VERSION, Fault
from ..wire.framing import Deframer, frame_message
from .cancel import uninterrupted
from .executor import Executor
from .lifeline import end_everything
from .link import Link

#: Read at once (bytes).
_READ_BYTES = 256 * 1024
#: What the main thread, and the reading one, write by themselves before they leave the rest to the writing thread (bytes).
_MAIN_BYTES = 1024 * 1024
_READER_BYTES = 16 * 1024
#: How often the reading thread looks whether its descriptor is still open (seconds).
_LOOK_UP_SECONDS = 1
#: How long `stop` waits for what has been sent to leave (seconds).
_STOP_SECONDS = 3.0


class StreamServer:
    """Serves one executor to the host at the other end. Until it has one, it watches that the host lives.

    Args:
        grace: seconds in which a worker without a lifeline may clean up once the host has gone; then it ends. None: a lifeline sees to it.
    """

    sure = True  # what `next_message` gave has been written before it is asked again

    def __init__(self, read_fd: int, write_fd: int, grace: Optional[float] = None) -> None:
        self._executor: Optional[Executor] = None
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._grace = grace
        self._main = threading.get_ident()
        self._link: Optional[Link] = None
        self._broken = False
        self._stopping = False
        self._writing = threading.Lock()  # held by the one thread that writes
        self._rest: queue.SimpleQueue[None] = queue.SimpleQueue()  # something is left to the writing thread
        self._told = False  # and it has been told
        self._reader = threading.Thread(target=self._read, name="snakepit-reader", daemon=True)
        self._writer = threading.Thread(target=self._write_rest, name="snakepit-writer", daemon=True)
        keep_private(read_fd, write_fd)
        _look_up_now_and_then(read_fd)
        self._writer.start()  # not later: a garbage collection may be the first to need it, and could not start a thread
        self._reader.start()

    def serve(self, executor: Executor) -> None:
        """Hand on what comes; the host sends nothing before it is told that this worker is ready."""
        self._executor = executor

    def stop(self) -> None:
        """Write what is left (bounded)."""
        self._stopping = True
        self._rest.put(None)
        self._writer.join(_STOP_SECONDS)

    # The writing half: see `Writer` ---------------------------------------------------------------------------------------

    def wake(self) -> None:
        here = threading.get_ident()
        if here == self._main:
            self._write(_MAIN_BYTES)
        elif here == self._reader.ident:
            self._write(_READER_BYTES)
        else:  # a thread in which `Cancelled` may be raised at any instruction, or of which nothing is known
            self.wake_for_flood()

    wake_for_chunk = wake

    def wake_for_flood(self) -> None:
        if not self._told:  # also out of a garbage collection, which may run while this very thread is in here
            self._told = True
            self._rest.put(None)

    @uninterrupted
    def _write(self, limit: int) -> None:
        """Write messages until there is none, or more than `limit` bytes (-1: any number) have left: then the writing thread goes on."""
        link, sent = self._link, 0
        if link is None:
            return
        with self._writing:
            while True:
                message = link.next_message()
                if message is None:
                    return
                self._send(frame_message(message))
                if not link.more():
                    return
                sent += len(message)
                if sent > limit >= 0:
                    break
        self.wake_for_flood()

    def _write_rest(self) -> None:
        while not self._stopping:
            self._rest.get()
            self._told = False
            self._write(-1)

    def _send(self, data: bytes) -> None:
        left = memoryview(data)
        while left and not self._broken:
            try:
                left = _written(self._write_fd, left)
            except OSError as error:
                self._broken = True
                _end_if_closed(error)

    # The reading thread ---------------------------------------------------------------------------------------------------

    def _read(self) -> None:
        reason = "the channel was closed"
        readable = select.poll()
        readable.register(self._read_fd, select.POLLIN)
        readable.poll()
        executor = self._executor
        if executor is None:  # the host has gone while the adapter was loaded
            end_everything()
            return
        try:
            reason = self._receive_all(executor) or reason
        except OSError as error:
            _end_if_closed(error)
        except BaseException as error:  # a worker whose channel is dead would keep its callers waiting for ever
            reason = "internal error: %r" % (error,)
            print("snakepit: the channel broke: %s" % reason, file=sys.stderr)
        self._broken = True
        executor.closed(reason)
        if self._grace is not None:
            timer = threading.Timer(self._grace, end_everything)
            timer.daemon = True
            timer.start()

    def _receive_all(self, executor: Executor) -> Optional[str]:
        deframer, buffer = Deframer(), bytearray(_READ_BYTES)
        window = memoryview(buffer)
        receive: Callable[[bytes], Optional[str]] = functools.partial(self._open, executor)
        while True:
            try:
                count = os.readv(self._read_fd, [buffer])
            except BlockingIOError:  # nothing came for a while, or somebody has set the descriptor non-blocking
                _wait_until(self._read_fd, select.POLLIN)
                continue
            if not count:
                return None
            for message in deframer.feed(window[:count]):
                fault = message.reason if isinstance(message, Fault) else receive(message)
                if fault:
                    print("snakepit: what the host sent is not the protocol: %s" % fault, file=sys.stderr)
                    return fault
                receive = executor.receive

    def _open(self, executor: Executor, message: bytes) -> Optional[str]:
        """The host's opening: from here on frames come. What is wrong with it, if anything."""
        try:
            told = json.loads(bytes(message))
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("codec"), str):
            return "it begins with something else than an opening"
        if told.get("protocol") != PROTOCOL_VERSION:
            versions = (told.get("protocol"), PROTOCOL_VERSION)
            return "it speaks version %s of the channel, this worker %s: install the same snakepit-bridge" % versions
        if told["codec"] not in available_codecs():
            return "no codec %r here: use one of %s" % (told["codec"], available_codecs())
        self._link = Link(codec_named(told["codec"]), self)
        executor.attach(self._link)
        return None


class StdioReport:
    """Reports on the channel itself, where there is no lifeline: the first message that the host reads."""

    def __init__(self, write_fd: int) -> None:
        self._fd = write_fd

    def say(self, report: "dict[str, Any]") -> None:
        """Send the report: `{"ready": endpoint, ...}` or `{"failed": ...}`."""
        left = memoryview(frame_message(json.dumps(report).encode("utf-8")))
        while left:
            left = _written(self._fd, left)


def take_stdio() -> "tuple[int, int]":
    """Move stdin and stdout away, for the channel: (what to read, what to write).

    From here on descriptor 0 is /dev/null and what is printed goes to stderr, by whatever writes it: Python, libraries written in
    C, child processes.
    """
    sys.stdout.flush()
    read_fd, write_fd = os.dup(0), os.dup(1)  # not inherited by children
    for fd in (read_fd, write_fd):
        os.set_blocking(fd, True)  # whoever started this may have had use for the opposite
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return read_fd, write_fd


def _written(fd: int, data: memoryview) -> memoryview:
    """Write some of it; what is left. Waits for room, also where somebody who shares the descriptor has set it non-blocking."""
    try:
        return data[os.write(fd, data) :]
    except BlockingIOError:
        _wait_until(fd, select.POLLOUT)
        return data


def _wait_until(fd: int, event: int) -> None:
    """Wait until a descriptor can be read or written, but not much longer than a second: it may have been closed meanwhile."""
    ready = select.poll()
    ready.register(fd, event)
    ready.poll(_LOOK_UP_SECONDS * 1000)


def _end_if_closed(error: OSError) -> None:
    """The host has gone (a reset means the same as end of file), unless a tool has closed the channel: then nobody can be told."""
    if error.errno == errno.EBADF:
        end_everything()


def _look_up_now_and_then(fd: int) -> None:
    """Let a read return when nothing has come for a while: one that waits does not notice that a tool closes its descriptor."""
    if stat.S_ISSOCK(os.fstat(fd).st_mode):
        handle = _socket.socket(fileno=fd)
        handle.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, struct.pack("ll", _LOOK_UP_SECONDS, 0))
        handle.detach()


def keep_private(*fds: int) -> None:
    """Let descriptors close on exec and in forked children."""
    for fd in set(fds):
        os.set_inheritable(fd, False)
        os.register_at_fork(after_in_child=_closer(fd))


def _closer(fd: int) -> Callable[[], None]:
    def close() -> None:
        try:
            os.close(fd)
        except OSError:
            pass  # closed already

    return close
