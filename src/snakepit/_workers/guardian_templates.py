"""The guardian's part in templates: it hands them orders, and hears which workers they have forked.

A template is a child of the guardian like a worker, with a socket to it. It forks twice, so that the worker becomes the guardian's own
child: one path for exit status and kill. The process in between announces the worker, `NUMBER PID`, before it ends and so before the
worker is adopted: who looks at the announcements after he has looked at his children takes no worker for a stray. `NUMBER -ERRNO` says
that a fork failed.

Imported by the guardian's program by its bare name: nothing but the C halves of modules here.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable  # not imported when it runs
    from typing import Any

_EPIPE, _ECANCELED = 32, 125


class Templates:
    """The templates of one guardian, by the numbers that the host has given them.

    Args:
        waits: their sockets are waited for there. workers: pid -> number, of all that has been started; the guardian's own.
        say: tells the host.
    """

    def __init__(self, waits: select.poll, workers: dict[int, int], say: Callable[[dict[str, Any]], None]) -> None:
        self._waits = waits
        self._workers = workers
        self._say = say
        self._sockets: dict[int, _socket.socket] = {}
        self._unborn: dict[int, int] = {}  # a worker's number -> its template's

    def add(self, number: int) -> int:
        """There will be a template of this number; the descriptor that it gets."""
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self._sockets[number] = ours
        self._waits.register(ours.fileno(), select.POLLIN)
        return theirs.detach()

    def has(self, fd: int) -> bool:
        """Is this the socket of a template?"""
        return any(sock.fileno() == fd for sock in self._sockets.values())

    def fork(self, number: int, template: int, fds: list[int]) -> None:
        """Have a template fork a worker; `fds`: what it needs for that, which are closed here."""
        sock = self._sockets.get(template)
        given = b"".join(fd.to_bytes(4, sys.byteorder) for fd in fds)
        try:
            if sock is None:
                raise OSError(_EPIPE, "")
            ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, given)]
            sock.sendmsg([b"%d" % number], ancillary, _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL)
            self._unborn[number] = template
        except OSError as error:
            self._fail(number, error.errno or _EPIPE)
        for fd in fds:
            os.close(fd)

    def forget(self, number: int) -> None:
        """A worker that may not have been born yet is no longer wanted."""
        if self._unborn.pop(number, None) is not None:
            self._fail(number, _ECANCELED)

    def hear(self) -> None:
        """Take all that has been announced."""
        for template, sock in list(self._sockets.items()):
            try:
                while data := sock.recv(64, _socket.MSG_DONTWAIT):
                    self._announced(*map(int, data.split()))
            except BlockingIOError:
                continue
            except (OSError, ValueError, TypeError):  # what it says makes no sense: its own code has found the socket
                pass
            self._close(template, sock)

    def _announced(self, number: int, pid: int) -> None:
        wanted = self._unborn.pop(number, None) is not None
        if pid > 0 and wanted:
            self._workers[pid] = number
            self._say({"started": number, "pid": pid})
        elif pid > 0:
            os.kill(pid, _signal.SIGKILL)
        elif wanted:
            self._fail(number, -pid)

    def _close(self, template: int, sock: _socket.socket) -> None:
        """It has ended, and so have those between it and its workers."""
        del self._sockets[template]
        self._waits.unregister(sock.fileno())
        sock.close()
        for number in [number for number, of in self._unborn.items() if of == template]:
            self.forget(number)

    def _fail(self, number: int, errno: int) -> None:
        self._say({"failed": number, "errno": errno, "what": "template"})
