"""The pool's figures: counted by the engine, given out as a frozen picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from snakepit._workers.slots import QuarantinedSlot
from snakepit.circuit_breaker import CircuitInfo
from snakepit_bridge.frozen import freeze


@dataclasses.dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one moment.

    Attributes:
        size: workers wanted; workers_ready: workers that serve; restarts: workers started in place of others that had died.
        spares: ready workers beyond those that serve, which wait to take the place of one that is lost.
        recycled: workers that another one took the place of because of their age, work or memory.
        quarantined: places in which no worker is started for a while, with cause and mend.
        queued, running: calls that wait and that run.
        submitted, succeeded, failed, cancelled, timed_out, crashed: calls since the start. Each call counts in one of the last five.
        chunks: chunks received. retried: runs of calls beyond their first, as their tools and the pool's `retry` allow.
        circuits: those of the pool's `circuit_breaker`. draining: the pool takes no new calls.
        killed: workers that had to be ended because a cancelled call did not end.
        rungs: how many cancelled calls each rung of the ladder has ended, by its name; see `CallCancelled.rung`.
        forced: how often `Cancelled` was raised where a lock may have been held. tainted: workers that were replaced for that.
        events: telemetry events given to `on_event`; events_dropped: those that were lost because it, or the way to it, was too slow.
        protocol: what carries the channels; protocol_reasons: for each better one that was passed over, why.
        shared_transfers: attachments of the workers that live that went through shared memory, either way; shared_fallbacks: those
            that went over the channel for want of room; shared_memory_reasons: why there is none.
        launcher: how workers are started; launcher_reasons: why not as was wished.
        free_threaded: the workers' interpreter is a free-threaded build; gil_enabled: whether one thread at a time runs Python code
            in them, which on such a build a library that was imported can bring about.
    """

    size: int
    workers_ready: int = 0
    spares: int = 0
    restarts: int = 0
    recycled: int = 0
    quarantined: tuple[QuarantinedSlot, ...] = ()
    queued: int = 0
    running: int = 0
    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    crashed: int = 0
    chunks: int = 0
    killed: int = 0
    retried: int = 0
    circuits: tuple[CircuitInfo, ...] = ()
    draining: bool = False
    rungs: Mapping[str, int] = dataclasses.field(default_factory=lambda: freeze({}))
    forced: int = 0
    tainted: int = 0
    events: int = 0
    events_dropped: int = 0
    protocol: str = ""
    protocol_reasons: tuple[str, ...] = ()
    shared_transfers: int = 0
    shared_fallbacks: int = 0
    shared_memory_reasons: tuple[str, ...] = ()
    launcher: str = ""
    launcher_reasons: tuple[str, ...] = ()
    free_threaded: bool = False
    gil_enabled: bool = True


@dataclasses.dataclass(slots=True)
class Counters:
    """The engine's own, mutable."""

    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    timed_out: int = 0
    crashed: int = 0
    chunks: int = 0
    killed: int = 0
    retried: int = 0
    forced: int = 0
    tainted: int = 0
    rungs: dict[str, int] = dataclasses.field(default_factory=dict)

    def picture(self) -> dict[str, Any]:
        """What they are now, by name; it does not change with them. From any thread: a dict that grows must not be walked through."""
        return {**{field.name: getattr(self, field.name) for field in dataclasses.fields(self)}, "rungs": freeze(self.rungs.copy())}
