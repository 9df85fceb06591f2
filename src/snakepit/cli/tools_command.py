"""`snakepit tools`: what an adapter offers, as a table for people or a JSON document per tool for programs.

On a terminal the table is drawn by rich and fits the width; elsewhere the columns are only aligned, and nothing is cut.
Called by `app`.
"""

from __future__ import annotations

from collections.abc import Sequence

from .command import Command
from .lines import json_line
from .listing import HEADINGS, columns, document, row


class ToolsCommand(Command):
    """One look at an adapter's tools."""

    def work(self) -> None:
        """Start one worker, ask it, print."""
        with self.pool() as pool:
            tools = sorted(pool.tool_specs(), key=lambda tool: tool.name)
        if self.as_json:
            for tool in tools:
                self.output.line(json_line(document(tool)))
        elif self.output.is_terminal:
            self._draw([row(tool, "\n") for tool in tools])
        else:
            for line in columns(row(tool) for tool in tools):
                self.output.line(line)

    def _draw(self, rows: Sequence[Sequence[str]]) -> None:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for heading in HEADINGS:
            table.add_column(heading, overflow="fold", no_wrap=heading in ("TOOL", "STREAMS"))
        for cells in rows:
            table.add_row(*(Text(cell) for cell in cells))
        Console(file=self.output.stream, highlight=False).print(table)
