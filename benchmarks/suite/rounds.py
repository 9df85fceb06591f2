"""Plays scenarios: all contestants in turn, round after round, each in a process of its own, which rests while others play."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from benchmarks.peers.peer import Answer, Peer, PeerFailed

from .materials import material
from .results import Table
from .scenarios import Part, Scenario

#: No request takes longer: seconds.
_PATIENCE = 120.0
_MOST = 1_000_000
#: What is slow is warm sooner: seconds.
_WARM = 1.0


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
        return 0.1 if self.quick else 0.4

    def of(self, scenario: Scenario) -> list[str]:
        """Who plays it."""
        names = [name for name in (*scenario.ours, *scenario.peers) if self.names is None or name in self.names]
        return [name for name in names if not (self.quick and name in scenario.full)]

    def times(self, scenario: Scenario) -> int:
        """So many rounds."""
        return self.rounds or (1 if self.quick else scenario.rounds)


#: A scenario that has been played, and a table for each of its measures.
Played = tuple[Scenario, list[Table]]


def play(scenarios: Sequence[Scenario], plan: Plan) -> Iterator[Played]:
    """Each scenario when it has been played. What fails is a remark in a cell.

    In a quick run, scenarios whose rounds share a pool are played in one visit: else opening pools would take most of its time.
    """
    for standing, group in itertools.groupby(scenarios, key=lambda scenario: plan.quick and scenario.standing):
        for visit in [list(group)] if standing else [[scenario] for scenario in group]:
            yield from _visited(visit, plan)


def _visited(scenarios: list[Scenario], plan: Plan) -> Iterator[Played]:
    """Scenarios that are played in one visit of each contestant."""
    began = time.perf_counter()
    found = {scenario.name: [Table(measure) for part in scenario.parts for measure in part.measures] for scenario in scenarios}
    label = ", ".join(found)
    with _Stage() as stage:
        turns: dict[str, list[_Turn]] = {}
        for scenario in scenarios:
            options = stage.enter_context(material(scenario.needs, quick=plan.quick))
            for name in plan.of(scenario):
                turns.setdefault(name, []).append(_Turn(name, scenario, plan, stage, found[scenario.name], options))
        rounds = max(plan.times(scenario) for scenario in scenarios)
        for number in range(rounds):
            for name, mine in turns.items():
                plan.say(f"{label}: round {number + 1} of {rounds}: {name}")
                for turn in mine:
                    turn.play()
                stage.leave(name, ends=scenarios[0].fresh)
    plan.say(f"{label}: {time.perf_counter() - began:.0f} s")
    yield from ((scenario, found[scenario.name]) for scenario in scenarios)


class _Stage(contextlib.ExitStack):
    """The processes of the contestants."""

    def __init__(self) -> None:
        super().__init__()
        self._peers: dict[str, Peer] = {}

    def peer(self, name: str) -> Peer:
        """Started when it is first asked for.

        Raises:
            PeerFailed: it cannot be.
        """
        if name not in self._peers:
            with _undisturbed():
                self._peers[name] = self.enter_context(Peer(name))
        return self._peers[name]

    def leave(self, name: str, *, ends: bool) -> None:
        """Its workers end, and leave the machine to others; or all of it ends."""
        peer = self._peers.get(name)
        if peer is None:
            return
        if not ends:
            try:
                peer.ask("rest", timeout=_PATIENCE)
            except PeerFailed:
                ends = True
        if ends:
            del self._peers[name]
            peer.end()


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until the block has ended: a process that was just started must not go unseen."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


class _Turn:
    """One contestant, for the rounds of one scenario."""

    def __init__(self, name: str, scenario: Scenario, plan: Plan, stage: _Stage, tables: Iterable[Table], material: dict[str, Any]) -> None:
        self._name = name
        self._plan = plan
        self._stage = stage
        self._material = material
        self._tables = {table.measure.key: table for table in tables}
        self._parts = [part for part in scenario.parts if not part.only or name in part.only]
        self._counts: dict[str, int] = {}
        for part in self._parts:
            for measure in part.measures:
                self._tables[measure.key].cell(name)

    def play(self) -> None:
        """Each part once; what could not be played is not tried again."""
        for part in list(self._parts):
            try:
                answer = self._asked(self._stage.peer(self._name), part)
            except (PeerFailed, OSError, ValueError) as error:
                self._give_up(part, f"failed: {error}")
                self._stage.leave(self._name, ends=True)
                continue
            if answer.cannot:
                self._give_up(part, answer.cannot)
            self._note(part, answer)

    def _asked(self, peer: Peer, part: Part) -> Answer:
        options = {**part.options, **(part.quick if self._plan.quick else {}), **self._material}
        if part.patience:
            options["patience"] = part.patience[self._plan.quick]
        if part.counted:
            return self._counted(part, lambda count: peer.ask(part.scenario, timeout=_PATIENCE, **{**options, part.counted: count}))
        if part.warm:
            peer.ask(part.scenario, timeout=_PATIENCE, **options)  # Opens the pool, which takes some of them seconds.
        until = time.perf_counter() + _WARM
        for _ in range(part.warm):
            if time.perf_counter() < until:
                peer.ask(part.scenario, timeout=_PATIENCE, **options)
        return peer.ask(part.scenario, timeout=_PATIENCE, **options)

    def _counted(self, part: Part, ask: Callable[[int], Answer]) -> Answer:
        """As many as take the wanted time; before that some that do not count, since its pool has just been opened."""
        key = part.measures[0].key
        if key in self._counts:
            ask(max(1, self._counts[key] // 5))
            return ask(self._counts[key])
        count, wanted = part.count, self._plan.seconds
        answer = ask(count)
        while not answer.cannot:
            answer = ask(count)
            if answer.seconds > wanted / 2 or count >= _MOST:
                break
            count = min(_MOST, int(count * max(2.0, min(20.0, wanted / answer.seconds))))
        self._counts[key] = count
        return answer

    def _note(self, part: Part, answer: Answer) -> None:
        for measure in part.measures:
            cell, figure = self._tables[measure.key].cell(self._name), answer.figures.get(measure.figure)
            if figure is not None:
                cell.figures.append(measure.shown(float(figure)))
            for name, found in answer.figures.items():
                if isinstance(found, bool):
                    cell.flags[name] = found and cell.flags.get(name, True)

    def _give_up(self, part: Part, reason: str) -> None:
        self._parts.remove(part)
        for measure in part.measures:
            self._tables[measure.key].cell(self._name).remark = reason
