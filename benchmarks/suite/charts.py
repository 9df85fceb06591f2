"""A table as a picture: an SVG that reads on light and on dark ground, and is the same file for the same figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from .contestants import contestants
from .page import ranked, short
from .results import Table

_OURS, _PEERS, _WORDS = "#e8700a", "#6c8ebf", "#7d8590"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "snakepit",
    "font.family": "sans-serif",
    "font.size": 9,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _WORDS),
}
#: In inches: of the whole, of a bar, of what stands above and below the bars.
_WIDTH, _BAR, _AROUND = 8.0, 0.24, 0.85
#: A bar of nothing, beside the least that is something.
_NOTHING = 0.5


def draw_all(tables: Sequence[Table], folder: Path) -> None:
    """A file for each table that has figures; those of an earlier run are replaced."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for table in tables:
        if any(cell.figures for cell in table.cells.values()):
            draw(table, folder / f"{table.measure.key}.svg")


def draw(table: Table, path: Path) -> None:
    """Bars from the best to the last, the rounds' least and most as a line; who has no figure is left out."""
    found = [(name, cell.median, cell.figures) for name, cell in ranked(table) if cell.median is not None]
    floor = _NOTHING * min((median for _, median, _ in found if median > 0), default=1.0)
    known, measure = contestants(), table.measure
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_WIDTH, _AROUND + _BAR * len(found)))
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        places = range(len(found))
        axes.barh(
            places, [max(median, floor) for _, median, _ in found], color=[_OURS if known[name].ours else _PEERS for name, *_ in found]
        )
        for place, (_, median, figures) in zip(places, found, strict=True):
            low, high = (max(value, floor) for value in (min(figures), max(figures)))
            axes.plot([low, high], [place, place], color=_WORDS, linewidth=1)
            axes.annotate(f"  {short(median)}", (high, place), va="center")
        axes.set_yticks(places, [known[name].label for name, *_ in found])
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.margins(x=0.12, y=0.02)
        axes.set_title(f"{measure.title} ({measure.unit}, log scale; {'more' if measure.more else 'less'} is better)", fontsize=10)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.tight_layout()
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
