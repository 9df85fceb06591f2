"""One output of a worker, line by line, and live: what has no line end yet is handed on when it has waited a moment.

A carriage return overwrites, as on a terminal: of a progress bar's many states, one is shown every half second, and the last.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

#: A line longer than this is handed on in parts (bytes).
MAX_LINE = 64 * 1024

#: How long text without a line end waits for one (seconds).
UNFINISHED_SECONDS = 0.5

#: How long what may be the beginning of a secret waits for its rest, where anything may be one (seconds).
WAITED_SECONDS = 10.0

#: The beginning of a character in UTF-8 whose rest has not come.
_HALF_CHARACTER = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")

_LINE_END = re.compile(rb"\r\n|[\r\n]")


class Lines(asyncio.Protocol):
    """The protocol of a worker's stdout or stderr.

    Args:
        on_output: called with the output's name, a text without its line end, and what it is: `line`: a line, or the rest of one;
            `part`: it goes on; `waited`: nothing more has come for long;
            `redrawn`: the state of a line that is drawn anew; `overwritten`: the same, but not to be shown;
            `end`: nothing more comes. Who masks secrets must hear of all.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, on_output: Callable[[str, str, str], None]) -> None:
        self._loop = loop
        self._name = name
        self._on_output = on_output
        self._pending = b""  # no line end has come after it
        self._overwritten = b""  # a carriage return has; shown only if nothing newer is there when the time comes
        self._timer: asyncio.TimerHandle | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._transport: asyncio.ReadTransport | None = None
        self.ended: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The pipe is open."""
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """Some bytes have come."""
        text, start = self._pending + data, 0
        for end in _LINE_END.finditer(text):
            line, start = text[start : end.start()], end.end()
            if end.group() == b"\r":
                if line:
                    self._overwrite()
                    self._overwritten = self._in_parts(line)
            else:
                if line:
                    self._overwrite()
                self._say(self._in_parts(line or self._overwritten), "line")
                self._overwritten = b""
                self._stop_timer()  # what has waited is told; what comes now has not
        self._pending = self._in_parts(text[start:])
        if self._timer is None and (self._pending or self._overwritten):
            self._timer = self._loop.call_later(UNFINISHED_SECONDS, self._say_unfinished)

    def connection_lost(self, exc: Exception | None) -> None:
        """The worker has ended, or closed this output."""
        self._say_end()
        if not self.ended.done():
            self.ended.set_result(None)

    def close(self) -> None:
        """Hand on what is left, and close the pipe."""
        self._say_end()
        if self._transport is not None:
            self._transport.close()

    def _say_unfinished(self) -> None:
        self._stop_timer()
        half = _HALF_CHARACTER.search(self._pending)
        told, left = (self._pending[: half.start()], half.group()) if half else (self._pending, b"")
        if told:
            self._overwrite()
            self._say(told, "part")
            self._patience = self._loop.call_later(WAITED_SECONDS, self._say, b"", "waited")
        elif self._overwritten:
            self._say(self._overwritten, "redrawn")
        self._pending, self._overwritten = left, b""

    def _say_end(self) -> None:
        self._stop_timer()
        if self._pending:
            self._overwrite()
        self._say(self._pending or self._overwritten, "end")
        self._pending = self._overwritten = b""

    def _overwrite(self) -> None:
        """What a carriage return has overwritten will not be shown."""
        if self._overwritten:
            self._say(self._overwritten, "overwritten")
            self._overwritten = b""

    def _stop_timer(self) -> None:
        for timer in (self._timer, self._patience):
            if timer is not None:
                timer.cancel()
        self._timer = self._patience = None

    def _in_parts(self, line: bytes) -> bytes:
        """Hand on what a line has too much; the rest of it."""
        while len(line) > MAX_LINE:
            cut = next((at for at in range(MAX_LINE, MAX_LINE - 4, -1) if line[at] & 0xC0 != 0x80), MAX_LINE)  # between characters
            self._say(line[:cut], "part")
            line = line[cut:]
        return line

    def _say(self, text: bytes, state: str) -> None:
        self._on_output(self._name, text.decode("utf-8", "backslashreplace"), state)
