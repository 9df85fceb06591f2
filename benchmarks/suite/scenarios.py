"""What is played: scenarios, of what parts they are made, what is measured at each, and by whom."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from benchmarks.peers.player import Player
from benchmarks.peers.run import PEERS

from .results import Measure

#: Ways to have many calls in flight, or a state, that are like their libraries otherwise.
_VARIANTS = ("pyro5_batch", "dask_actors")
_ALL_PEERS = tuple(name for name in PEERS if name not in _VARIANTS)
_FACES = ("pool", "pool_grpc", "async_pool", "async_pool_grpc", "async_pool_uvloop")


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One request to a player.

    Attributes:
        scenario: of the players; options: that go with it.
        measures: what is read from its answer.
        counted: the option that says how much is done: as much as takes the wanted time; empty: what is played is always the same.
        count: of that, how much a first try is about.
        warm: how often at most it is played before it counts, once its pool is open; where it is not counted.
        quick: options of a quick run in place of these.
        only: who play it; empty: all who play the scenario.
        patience: how long what may never come is waited for, in a full run and in a quick one: seconds; None: it always comes.
    """

    scenario: str
    measures: tuple[Measure, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    counted: str = ""
    count: int = 0
    warm: int = 0
    only: tuple[str, ...] = ()
    quick: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    patience: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """Parts that are played in one visit, on one pool where the players have it so.

    Attributes:
        name: on the command line; about: one sentence under its heading.
        ours, peers: who play it.
        rounds: in a full run; a quick one has one.
        fresh: does each round need a player that has done nothing else?
        needs: what has to lie there; see `materials`.
        full: of the contestants, who do not play in a quick run.
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    ours: tuple[str, ...] = _FACES
    peers: tuple[str, ...] = _ALL_PEERS
    rounds: int = 5
    fresh: bool = False
    needs: str = ""
    full: tuple[str, ...] = ()

    @property
    def standing(self) -> bool:
        """Can it share a pool with others of its kind?"""
        return all(part.scenario in Player.STANDING for part in self.parts)


def _in_flight(window: int) -> Part:
    rate = Measure(f"in_flight_{window}", f"{window} in flight, 2 workers", "rate", "calls/s", more=True)
    return Part("in_flight", (rate,), {"window": window}, counted="count", count=100)


def _piecewise(key: str, what: str) -> tuple[Measure, ...]:
    return (
        Measure(f"{key}_first", f"{what}: first progress", "first", "ms", 1e3),
        Measure(f"{key}_seconds", f"{what}: all done", "seconds", "s"),
        Measure(f"{key}_grown", f"{what}: most memory beyond what was there before", "grown", "MiB"),
    )


def _cancel(kind: str, called: str) -> Part:
    ended = Measure(f"cancel_{kind}", f"cancel of {called}: until it has ended", "ended", "ms", 1e3)
    return Part("cancel", (ended,), {"kind": kind}, patience=(5.0, 0.5))


SCENARIOS = (
    Scenario(
        "sequential",
        "One small call after the other: `execute` and its like. A dict goes there and comes back; the median of a round's calls.",
        (Part("sequential", (Measure("sequential", "one call after the other, p50", "p50", "µs", 1e6),), counted="count", count=50),),
        ours=(*_FACES, "pool_asyncio"),
        peers=(*_ALL_PEERS, "dask_actors"),
        rounds=7,
    ),
    Scenario(
        "in_flight",
        "Many small calls over two workers, so many of them on the way at a time.",
        tuple(_in_flight(window) for window in (1, 16, 64, 256)),
        ours=("pool", "pool_map", "pool_grpc", "pool_map_grpc", "async_pool", "async_pool_map", "async_pool_grpc", "async_pool_uvloop"),
        peers=tuple(PEERS),
    ),
    Scenario(
        "stream",
        "A generator in a worker yields small dicts as fast as it can; they are read one by one. And how long the first of 200 takes.",
        (
            Part("stream", (Measure("stream", "small chunks", "rate", "chunks/s", more=True),), counted="count", count=200),
            Part(
                "first_chunk",
                (Measure("first_chunk", "the first chunk of a stream, p50", "p50", "ms", 1e3),),
                {"count": 200},
                counted="streams",
                count=2,
            ),
        ),
    ),
    Scenario(
        "transfer",
        "An array of 12,500,000 floats (100 MB): to a worker, which adds it up; and one that lies there, to here, where it is added up.",
        (
            Part(
                "transfer",
                (
                    Measure("up", "100 MB up", "up", "GB/s", -0.1, more=True),
                    Measure("down", "100 MB down", "down", "GB/s", -0.1, more=True),
                ),
                warm=3,
            ),
        ),
    ),
    Scenario(
        "sessions",
        "Calls that find what the ones before them left at their worker: a counter.",
        (Part("sessions", (Measure("sessions", "a call in a session, p50", "p50", "µs", 1e6),), counted="count", count=50),),
        peers=(*_ALL_PEERS, "dask_actors"),
        rounds=3,
    ),
    Scenario(
        "start",
        "From nothing to the first result of two workers, the library being imported; and until all is closed again.",
        (
            Part(
                "start",
                (
                    Measure("start", "from constructor to first result, 2 workers", "first", "ms", 1e3),
                    Measure("closed", "the same, and closed again", "closed", "ms", 1e3),
                ),
            ),
        ),
        ours=("pool", "pool_grpc", "pool_template", "async_pool", "async_pool_grpc"),
    ),
    Scenario(
        "crash",
        "A worker dies in a call (`os._exit`), of two workers; and of one, where another has to be started first.",
        (
            Part(
                "crash",
                (
                    Measure("crash_error", "a worker dies: until its caller knows", "error", "ms", 1e3),
                    Measure("crash_next", "a worker dies: until the next good result", "next", "ms", 1e3),
                ),
                patience=(10.0, 4.0),
            ),
            Part(
                "crash",
                (Measure("crash_only", "the only worker dies: until the next good result", "next", "ms", 1e3),),
                {"workers": 1},
                patience=(10.0, 4.0),
                only=("pool", "pool_grpc", "pool_template", "pool_spare", "pebble", "loky", "ray"),
            ),
        ),
        ours=("pool", "pool_grpc", "pool_template", "pool_spare", "async_pool"),
        full=("executor_fork", "async_pool"),
    ),
    Scenario(
        "cancel",
        "A call that runs is cancelled: a `time.sleep`, a loop, a read that blocks. Does its worker live on, with what it had loaded?",
        (_cancel("sleep", "`time.sleep`"), _cancel("loop", "a busy loop"), _cancel("read", "a blocking read")),
        ours=("pool", "pool_grpc", "async_pool"),
        rounds=3,
        full=("executor_fork", "async_pool"),
    ),
    Scenario(
        "memory",
        "What all processes below the program hold when all workers have answered some calls and nothing is to be done (PSS).",
        (
            Part(
                "memory",
                (
                    Measure("memory_2", "memory of 2 idle workers", "mib", "MiB"),
                    Measure("memory_2_all", "memory of 2 idle workers and of the program that has them", "all", "MiB"),
                ),
                {"workers": 2},
            ),
        ),
        ours=("pool", "pool_grpc", "pool_template"),
        rounds=3,
        fresh=True,
    ),
    Scenario(
        "memory_50",
        "The same of fifty workers.",
        (Part("memory", (Measure("memory_50", "memory of 50 idle workers", "mib", "MiB"),), {"workers": 50, "settle": 3.0}),),
        ours=("pool", "pool_template"),
        peers=("executor", "executor_fork", "ray"),
        full=("ray",),
        rounds=1,
        fresh=True,
    ),
    Scenario(
        "slow_consumer",
        "A generator has 20,000 chunks of 10 kB; ten are read, and then nothing for two seconds. What memory grows by meanwhile (PSS).",
        (
            Part(
                "slow_consumer",
                (
                    Measure("slow_host", "a slow consumer: its own process grows by", "host", "MiB"),
                    Measure("slow_others", "a slow consumer: workers and helpers grow by", "others", "MiB"),
                ),
                quick={"seconds": 1.0},
            ),
        ),
        ours=("pool", "pool_grpc", "async_pool"),
        rounds=3,
    ),
    Scenario(
        "csv",
        "A CSV file of 1 GB (quick: 100 MB), one column of which is added up: as a stream that says how far it is, or in one call.",
        (Part("csv", _piecewise("csv", "the CSV file")),),
        ours=("pool", "pool_grpc", "pool_at_once"),
        peers=("executor", "ray"),
        rounds=3,
        needs="csv",
    ),
    Scenario(
        "images",
        "1,000 images (quick: 300) of 256 x 256 pixels get a label and come back: one by one, as a stream, or all in one call.",
        (Part("images", _piecewise("images", "1,000 images"), quick={"count": 300}),),
        ours=("pool", "pool_grpc", "pool_at_once"),
        peers=("executor", "ray"),
        rounds=3,
    ),
)

_MEASURES = {each.key: each for scenario in SCENARIOS for part in scenario.parts for each in part.measures}


def measure(key: str) -> Measure:
    """The one of that key."""
    return _MEASURES[key]


def scenario(name: str) -> Scenario:
    """The one of that name."""
    return next(each for each in SCENARIOS if each.name == name)
