"""`snakepit run`: one call, its chunks or result on standard output as they come.

What can be wrong without a worker (items, files, JSON) is found before one starts. Called by `app`.
"""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from snakepit.errors import ConfigurationError, SnakepitError

from .arguments import build_arguments, find_tool
from .command import Command
from .endings import interruption_document, interruption_text
from .interrupts import Interrupted
from .items import load_base, load_items
from .lines import json_line, result_text
from .output import say
from .recording import Recording
from .views import UnaryProgress, view_for

if TYPE_CHECKING:
    import snakepit


class RunCommand(Command):
    """One run of one tool.

    Args:
        tool: its name.
        items: `key=value`, `key:=JSON`, `key=@file`.
        base: file with a JSON object of arguments, `-` for standard input, or None.
        timeout: seconds until the call is cancelled; None: never.
        record: file to write down how the call goes; None: none.
    """

    def __init__(
        self,
        tool: str,
        items: Sequence[str],
        base: str | None,
        *,
        adapter: str | None,
        size: int,
        as_json: bool,
        timeout: float | None,
        record: str | None = None,
    ) -> None:
        super().__init__(adapter, size, as_json)
        self.tool = tool
        self._items = items
        self._base = base
        self._timeout = timeout
        self._chunks = 0
        self._record = record
        self._recording: Recording | None = None

    def work(self) -> None:
        """Check what can be checked, start a worker, call the tool."""
        if self._timeout is not None and not 0 < self._timeout < math.inf:
            raise ConfigurationError(f"--timeout: got {self._timeout:g}, allowed is a number of seconds above 0")
        items = load_items(self._items)
        base = {} if self._base is None else load_base(self._base, getattr(sys.stdin, "buffer", None))
        with contextlib.ExitStack() as stack:
            if self._record is not None:
                self._recording = stack.enter_context(contextlib.closing(Recording(self._record)))
            pool = stack.enter_context(self.pool())
            spec = find_tool(self.tool, pool.tool_specs(), self.adapter)
            arguments = build_arguments(spec, items, base)
            if self._recording is not None:
                self._recording.begin(self.tool, self.adapter, arguments, streaming=spec.streaming)
            self._call(pool, spec, arguments)

    def _call(self, pool: snakepit.Pool, spec: snakepit.ToolSpec, arguments: dict[str, Any]) -> None:
        recording = self._recording
        try:
            if spec.streaming:
                self._stream(pool, arguments)
            else:
                self._execute(pool, arguments)
        except Interrupted as interruption:
            # Said before the pool closes, as that takes a while if the tool resists.
            self._tell(interruption, spec.streaming)
            if recording is not None:
                recording.cancelled(interruption.name)
            raise
        except SnakepitError as error:
            if recording is not None:
                recording.error(error)
            raise

    def _stream(self, pool: snakepit.Pool, arguments: dict[str, Any]) -> None:
        stream = pool.stream(self.tool, arguments, timeout=self._timeout)
        try:
            with view_for(self.output, self.tool, self.as_json) as view:
                for chunk in stream:
                    self._chunks += 1
                    if self._recording is not None:
                        self._recording.chunk(chunk)
                    view.chunk(chunk)
            if self._recording is not None:
                self._recording.result(stream.result)
        finally:
            stream.close()  # An interrupt or a reader that left ends the loop from outside the stream.

    def _execute(self, pool: snakepit.Pool, arguments: dict[str, Any]) -> None:
        recording = self._recording
        with UnaryProgress(self.output, self.tool, self.as_json) as progress:
            told = [tell for tell in (progress.callback, None if recording is None else recording.progress) if tell is not None]
            result = pool.execute(self.tool, arguments, timeout=self._timeout, on_progress=_all_of(told))
        if recording is not None:
            recording.result(result)
        if self.as_json:
            self.output.line(json_line(result))
        elif isinstance(result, (bytes, bytearray, memoryview)) and not self.output.is_terminal:
            self.output.raw(bytes(result))
        elif isinstance(result, (bytes, bytearray, memoryview)):
            self.output.line(f"<{len(result)} bytes; send them to a file: snakepit run {self.tool} ... > FILE>")
        else:
            self.output.line(result_text(result))

    def _tell(self, interruption: Interrupted, streaming: bool) -> None:
        if not interruption.told:
            interruption.told = True
            say(interruption_text(interruption.name, self.tool, self._chunks if streaming else None))
            self.last_line(interruption_document(interruption.name, self.tool))


def _all_of(told: Sequence[Callable[[Mapping[str, Any]], None]]) -> Callable[[Mapping[str, Any]], None] | None:
    """One callback for several; None for none."""

    def tell(report: Mapping[str, Any]) -> None:
        for each in told:
            each(report)

    return tell if told else None
