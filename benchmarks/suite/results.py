"""What was measured, and what follows from it: medians, ratios, who is ahead of us. Pure."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a scenario: a table of contestants.

    Attributes:
        key: its name in charts and bars; title: what it is called.
        figure: what the players call it.
        unit: in which it is shown; scale: by what the player's figure is multiplied for this; below 0: what its reciprocal is.
        more: is more of it better?
    """

    key: str
    title: str
    figure: str
    unit: str
    scale: float = 1.0
    more: bool = False

    def shown(self, figure: float) -> float:
        """A player's figure in the measure's unit."""
        return figure * self.scale if self.scale > 0 else -self.scale / figure


@dataclasses.dataclass(slots=True)
class Cell:
    """One contestant at one measure.

    Attributes:
        figures: one per round, in the measure's unit.
        flags: what was true, or was not, in all rounds.
        remark: why there are no figures, or not enough.
    """

    figures: list[float] = dataclasses.field(default_factory=list)
    remark: str = ""
    flags: dict[str, bool] = dataclasses.field(default_factory=dict)

    @property
    def median(self) -> float | None:
        return statistics.median(self.figures) if self.figures else None


class Table:
    """The cells of one measure, by contestant, in the order in which they came."""

    def __init__(self, measure: Measure, cells: dict[str, Cell] | None = None) -> None:
        self.measure = measure
        self.cells: dict[str, Cell] = cells or {}

    def cell(self, name: str) -> Cell:
        """Made if it is not there."""
        return self.cells.setdefault(name, Cell())

    def median(self, name: str) -> float | None:
        return self.cells[name].median if name in self.cells else None

    def ratio(self, name: str, to: str) -> float | None:
        """The median of the rounds' ratios, where both played the same rounds; else the ratio of their medians."""
        if not (self.median(name) and self.median(to)):
            return None
        mine, theirs = self.cells[name].figures, self.cells[to].figures
        if len(mine) == len(theirs) and all(theirs):
            return statistics.median(one / other for one, other in zip(mine, theirs, strict=True))
        return statistics.median(mine) / statistics.median(theirs)

    def best(self, names: Sequence[str]) -> str | None:
        """Of these, who is ahead."""
        found = [(figure, name) for name in names if (figure := self.median(name)) is not None]
        return (max if self.measure.more else min)(found)[1] if found else None


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """A measure at which somebody is ahead of the best of ours.

    Attributes:
        best: of ours; peer: who is ahead; times: by how much, more than 1.
    """

    table: Table
    best: str
    peer: str
    times: float


#: What is less apart than this is even.
_EVEN = 1.03


def losses(tables: Sequence[Table], ours: Sequence[str]) -> list[Loss]:
    """Where a peer is ahead of all of ours, the largest lead of a measure first."""
    found = []
    for table in tables:
        best = table.best(ours)
        leads = []
        for name in table.cells:
            ratio = None if best is None or name in ours else table.ratio(name, best)
            if best is not None and ratio:
                lead = ratio if table.measure.more else 1 / ratio
                if lead > _EVEN:
                    leads.append(Loss(table, best, name, lead))
        found += sorted(leads, key=lambda loss: -loss.times)
    return found
