"""What the threads of a worker were doing: its own report, written by a signal handler in C, whatever holds the interpreter.

The worker has `faulthandler` answer SIGUSR1 on a descriptor of its own; here is the other end. Lives on the pool's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Callable

#: How long a report may take (seconds), and how long it must have paused to be taken for whole: not long where it ends as the
#: main thread's does, which comes last; on a busy machine its writer may have lost the processor in the middle of it.
WITHIN_SECONDS = 0.1
_PAUSE_SECONDS = 0.01
_LONG_PAUSE_SECONDS = 0.05
_LAST_LINE = b" in <module>\n"
_MOST_BYTES = 256 * 1024

_OUTSIDE = re.compile(r"\n    (?P<name>.*) \((?P<file>.*):(?P<line>\d+)\)")  # py-spy leaves out where a file is if it can
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x", re.MULTILINE)
_FRAME = re.compile(r'  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)')


class StackReports:
    """Asks one worker where its threads are.

    Args:
        ours: the end that is read.
        ask: makes the worker report.
    """

    def __init__(self, ours: socket.socket, ask: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = ours
        self._ask = ask
        self._text = b""
        self._waiting: list[Callable[[str], None]] = []
        self._timers: list[asyncio.TimerHandle] = []
        ours.setblocking(False)
        self._loop.add_reader(ours.fileno(), self._read)

    def request(self, then: Callable[[str], None]) -> None:
        """Ask for a report; `then` is called with it within `WITHIN_SECONDS`, with an empty one if none has come."""
        self._waiting.append(then)
        if len(self._waiting) == 1:
            self._text = b""
            self._timers = [self._loop.call_later(WITHIN_SECONDS, self._done)]
            self._ask()

    def close(self) -> None:
        """Whoever waits gets what there is."""
        self._done()
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _read(self) -> None:
        data = b""
        with contextlib.suppress(OSError):
            data = self._socket.recv(65536)
        if not data:  # the worker has ended
            self._loop.remove_reader(self._socket.fileno())
            self._done()
            return
        if self._waiting and len(self._text) < _MOST_BYTES:
            self._text += data
            for timer in self._timers[1:]:
                timer.cancel()
            pause = _PAUSE_SECONDS if self._text.endswith(_LAST_LINE) else _LONG_PAUSE_SECONDS
            self._timers[1:] = [self._loop.call_later(pause, self._done)]

    def _done(self) -> None:
        for timer in self._timers:
            timer.cancel()
        waiting, self._waiting, self._timers = self._waiting, [], []
        text = self._text.decode("utf-8", "replace")
        for then in waiting:
            then(text)


def innermost(report: str) -> str:
    """Where a report's main thread was: `name (file:line)`, the tool's own innermost frame; empty if that is not told.

    Of several threads `faulthandler` writes the main one last, py-spy by its number; frames innermost first.
    """
    if report.startswith("Process "):
        return _innermost_from_outside(report)
    # The "current" one is whoever took the signal, and may be any of them.
    for found in _FRAME.finditer(_THREAD.split(report)[-1]):
        if "/snakepit_bridge/_runtime/" not in found["file"] and not found["file"].startswith("<"):
            return f"{found['name']} ({found['file']}:{found['line']})"
    return ""


def _innermost_from_outside(report: str) -> str:
    number = report.split(":", 1)[0].removeprefix("Process ")  # on Linux the main thread has that of the process
    threads = report.split("\nThread ")[1:]
    thread = next((text for text in threads if text.startswith(f"{number} ") or '"MainThread"' in text.partition("\n")[0]), "")
    for found in _OUTSIDE.finditer(thread):
        if "snakepit_bridge/_runtime/" not in found["file"] and not found["file"].startswith("<"):
            return f"{found['name']} ({found['file']}:{found['line']})"
    return ""
