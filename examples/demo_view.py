"""How the demo looks: live bars on a terminal where rich is installed, plain lines anywhere else.

`make_view()` picks one; both take the same calls, so the demo does not know which it talks to.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol


class Bar(Protocol):
    """One line of progress."""

    def update(self, percent: float, note: str) -> None:
        """Show how far it is, and a few words."""

    def end(self, mark: str, note: str) -> None:
        """Show how it ended: ✔ or ✘, and in what words."""


class View(Protocol):
    """Where the demo shows itself."""

    def act(self, title: str) -> None:
        """Begin a new part."""

    def say(self, text: str) -> None:
        """Show one sentence."""

    def figures(self, facts: dict[str, str]) -> None:
        """Show the last line: figures by name."""

    def bars(self, *labels: str) -> AbstractContextManager[list[Bar]]:
        """Show a bar for each label while the block runs."""


def make_view() -> View:
    """Live if standard output is a terminal and rich is installed."""
    if sys.stdout.isatty() and importlib.util.find_spec("rich"):
        return LiveView()
    return PlainView()


class PlainView:
    """Lines of text, nothing else: for pipes, files, and terminals without rich."""

    def __init__(self) -> None:
        self._acts = 0

    def act(self, title: str) -> None:
        """A numbered heading."""
        self._acts += 1
        print(f"\n{self._acts}. {title}", flush=True)

    def say(self, text: str) -> None:
        """A line."""
        print(f"   {text}", flush=True)

    def figures(self, facts: dict[str, str]) -> None:
        """One line."""
        print("\n" + " · ".join(f"{name} {value}" for name, value in facts.items()), flush=True)

    @contextmanager
    def bars(self, *labels: str) -> Iterator[list[Bar]]:
        """Bars that are lines, one per quarter of the way."""
        width = max(map(len, labels))
        yield [PlainBar(self, label.ljust(width)) for label in labels]


class PlainBar:
    """Tells each quarter of the way once."""

    def __init__(self, view: PlainView, label: str) -> None:
        self._view = view
        self._label = label
        self._quarter = 0

    def update(self, percent: float, note: str) -> None:
        """A line if a new quarter is full."""
        if percent // 25 > self._quarter:
            self._quarter = int(percent // 25)
            self._view.say(f"  {self._label} {percent:5.1f}%  {note}")

    def end(self, mark: str, note: str) -> None:
        """A last line."""
        self._view.say(f"{mark} {self._label} {note}")


class LiveView:
    """Bars that move in place, by rich."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(highlight=False)
        self._acts = 0

    def act(self, title: str) -> None:
        """A numbered heading in bold."""
        self._acts += 1
        self._console.print(f"\n[bold cyan]{self._acts}.[/] [bold]{title}[/]")

    def say(self, text: str) -> None:
        """A line; square brackets in it are text."""
        self._console.print("   " + text, markup=False)

    def figures(self, facts: dict[str, str]) -> None:
        """One line under a rule."""
        self._console.rule(style="dim")
        self._console.print(" [dim]·[/] ".join(f"{name} [bold green]{value}[/]" for name, value in facts.items()), soft_wrap=True)

    @contextmanager
    def bars(self, *labels: str) -> Iterator[list[Bar]]:
        """Bars that stay as they ended."""
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (
            TextColumn(" {task.fields[mark]} {task.description}"),
            BarColumn(24),
            TextColumn("{task.percentage:>3.0f}%  {task.fields[note]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            yield [LiveBar(progress, label) for label in labels]


class LiveBar:
    """One task of a rich Progress."""

    def __init__(self, progress: Any, label: str) -> None:
        self._progress = progress
        self._task = progress.add_task(label, total=100.0, note="", mark=" ")

    def update(self, percent: float, note: str) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=percent, note=note)

    def end(self, mark: str, note: str) -> None:
        """Leave the bar where it is, with its mark."""
        self._progress.update(self._task, mark=f"[green]{mark}[/]" if mark == "✔" else f"[red]{mark}[/]", note=note)
