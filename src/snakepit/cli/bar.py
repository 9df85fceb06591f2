"""The live bar: one rich progress line with what is done, the rate and the time left. Imported only on a terminal.

It appears with the first reading. While it is there, lines go above it: ours through `print`, and what workers print to
standard error through rich. Used by `views`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from .meter import Reading, amount_text, rate_text
from .output import is_terminal

#: Seconds between two updates; a fast stream gives thousands of readings in that time.
_PERIOD = 0.05

_WIDEST_BAR = 24


class _Amount(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(amount_text(task.completed, task.total, task.fields["percent"]), style="progress.percentage")


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(rate_text(task.speed, task.fields["percent"]), style="progress.data.speed")


class _Line(Progress):
    """One line, with room at its end for the `^C` that a terminal writes there: past the edge, it would tear the bar."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield _Narrower(self.make_tasks_table(self.tasks))


class _Narrower:
    """Something, three columns narrower than the terminal is now."""

    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._content, options.update_width(max(1, options.max_width - 3)))


class Bar:
    """One bar on `stream`, shown from the first reading until `stop`.

    Args:
        stream: a terminal.
        name: what the bar is called while no chunk describes it.
        began: when the call began, on the monotonic clock; the time at the end counts from there.
    """

    def __init__(self, stream: TextIO, name: str, began: float) -> None:
        self._name = name
        self._began = began
        console = Console(file=stream, highlight=False, soft_wrap=True)
        # Standard error that goes elsewhere must stay there.
        self._progress = _Line(
            TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            BarColumn(min(_WIDEST_BAR, console.width // 4)),
            _Amount(),
            _Rate(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            redirect_stdout=False,
            redirect_stderr=is_terminal(sys.stderr),
            expand=True,
        )
        self._task: Task | None = None
        self._pending: Reading | None = None
        self._shown_at = 0.0

    def show(self, reading: Reading) -> None:
        """Move the bar; at once, or soon if it moved just now."""
        now = time.monotonic()
        if self._task is not None and now - self._shown_at < _PERIOD:
            self._pending = reading
            return
        self._shown_at = now
        self._apply(reading)

    def print(self, line: str) -> None:
        """One line above the bar."""
        self._progress.console.print(Text(line), soft_wrap=True)

    def stop(self) -> None:
        """Draw the last state and leave it on the screen."""
        if self._pending is not None:
            self._apply(self._pending)
        self._progress.stop()

    def _apply(self, reading: Reading) -> None:
        self._pending = None
        words = reading.description or self._name
        if self._task is None:
            number = self._progress.add_task(words, total=reading.total, percent=reading.percent)
            self._task = self._progress.tasks[0]
            self._task.start_time = self._began
            self._progress.update(number, completed=reading.done)
            self._progress.start()
            return
        if reading.total is None:
            self._task.total = None  # `update` takes None for "as it was".
        self._progress.update(self._task.id, description=words, total=reading.total, completed=reading.done, percent=reading.percent)
