"""Answers whoever of this user asks a pool how it is: a unix socket in the pool's private directory, read by `snakepit status`.

Who connects gets one document and the end of the file; nothing is read from them. Nobody else than the user of this process is
answered. Without questions it is a descriptor that nothing happens to. Lives on the pool's loop, owned by the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable

from snakepit._workers.our_ends import our_ends
from snakepit.telemetry.logs import library_logger

_log = library_logger("snakepit.pool")

#: So many may be answered at once, and each has so long to read its answer (seconds).
_MOST = 8
_SECONDS = 5.0
#: When a connection cannot be taken (no descriptor is left), how long until it is tried again (seconds).
_REST = 1.0
_UCRED = struct.Struct("3i")


class StatusServer:
    """One listening socket.

    Args:
        path: where; the directory is this user's alone.
        answer: makes the document, on the loop's thread.

    Raises:
        OSError: it cannot be made there.
    """

    def __init__(self, path: str, answer: Callable[[], bytes]) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._replies: set[_Reply] = set()
        self._rest: asyncio.TimerHandle | None = None
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(path)
            self._listener.listen(_MOST)
            self._listener.setblocking(False)
        except BaseException:
            self._listener.close()
            raise
        our_ends.add(self._listener.fileno())
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Answer nobody any more. Twice is fine. The socket's file goes with its directory."""
        for reply in list(self._replies):
            reply.close()
        if self._rest is not None:
            self._rest.cancel()
        if self._listener.fileno() >= 0:
            our_ends.discard(self._listener.fileno())
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.remove_reader(self._listener.fileno())
            self._listener.close()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return  # whoever it was has left
        except OSError as error:
            _log.debug("nobody can be told the pool's status for %g s: %s", _REST, error)
            self._loop.remove_reader(self._listener.fileno())
            self._rest = self._loop.call_later(_REST, self._loop.add_reader, self._listener.fileno(), self._accept)
            return
        sock.setblocking(False)
        if len(self._replies) >= _MOST or not is_own(sock):
            sock.close()
            return
        try:
            data = self._answer()
        except Exception:  # a fault of ours, which must not cost the pool anything
            _log.exception("the pool's status could not be told")
            sock.close()
            return
        reply = _Reply(self._loop, sock, data, self._replies.discard)
        self._replies.add(reply)
        reply.go_on()


class _Reply:
    """A document on its way to one reader."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, data: bytes, left: Callable[[_Reply], None]) -> None:
        self._loop = loop
        self._socket = sock
        self._rest = memoryview(data)
        self._left = left
        self._timer = loop.call_later(_SECONDS, self.close)
        self._waits = False

    def go_on(self) -> None:
        """Send what the reader takes; close when that is all."""
        try:
            while self._rest:
                self._rest = self._rest[self._socket.send(self._rest) :]
        except BlockingIOError:
            if not self._waits:
                self._waits = True
                self._loop.add_writer(self._socket.fileno(), self.go_on)
            return
        except OSError:
            pass  # the reader has left
        self.close()

    def close(self) -> None:
        """No more of it. Twice is fine."""
        self._timer.cancel()
        if self._socket.fileno() >= 0:
            if self._waits:
                self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
        self._left(self)


def is_own(sock: socket.socket) -> bool:
    """Does the other end belong to this user? Where the kernel does not tell, the directory's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    return peer_of(sock)[1] == os.getuid()


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """(process, user) at the other end."""
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return pid, uid
