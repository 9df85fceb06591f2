"""Standard output as the command line uses it: whole lines, flushed one by one; and the line of words on standard error.

Promises: a reader that went away is `ReaderLeft`, never a traceback, and leaves nothing behind that Python's own flush at
exit could stumble over; an unwritable character is escaped instead of failing the call.
"""

from __future__ import annotations

import io
import os
import stat
import sys
from typing import TextIO


class ReaderLeft(Exception):
    """Whoever read our standard output has closed it."""


class OutputFailed(Exception):
    """Standard output cannot be written, such as on a full disk."""


class Output:
    """Writes results, and nothing else, to one stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        # A closed standard output is None in Python; what is written there goes nowhere.
        self.stream: TextIO = stream or sys.stdout or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")
        if isinstance(self.stream, io.TextIOWrapper):
            self.stream.reconfigure(errors="backslashreplace")

    @property
    def is_terminal(self) -> bool:
        """Does a person look at it, on a terminal that can redraw a line?"""
        return is_terminal(self.stream)

    def line(self, text: str) -> None:
        """Write one line and flush it.

        Raises:
            ReaderLeft: nobody reads any more.
            OutputFailed: it cannot be written.
        """
        self._write(text if text.endswith("\n") else f"{text}\n")

    def raw(self, data: bytes) -> None:
        """Write bytes as they are; for results that are files by nature."""
        try:
            self.stream.flush()
            self.stream.buffer.write(data)
            self.stream.buffer.flush()
        except OSError as error:
            self._failed(error)

    def pipe(self) -> int | None:
        """The descriptor, if a reader behind it can go away; else None."""
        try:
            number = self.stream.fileno()
            mode = os.fstat(number).st_mode
        except (OSError, ValueError, AttributeError):
            return None
        return number if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None

    def abandon(self) -> None:
        """Let all further output vanish: without this, Python's flush at exit fails once more, and says so."""
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
        except (OSError, ValueError, AttributeError):
            pass  # Not a real file, so there is no flush at exit to fail.

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        self.abandon()
        if isinstance(error, BrokenPipeError):
            raise ReaderLeft from error
        raise OutputFailed(f"cannot write to standard output: {error.strerror or error}") from error


def is_terminal(stream: TextIO | None) -> bool:
    """Is this a terminal that can redraw a line?"""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "")
    except ValueError:  # Closed.
        return False


def say(text: str) -> None:
    """Tell the person something on standard error; if nobody hears it, that is no failure of the call."""
    if sys.stderr is None:  # closed: `print` would take standard output instead
        return
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass
    except UnicodeEncodeError:
        print(ascii(text), file=sys.stderr, flush=True)
