"""Whether a pool is well: `PoolHealth`, and how it is judged. Pure; the engine has the facts."""

from __future__ import annotations

import dataclasses
from typing import Literal

from snakepit._workers.health import WorkerHealth

from .stats import PoolStats


@dataclasses.dataclass(frozen=True, slots=True)
class PoolHealth:
    """How a pool is at one moment.

    Attributes:
        status: "ok": it serves as it should. "degraded": it serves, or soon will, and something is not as it should be. "failing":
            a call that came now would not be served.
        reasons: why it is not "ok", in words, the worst first.
        workers_ready: workers that serve; workers_wanted: as many as there should be.
        running, queued: calls that run and that wait; queue_size: how many may wait.
        broken: why the pool has given up; empty: it has not.
        draining: it takes no new calls.
        workers: how each of them is.
    """

    status: Literal["ok", "degraded", "failing"]
    reasons: tuple[str, ...]
    workers_ready: int
    workers_wanted: int
    running: int = 0
    queued: int = 0
    queue_size: int = 0
    broken: str = ""
    draining: bool = False
    workers: tuple[WorkerHealth, ...] = ()

    @property
    def ok(self) -> bool:
        """Is all as it should be?"""
        return self.status == "ok"


def judged(
    stats: PoolStats,
    workers: tuple[WorkerHealth, ...] = (),
    *,
    queue_size: int = 0,
    phase: Literal["new", "starting", "serving", "draining", "closed"] = "serving",
    broken: str = "",
    failed_start: str = "",
) -> PoolHealth:
    """What these facts say of a pool.

    Args:
        phase: where it is in its life; "serving" from the moment at which its first worker was ready.
        broken: why it has given up. failed_start: why the newest start of a worker failed, if none was ready since.
    """
    failing, degraded = [], []
    missing = stats.workers_ready < stats.size
    tally = f"{stats.workers_ready} of {stats.size} workers are ready"
    if phase == "closed":
        failing.append("it has been closed")
    elif broken:
        failing.append(f"it has given up: {broken}")
    elif phase == "new":
        degraded.append("it has not been started: `with`, start() or the first call does that")
    elif phase == "starting":
        degraded.append("it is starting: no worker has been ready yet")
    elif phase == "draining":
        degraded.append("it is draining: it takes no new calls")
    elif missing:
        (degraded if stats.workers_ready else failing).append(tally)
    if failed_start and missing and not broken:
        degraded.append(f"the newest start of a worker failed: {failed_start}")
    degraded += [
        f"no worker is started in place of {slot.worker_id} for a while: {slot.cause}" + (f" ({slot.hint})" if slot.hint else "")
        for slot in stats.quarantined
    ]
    for circuit in stats.circuits:
        if circuit.state != "closed":
            calls, which = (f"calls of {circuit.tool!r}", degraded) if circuit.tool else ("all calls", failing)
            which.append(f"{calls} are refused for now, after {circuit.failures} failures: stats().circuits has the cause")
    if queue_size and stats.queued >= queue_size:
        degraded.append(f"the queue is full: {stats.queued} calls wait, and a further one is refused")
    if phase in ("starting", "serving"):
        degraded += [f"{worker.id}: {reason}" for worker in workers if worker.state == "ready" for reason in worker.reasons]
    return PoolHealth(
        status="failing" if failing else "degraded" if degraded else "ok",
        reasons=(*failing, *degraded),
        workers_ready=stats.workers_ready,
        workers_wanted=stats.size,
        running=stats.running,
        queued=stats.queued,
        queue_size=queue_size,
        broken=broken,
        draining=phase == "draining",
        workers=workers,
    )
