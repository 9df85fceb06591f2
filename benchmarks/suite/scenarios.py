"""What is played: scenarios, of what parts they are made, what is measured at each, and by whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmarks.peers.run import PEERS

from .results import Measure

_ALL_PEERS = tuple(PEERS)
_FACES = ("pool", "pool_grpc", "async_pool", "async_pool_grpc", "async_pool_uvloop")


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One request to a player.

    Attributes:
        scenario: of the players; options: that go with it.
        measures: what is read from its answer.
        counted: the option that says how much is done: as much as takes the wanted time; empty: what is played is always the same.
        count: of that, how much a first try is about.
        warm: how often it is played before it counts, where it is not counted.
        only: of ours, who play it; empty: all who play the scenario.
    """

    scenario: str
    measures: tuple[Measure, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    counted: str = ""
    count: int = 0
    warm: int = 0
    only: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """Parts that are played in one visit, on one pool where the players have it so.

    Attributes:
        name: on the command line; about: one sentence under its heading.
        ours, peers: who play it.
        rounds: at least, in a full run and in a quick one.
        fresh: does each round need a player that has done nothing else?
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    ours: tuple[str, ...] = _FACES
    peers: tuple[str, ...] = _ALL_PEERS
    rounds: tuple[int, int] = (7, 2)
    fresh: bool = False


def _in_flight(window: int) -> Part:
    measure = Measure(f"in_flight_{window}", f"{window} in flight, 2 workers", "rate", "calls/s", more=True)
    return Part("in_flight", (measure,), {"window": window}, counted="count", count=100)


SCENARIOS = (
    Scenario(
        "sequential",
        "One small call after the other: `execute` and its like, the median of a round's calls. A dict goes there and back.",
        (Part("sequential", (Measure("sequential", "one call after the other, p50", "p50", "µs", 1e6),), counted="count", count=50),),
    ),
    Scenario(
        "in_flight",
        "Many small calls, so many of them on the way at a time, over two workers.",
        tuple(_in_flight(window) for window in (1, 16, 64, 256)),
        ours=("pool", "pool_map", "pool_grpc", "pool_map_grpc", "async_pool", "async_pool_map", "async_pool_grpc", "async_pool_uvloop"),
    ),
)
