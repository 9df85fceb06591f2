"""Rows of the table: what was measured, beside what, against which bar; and how they read."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence

_WIDTHS = (46, 10, 28, 28, 8, 9)
_HEAD = ("measured: median (min-max of the rounds)", "", "ours", "baseline", "ratio", "bar")


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """What is promised: of the ratio to the baseline, or of our own figure."""

    limit: float
    at_least: bool = False
    of_ratio: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}{'x' if self.of_ratio else ''}"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One line.

    Attributes:
        label: what was measured; unit: of the figures.
        ours, baseline: one figure per round, in the same order.
        remark: printed below the line.
    """

    label: str
    unit: str
    ours: Sequence[float]
    baseline: Sequence[float] = ()
    bar: Bar | None = None
    remark: str = ""

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' ratios: the two figures of a round were measured one after the other."""
        if not self.baseline:
            return None
        return statistics.median(our / their for our, their in zip(self.ours, self.baseline, strict=True))

    @property
    def met(self) -> bool | None:
        """None where nothing is promised."""
        if self.bar is None:
            return None
        value = self.ratio if self.bar.of_ratio else statistics.median(self.ours)
        assert value is not None, "a bar for a ratio needs a baseline"
        return self.bar.met_by(value)

    @property
    def cells(self) -> tuple[str, ...]:
        """As `_HEAD` names them, and the verdict."""
        ratio = self.ratio
        return (
            self.label,
            self.unit,
            _spread(self.ours),
            _spread(self.baseline),
            "" if ratio is None else f"{_short(ratio)}x",
            "" if self.bar is None else str(self.bar),
            {None: "", True: "met", False: "MISSED"}[self.met],
        )

    def __str__(self) -> str:
        *cells, verdict = self.cells
        return (_line(cells) + verdict).rstrip() + (f"\n    {self.remark}" if self.remark else "")


def heading() -> str:
    line = _line(_HEAD).rstrip()
    return f"{line}\n{'-' * (sum(_WIDTHS) + len('MISSED'))}"


def summary(rows: Sequence[Row]) -> str:
    promised = [row for row in rows if row.met is not None]
    missed = [row.label for row in promised if not row.met]
    return f"{len(promised) - len(missed)} of {len(promised)} bars met" + ("; missed: " + "; ".join(missed) if missed else "")


def page(command: str, circumstances: str, rows: Sequence[Row]) -> str:
    """The same table as a Markdown file, which says where its figures come from."""
    lines = [_markdown((*_HEAD, "")), _markdown(["---"] * (len(_HEAD) + 1))]
    for row in rows:
        label, *rest = row.cells
        lines.append(_markdown((f"{label}<br>*{row.remark}*" if row.remark else label, *rest)))
    table = "\n".join(lines)
    return f"""# Figures of one run

Written by `{command}`; not by hand.

{circumstances}. The ratio is the median of the rounds' ratios; the machine may have been shared, so read the ratios.

{table}

{summary(rows)}
"""


def _markdown(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _line(cells: Sequence[str]) -> str:
    return "".join(f"{cell} ".ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True))


def _spread(figures: Sequence[float]) -> str:
    if not figures:
        return ""
    middle = _short(statistics.median(figures))
    return middle if len(figures) == 1 else f"{middle} ({_short(min(figures))}-{_short(max(figures))})"


def _short(value: float) -> str:
    """Three digits that matter."""
    if value == int(value) and abs(value) < 10_000:
        return str(int(value))
    for limit, places in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:,.{places}f}"
    return f"{value:.3f}"
