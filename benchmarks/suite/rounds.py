"""Plays scenarios: all contestants in turn, round after round, each in a process of its own, which rests while others play."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.peer import Answer, Peer, PeerFailed

from .materials import material
from .results import Table
from .scenarios import Part, Scenario

#: No round of a part takes longer: seconds.
_PATIENCE = 120.0
_MOST = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """How much to play.

    Attributes:
        rounds: of each scenario; None: as it says.
        names: of the contestants that play; None: all.
        say: told what happens.
    """

    quick: bool
    rounds: int | None = None
    names: frozenset[str] | None = None
    say: Callable[[str], None] = print

    @property
    def seconds(self) -> float:
        """So long a round of small calls or chunks is about to take."""
        return 0.15 if self.quick else 0.6

    @property
    def patience(self) -> float:
        """So long what may never come is waited for: seconds."""
        return 1.0 if self.quick else 5.0

    def of(self, scenario: Scenario) -> list[str]:
        return [name for name in (*scenario.ours, *scenario.peers) if self.names is None or name in self.names]


def play(scenario: Scenario, plan: Plan) -> list[Table]:
    """A table for each measure. What fails is a remark in a cell."""
    tables = [Table(measure) for part in scenario.parts for measure in part.measures]
    with contextlib.ExitStack() as stack:
        found = stack.enter_context(material(scenario.needs, quick=plan.quick))
        seats = [_Seat(name, scenario, plan, stack, tables, found) for name in plan.of(scenario)]
        for number in range(plan.rounds or scenario.rounds[plan.quick]):
            plan.say(f"{scenario.name}: round {number + 1}")
            for seat in seats:
                seat.visit()
    return tables


class _Seat:
    """One contestant, for the rounds of one scenario."""

    def __init__(
        self, name: str, scenario: Scenario, plan: Plan, stack: contextlib.ExitStack, tables: Sequence[Table], material: dict[str, Any]
    ) -> None:
        self._name = name
        self._material = material
        self._scenario = scenario
        self._plan = plan
        self._stack = stack
        self._tables = {table.measure.key: table for table in tables}
        self._peer: Peer | None = None
        self._counts: dict[int, int] = {}
        self._out: set[int] = set()
        for part in scenario.parts:
            for measure in part.measures:
                if not part.only or name in part.only:
                    self._tables[measure.key].cell(name)

    def visit(self) -> None:
        """Each part once, then rest."""
        for number, part in enumerate(self._scenario.parts):
            if number not in self._out and (not part.only or self._name in part.only):
                self._play(number, part)
        if self._peer is not None and self._scenario.fresh:
            self._end()
        elif self._peer is not None:
            with contextlib.suppress(PeerFailed):
                self._peer.ask("rest", timeout=_PATIENCE)

    def _play(self, number: int, part: Part) -> None:
        try:
            answer = self._asked(number, part)
        except PeerFailed as error:
            self._give_up(number, part, f"failed: {error}")
            self._end()
            return
        if answer.cannot:
            self._give_up(number, part, answer.cannot)
        for measure in part.measures:
            cell, figure = self._tables[measure.key].cell(self._name), answer.figures.get(measure.figure)
            if figure is not None:
                cell.figures.append(measure.shown(float(figure)))
            for name, found in answer.figures.items():
                if isinstance(found, bool):
                    cell.flags[name] = found and cell.flags.get(name, True)

    def _asked(self, number: int, part: Part) -> Answer:
        if self._peer is None:
            self._peer = Peer(self._name)
            self._stack.push(self._peer)
        if part.counted:
            return self._counted(self._peer, number, part)
        options = {**part.options, **self._material, **({"patience": self._plan.patience} if part.patience else {})}
        for _ in range(part.warm):
            self._peer.ask(part.scenario, timeout=_PATIENCE, **options)
        return self._peer.ask(part.scenario, timeout=_PATIENCE, **options)

    def _counted(self, peer: Peer, number: int, part: Part) -> Answer:
        """As many as take the wanted time; before that some that do not count, since its pool has just been opened."""

        def asked(count: int) -> Answer:
            return peer.ask(part.scenario, timeout=_PATIENCE, **{**part.options, part.counted: count})

        if number in self._counts:
            asked(max(1, self._counts[number] // 5))
            return asked(self._counts[number])
        count, wanted = part.count, self._plan.seconds
        answer = asked(count)
        while not answer.cannot:
            answer = asked(count)
            if answer.seconds > wanted / 2 or count >= _MOST:
                break
            count = min(_MOST, int(count * max(2.0, min(20.0, wanted / answer.seconds))))
        self._counts[number] = count
        return answer

    def _give_up(self, number: int, part: Part, reason: str) -> None:
        self._out.add(number)
        for measure in part.measures:
            self._tables[measure.key].cell(self._name).remark = reason

    def _end(self) -> None:
        if self._peer is not None:
            self._peer.end()
            self._peer = None
