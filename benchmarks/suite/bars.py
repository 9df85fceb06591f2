"""What is promised of this project beside its peers, and whether it was kept. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from .contestants import contestants
from .page import row, short
from .results import Cell, Measure, Table
from .scenarios import measure as measure_of

Tables = Mapping[str, Table]

#: What of the memory of idle workers from a template each of them adds.
_TEMPLATE = Measure("template_worker", "each further worker from a template", "mib", "MiB")


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One promise: of the ratio to a peer, or of our own figure.

    Attributes:
        about: the row of the table of promises; key: of the measure; ours: who has to keep it.
        limit: at least this where more is better, else at most this.
        beside: the peer; empty: the limit is in the measure's unit.
        goal: is it wished for, and no bar?
        kept: what has to be true besides; see `Cell.flags`.
    """

    about: str
    key: str
    ours: str
    limit: float
    beside: str = ""
    goal: bool = False
    kept: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a bar.

    Attributes:
        value: the ratio, or the figure; None: it was not measured.
        met: None where it was not measured; missed_by: a factor above 1.
    """

    bar: Bar
    table: Table | None
    value: float | None
    met: bool | None
    missed_by: float = 1.0


def _cancels() -> Iterator[Bar]:
    for kind, called in (("sleep", "time.sleep"), ("loop", "a busy loop"), ("read", "a blocking read")):
        for ours in ("pool", "pool_grpc"):
            yield Bar(f"cancel of {called}, the model stays", f"cancel_{kind}", ours, 50, kept=("lived", "model"))


def _in_flight() -> Iterator[Bar]:
    for ours in ("pool", "pool_map", "async_pool_map"):
        yield Bar("64 in flight, 2 workers", "in_flight_64", ours, 10, "ray")
        yield Bar("64 in flight, 2 workers", "in_flight_64", ours, 4, "executor")
    yield Bar("64 in flight, 2 workers", "in_flight_64", "pool_map", 1, "pyzmq", goal=True)
    yield Bar("64 in flight, 2 workers", "in_flight_64", "pool_map", 100_000, goal=True)


BARS = (
    Bar("small chunks, gRPC", "stream", "pool_grpc", 40, "ray"),
    Bar("small chunks, gRPC", "stream", "pool_grpc", 30, "grpc"),
    Bar("small chunks, gRPC", "stream", "pool_grpc", 1, "pyzmq"),
    Bar("small chunks, gRPC", "stream", "pool_grpc", 1_000_000, goal=True),
    *(Bar("first chunk, warm", "first_chunk", ours, 1.5) for ours in ("pool", "pool_grpc")),
    *(Bar("first chunk, warm", "first_chunk", ours, 0.5, "ray") for ours in ("pool", "pool_grpc")),
    Bar("first chunk, warm", "first_chunk", "pool_grpc", 1, "grpc", goal=True),
    Bar("sequential execute, gRPC", "sequential", "async_pool_grpc", 0.85, "grpc"),
    Bar("sequential execute, gRPC", "sequential", "async_pool_grpc", 0.7, "grpc", goal=True),
    Bar("sequential execute, gRPC", "sequential", "pool_grpc", 1.0, "grpc"),
    Bar("sequential execute, gRPC", "sequential", "pool_grpc", 0.9, "grpc", goal=True),
    Bar("sequential execute, MessagePack, uvloop", "sequential", "async_pool_uvloop", 0.9, "executor"),
    Bar("sequential execute, MessagePack, uvloop", "sequential", "pool", 1.1, "executor"),
    Bar("sequential execute, MessagePack", "sequential", "async_pool", 1.3, "executor"),
    Bar("sequential execute, MessagePack", "sequential", "pool_asyncio", 1.3, "executor"),
    Bar("sequential execute, MessagePack", "sequential", "async_pool_uvloop", 1, "pyro5", goal=True),
    *_in_flight(),
    *(Bar("start to first result, 2 workers", "start", ours, 0.1, "ray") for ours in ("pool", "pool_grpc")),
    Bar("start to first result, 2 workers", "start", "pool", 2, "executor"),
    Bar("start to first result, 2 workers", "start", "pool_grpc", 3, "executor"),
    Bar("start of a worker, the template being up", "crash_only", "pool_template", 60),
    Bar("idle memory, 2 workers", "memory_2", "pool", 0.25, "ray"),
    Bar("idle memory, 2 workers", "memory_2", "pool", 1.1, "executor"),
    Bar("idle memory, from a template", "template_worker", "pool_template", 10),
    Bar("crash to next result, with a spare", "crash_next", "pool_spare", 0.01, "ray"),
    Bar("crash to next result, with a spare", "crash_next", "pool_spare", 0.2, "pebble"),
    *_cancels(),
    *(Bar(f"100 MB {key}", key, ours, 1, "ray") for key in ("up", "down") for ours in ("pool", "pool_grpc")),
)


def judge(tables: Sequence[Table]) -> list[Verdict]:
    """Each bar, by what was measured."""
    found = {table.measure.key: table for table in tables}
    if (each := _template_worker(found)) is not None:
        found[_TEMPLATE.key] = each
    return [_judged(bar, found.get(bar.key)) for bar in BARS]


def _judged(bar: Bar, table: Table | None) -> Verdict:
    value = None
    if table is not None:
        value = table.ratio(bar.ours, bar.beside) if bar.beside else table.median(bar.ours)
    if table is None or value is None:
        return Verdict(bar, table, None, None)
    flags = table.cells[bar.ours].flags
    short_of = bar.limit / value if table.measure.more and value else value / bar.limit
    return Verdict(bar, table, value, short_of <= 1 and all(flags.get(name) for name in bar.kept), short_of)


def _template_worker(found: Tables) -> Table | None:
    """From what two and what fifty hold."""
    few, many = (found[key].median("pool_template") if key in found else None for key in ("memory_2", "memory_50"))
    return None if few is None or many is None else Table(_TEMPLATE, {"pool_template": Cell([(many - few) / 48])})


def markdown(verdicts: Sequence[Verdict]) -> str:
    """A line for each of which the scenario was played, and before them how many were kept."""
    head = [row(["promised", "of", "measured", "bar", "", ""]), row(["---", "---", "---:", "---:", "---", "---"])]
    played = [verdict for verdict in verdicts if verdict.table is not None]
    return "\n\n".join([summary(played), "\n".join(head + [row(_cells(verdict)) for verdict in played])])


def summary(verdicts: Sequence[Verdict]) -> str:
    """How many bars and goals were met."""
    counts = []
    for goal, word in ((False, "bars"), (True, "goals")):
        judged = [verdict.met for verdict in verdicts if verdict.bar.goal is goal and verdict.met is not None]
        if judged:
            counts.append(f"{sum(judged)} of {len(judged)} {word} met")
    missing = sum(verdict.met is None for verdict in verdicts)
    return ", ".join([*counts, *([f"{missing} not measured"] if missing else [])])


def text(verdicts: Sequence[Verdict]) -> str:
    """For a terminal: those that were measured."""
    lines = []
    for verdict in verdicts:
        if verdict.met is not None:
            about, ours, value, limit, kind, said = _cells(verdict)
            lines.append(f"  {about:<44}{ours:<22}{value:<36}{limit:<21}{kind:<6}{said}".rstrip())
    return "\n".join([*lines, summary(verdicts)])


def _cells(verdict: Verdict) -> list[str]:
    bar, known = verdict.bar, contestants()
    measure = _TEMPLATE if bar.key == _TEMPLATE.key else measure_of(bar.key)
    unit = "x" if bar.beside else f" {measure.unit}"
    measured = "" if verdict.value is None else f"{short(verdict.value)}{unit}"
    if measured and bar.beside:
        measured += f" {known[bar.beside].label}"
    limit = f"{'>=' if measure.more else '<='} {bar.limit:,.10g}{unit}"
    return [bar.about, known[bar.ours].label, measured, limit, "goal" if bar.goal else "bar", _said(verdict)]


def _said(verdict: Verdict) -> str:
    if verdict.met is None:
        return "not measured"
    if verdict.met:
        return "met"
    return f"missed by {short(verdict.missed_by)}x" if verdict.missed_by > 1 else "missed: its worker, or what it had loaded, is gone"
