"""How the chunks of a stream reach the person or the program that reads them; one class per way.

`view_for` chooses: JSON lines on request, a bar on a terminal, else plain lines. `run_command` hands over each chunk as it
comes. Rich is imported only when a bar is due.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from .lines import chunk_json, chunk_line
from .meter import Meter, Reading
from .output import Output, is_terminal

if TYPE_CHECKING:
    from .bar import Bar


class View:
    """Takes the chunks of one call, in a `with` block that ends with the call."""

    def __init__(self, output: Output) -> None:
        self.output = output

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """One chunk, in order."""
        raise NotImplementedError


class JsonView(View):
    """One JSON document per line for each chunk, envelope included."""

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """One line of JSON."""
        self.output.line(chunk_json(chunk))


class LineView(View):
    """One plain line per chunk; none for a final chunk that carries nothing."""

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """One line, or none."""
        text = chunk_line(chunk)
        if text or not chunk.get("is_final"):
            self.output.line(text)


class TerminalView(LineView):
    """A bar for chunks that tell progress, lines above it for the others, and the final chunk's payload after it."""

    def __init__(self, output: Output, name: str) -> None:
        super().__init__(output)
        self._bar = LazyBar(output.stream, name)
        self._meter = Meter()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.stop()

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """Move the bar, or print a line above it."""
        reading = self._meter.read(chunk)
        if reading is not None:
            self._bar.show(reading)
        if chunk.get("is_final"):
            self._bar.stop()
            super().chunk(chunk)
        elif reading is None:
            self._bar.print_above(chunk_line(chunk), self.output.line)


class LazyBar:
    """A bar that is made with the first reading, so that a call without progress never loads rich."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream = stream
        self._name = name
        self._began = time.monotonic()
        self._bar: Bar | None = None

    def show(self, reading: Reading) -> None:
        """Move the bar."""
        if self._bar is None:
            from .bar import Bar

            self._bar = Bar(self._stream, self._name, self._began)
        self._bar.show(reading)

    def print_above(self, line: str, otherwise: Callable[[str], None]) -> None:
        """A line above the bar, or through `otherwise` while there is none."""
        if self._bar is None:
            otherwise(line)
        else:
            self._bar.print(line)

    def stop(self) -> None:
        """Leave the bar as it is; it moves no more."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


class UnaryProgress:
    """What a tool without stream reports while it works: a bar on the terminal, wherever that is, and else nothing."""

    def __init__(self, output: Output, name: str, as_json: bool) -> None:
        streams = [sys.stderr] if as_json else [output.stream, sys.stderr]
        terminal = next((stream for stream in streams if is_terminal(stream)), None)
        self._bar = None if terminal is None else LazyBar(terminal, name)
        self._meter = Meter(lone_is_count=True)

    @property
    def callback(self) -> Callable[[Mapping[str, Any]], None] | None:
        """For `execute(..., on_progress=)`; None if nobody would see it."""
        return None if self._bar is None else self._show

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _show(self, report: Mapping[str, Any]) -> None:
        reading = self._meter.read(report)
        if reading is not None and self._bar is not None:
            self._bar.show(reading)


def view_for(output: Output, name: str, as_json: bool) -> View:
    """The way this command shows chunks."""
    if as_json:
        return JsonView(output)
    return TerminalView(output, name) if output.is_terminal else LineView(output)
