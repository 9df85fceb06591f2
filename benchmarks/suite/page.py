"""RESULTS.md: what was measured, as text. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from .contestants import REFERENCE, contestants
from .results import Cell, Table, losses

#: What is said of what was not true in all rounds, and was.
_FLAGS = {"lived": ("its worker has ended", "its worker lives"), "model": ("without what it had loaded", "with what it had loaded")}

Section = tuple[str, str, Sequence[Table]]


def page(command: str, machine: Sequence[str], sections: Sequence[Section], bars: str = "") -> str:
    """The whole file.

    Args:
        command: that wrote it.
        machine: lines about machine and versions.
        sections: of each scenario its name, what it is about, its tables.
        bars: the table of what is promised.
    """
    tables = [table for _, _, found in sections for table in found]
    parts = [
        "# Results",
        f"Written by the program, `{command}`; not by hand. [How to read it and run it again](README.md).",
        "\n".join(f"- {line}" for line in machine),
        *([f"## What is promised\n\n{bars}"] if bars else []),
        f"## Where we lose\n\n{where_we_lose(tables)}",
        *(section(*found) for found in sections),
        f"## Who plays\n\n{who_plays(tables)}",
    ]
    return "\n\n".join(parts) + "\n"


def section(name: str, about: str, tables: Sequence[Table], charts: str = "charts") -> str:
    """A scenario: for each measure a picture and a table."""
    parts = [f"## {name}", about]
    for table in tables:
        parts.append(f"### {table.measure.title}")
        if any(cell.figures for cell in table.cells.values()):
            parts.append(f"![{table.measure.title}]({charts}/{table.measure.key}.svg)")
        parts.append(markdown(table))
    return "\n\n".join(parts)


def markdown(table: Table) -> str:
    """Best first; who has no figure comes last, with the reason."""
    measure, known = table.measure, contestants()
    lines = [
        row(["", f"{measure.unit}, median", "min-max", f"to {known[REFERENCE].label}", ""]),
        row(["---", "---:", "---:", "---:", "---"]),
    ]
    for name, cell in ranked(table):
        label = f"**{known[name].label}**" if known[name].ours else known[name].label
        ratio = table.ratio(name, REFERENCE)
        figures = [short(cell.median), spread(cell), "" if ratio is None else f"{short(ratio)}"]
        lines.append(row([label, *figures, said(cell)]))
    return "\n".join(lines)


def ranked(table: Table) -> list[tuple[str, Cell]]:
    def place(item: tuple[str, Cell]) -> tuple[bool, float]:
        median = item[1].median
        return median is None, (-median if table.measure.more else median) if median is not None else 0.0

    return sorted(table.cells.items(), key=place)


def where_we_lose(tables: Sequence[Table]) -> str:
    """Of each measure, who is ahead of the best of ours, and how much."""
    known = contestants()
    found = losses(tables, [name for name, contestant in known.items() if contestant.ours])
    if not found:
        return "Nowhere: at each measure the best of ours is ahead of all peers, or even with them."
    lines = [row(["measure", "the best of ours", "ahead of it"]), row(["---"] * 3)]
    for _, group in itertools.groupby(found, key=lambda loss: loss.table.measure.key):
        leads = list(group)
        measure, table = leads[0].table.measure, leads[0].table
        ahead = ", ".join(f"{known[loss.peer].label} {short(table.median(loss.peer))} (**{short(loss.times)}x**)" for loss in leads)
        best = f"{known[leads[0].best].label}: {short(table.median(leads[0].best))} {measure.unit}"
        lines.append(row([measure.title, best, ahead]))
    return "\n".join(lines)


def who_plays(tables: Sequence[Table]) -> str:
    names = {name for table in tables for name in table.cells}
    lines = [row(["contestant", "`--peer`", "follows"]), row(["---"] * 3)]
    for name, contestant in contestants().items():
        if name in names:
            links = ", ".join(f"[{page.rstrip('/').rpartition('/')[2]}]({page})" for page in contestant.pages)
            lines.append(row([contestant.label, f"`{name}`", links]))
    return "\n".join(lines)


def text(table: Table) -> str:
    """For a terminal."""
    measure, known = table.measure, contestants()
    better = "more" if measure.more else "less"
    lines = [f"{measure.title} ({measure.unit}; {better} is better), its least-most, its ratio to Pool"]
    for name, cell in ranked(table):
        ratio = table.ratio(name, REFERENCE)
        times = "" if ratio is None else f"{short(ratio)}x"
        lines.append(f"  {known[name].label:<28}{short(cell.median):>10}  {spread(cell):<22}{times:>9}  {said(cell)}".rstrip())
    return "\n".join(lines)


def said(cell: Cell) -> str:
    """What there is to say about a cell."""
    return "; ".join([*(_FLAGS[name][found] for name, found in cell.flags.items()), *([cell.remark] if cell.remark else [])])


def spread(cell: Cell) -> str:
    """The least and the most of its rounds, if there was more than one."""
    return f"{short(min(cell.figures))}-{short(max(cell.figures))}" if len(cell.figures) > 1 else ""


def short(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return ""
    for limit, places in ((100, 0), (10, 1), (1, 2), (0.1, 3)):
        if abs(value) >= limit:
            return f"{value:,.{places}f}"
    return f"{value:.2g}"


def row(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(cell.replace('|', '/').replace(chr(10), ' ') for cell in cells)} |"
