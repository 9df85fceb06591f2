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
        only: who play it; empty: all who play the scenario.
        patience: is an option that says how long to wait for what may never come?
    """

    scenario: str
    measures: tuple[Measure, ...]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    counted: str = ""
    count: int = 0
    warm: int = 0
    only: tuple[str, ...] = ()
    patience: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Scenario:
    """Parts that are played in one visit, on one pool where the players have it so.

    Attributes:
        name: on the command line; about: one sentence under its heading.
        ours, peers: who play it.
        rounds: at least, in a full run and in a quick one.
        fresh: does each round need a player that has done nothing else?
        needs: what has to lie there; see `materials`.
    """

    name: str
    about: str
    parts: tuple[Part, ...]
    ours: tuple[str, ...] = _FACES
    peers: tuple[str, ...] = _ALL_PEERS
    rounds: tuple[int, int] = (7, 2)
    fresh: bool = False
    needs: str = ""


def _in_flight(window: int) -> Part:
    measure = Measure(f"in_flight_{window}", f"{window} in flight, 2 workers", "rate", "calls/s", more=True)
    return Part("in_flight", (measure,), {"window": window}, counted="count", count=100)


def _piecewise(key: str, what: str) -> tuple[Measure, ...]:
    return (
        Measure(f"{key}_first", f"{what}: first progress", "first", "ms", 1e3),
        Measure(f"{key}_seconds", f"{what}: all done", "seconds", "s"),
        Measure(f"{key}_grown", f"{what}: most memory beyond what was there before", "grown", "MiB"),
    )


def _cancel(kind: str, called: str) -> Part:
    measure = Measure(f"cancel_{kind}", f"cancel of {called}: until it has ended", "ended", "ms", 1e3)
    return Part("cancel", (measure,), {"kind": kind}, patience=True)


SCENARIOS = (
    Scenario(
        "sequential",
        "One small call after the other: `execute` and its like. A dict goes there and comes back; the median of a round's calls.",
        (Part("sequential", (Measure("sequential", "one call after the other, p50", "p50", "µs", 1e6),), counted="count", count=50),),
    ),
    Scenario(
        "in_flight",
        "Many small calls over two workers, so many of them on the way at a time.",
        tuple(_in_flight(window) for window in (1, 16, 64, 256)),
        ours=("pool", "pool_map", "pool_grpc", "pool_map_grpc", "async_pool", "async_pool_map", "async_pool_grpc", "async_pool_uvloop"),
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
                warm=1,
            ),
        ),
    ),
    Scenario(
        "sessions",
        "Calls that find what the ones before them left at their worker: a counter.",
        (Part("sessions", (Measure("sessions", "a call in a session, p50", "p50", "µs", 1e6),), counted="count", count=50),),
        rounds=(5, 1),
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
        rounds=(7, 2),
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
                patience=True,
            ),
            Part(
                "crash",
                (Measure("crash_only", "the only worker dies: until the next good result", "next", "ms", 1e3),),
                {"workers": 1},
                patience=True,
                only=("pool", "pool_grpc", "pool_template", "pool_spare", "pebble", "loky", "ray"),
            ),
        ),
        ours=("pool", "pool_grpc", "pool_template", "pool_spare", "async_pool"),
        rounds=(5, 1),
    ),
    Scenario(
        "cancel",
        "A call that runs is cancelled: `time.sleep`, a loop in Python, a read that blocks. Does its worker live on, with what it had loaded?",
        (_cancel("sleep", "`time.sleep`"), _cancel("loop", "a busy loop"), _cancel("read", "a blocking read")),
        ours=("pool", "pool_grpc", "async_pool"),
        rounds=(5, 1),
    ),
    Scenario(
        "memory",
        "What all processes below the program hold when all workers have answered some calls and nothing is to be done (PSS).",
        (Part("memory", (Measure("memory_2", "memory of 2 idle workers", "mib", "MiB"),), {"workers": 2}),),
        ours=("pool", "pool_grpc", "pool_template"),
        rounds=(3, 1),
        fresh=True,
    ),
    Scenario(
        "memory_50",
        "The same of fifty workers.",
        (Part("memory", (Measure("memory_50", "memory of 50 idle workers", "mib", "MiB"),), {"workers": 50, "settle": 3.0}),),
        ours=("pool", "pool_template"),
        peers=("executor", "executor_fork", "ray"),
        rounds=(1, 1),
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
            ),
        ),
        ours=("pool", "pool_grpc", "async_pool"),
        rounds=(3, 1),
    ),
    Scenario(
        "csv",
        "A CSV file of 1 GB (quick: 100 MB), one column of which is added up: as a stream that says how far it is, or in one call.",
        (Part("csv", _piecewise("csv", "the CSV file")),),
        ours=("pool", "pool_grpc", "pool_at_once"),
        peers=("executor", "ray"),
        rounds=(3, 1),
        needs="csv",
    ),
    Scenario(
        "images",
        "1,000 images of 256 x 256 pixels get a label and come back, 197 MB in all: one by one, as a stream, or all in one call.",
        (Part("images", _piecewise("images", "1,000 images")),),
        ours=("pool", "pool_grpc", "pool_at_once"),
        peers=("executor", "ray"),
        rounds=(3, 1),
    ),
)
