"""`snakepit status` on a terminal: what `status_view` says, in colours and tables that fit the width. Imported only there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from . import status_view
from .hosts import Seen

_COLOURS = {"ok": "bold green", "degraded": "bold yellow", "failing": "bold red"}
_RIGHT = frozenset({"PID", "UP", "MEMORY", "CALLS", "HEARD", "AGE", "CHUNKS"})


#: Columns that are never made narrower than what stands in them.
_WHOLE = frozenset({"PID", "WORKER", "CALL"})


def drawn(seen: Seen, nothing: str, ending: str) -> Group:
    """All pools, one below the other.

    Args:
        nothing: said where there is none. ending: the last line; empty: none.
    """
    parts: list[RenderableType] = []
    for told in seen.pools:
        parts += _pool(told)
    parts += [Text(status_view.silent_text(silent), style="bold red") for silent in seen.silent]
    parts += [Text(nothing)] if not parts else []
    return Group(*parts, *([Text(ending, style="dim")] if ending else []))


def _pool(told: dict[str, Any]) -> list[RenderableType]:
    status = told["health"]["status"]
    title = Text(status_view.title(told).removesuffix(status), style="bold")
    title.append(status, style=_COLOURS.get(status, "bold"))
    facts = [Text(text, style="yellow" if text.startswith("! ") else "") for text in status_view.facts(told)]
    calls = status_view.call_rows(told)
    parts: list[RenderableType] = [*facts, _table(status_view.WORKERS, status_view.worker_rows(told))]
    parts += [_table(status_view.CALLS, calls)] if calls else []
    return [title, *(Padding(part, (0, 0, 0, 2)) for part in parts)]


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        right = heading in _RIGHT
        # Of a number, half of it would be another one.
        least = max((len(cells[number]) for cells in rows), default=0) if heading in _WHOLE else None
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "TOOL", overflow="fold", min_width=least)
    for cells in rows:
        stuck = any(cell.endswith((", stuck", ", cancelled")) for cell in cells)
        table.add_row(*map(Text, cells), style="yellow" if stuck else "")
    return table
