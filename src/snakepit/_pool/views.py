"""Views on a running pool: its figures, how it is, how each of its workers is. They look, and change nothing.

From any thread, `stacks` and `document` apart: what they read is replaced as a whole, or copied first.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from snakepit._channel.negotiate import Selection
from snakepit._workers import health as workers_health
from snakepit._workers.health import WorkerHealth
from snakepit._workers.lifecycle import State
from snakepit._workers.supervisor import Supervisor
from snakepit._workers.worker import Worker
from snakepit.config import PoolConfig
from snakepit_bridge.redaction import Redactor
from snakepit_bridge.shared.store import Store

from . import health, status
from .dispatcher import Dispatcher
from .events import Events
from .health import PoolHealth
from .scheduler import Scheduler
from .stats import PoolStats

Phase: TypeAlias = Literal["starting", "serving", "draining", "closed"]


class Condition(NamedTuple):
    """Where the engine is in its life; why it has given up; why the newest start of a worker failed; the protocol."""

    phase: Phase
    broken: str
    failed_start: str
    selection: Selection


class Views:
    """What there is to see of one pool.

    Args:
        condition: of the engine, now.
    """

    def __init__(
        self,
        config: PoolConfig,
        facts: status.PoolFacts,
        supervisor: Supervisor,
        scheduler: Scheduler,
        calls: Dispatcher,
        redactor: Redactor,
        condition: Callable[[], Condition],
        events: Events,
    ) -> None:
        self._events = events
        self._config = config
        self._facts = facts
        self._supervisor = supervisor
        self._scheduler = scheduler
        self._calls = calls
        self._redactor = redactor
        self._condition = condition

    def stats(self) -> PoolStats:
        """A picture of the pool now."""
        workers, condition = self._workers(), self._condition()
        stores = [worker.shared for worker in workers if worker.shared is not None]
        return PoolStats(
            size=self._config.size,
            workers_ready=sum(worker.serves for worker in workers),
            spares=self._supervisor.spares,
            restarts=self._supervisor.restarts,
            recycled=self._supervisor.recycled,
            quarantined=self._supervisor.quarantined,
            queued=self._scheduler.waiting,
            running=self._scheduler.running,
            circuits=self._calls.circuits.infos(),
            draining=condition.phase == "draining",
            protocol=condition.selection.protocol,
            events=self._events.told,
            events_dropped=self._events.dropped,
            protocol_reasons=condition.selection.reasons + self._events.reasons,
            shared_transfers=sum(store.transfers for store in stores),
            shared_fallbacks=sum(store.fallbacks for store in stores),
            shared_memory_reasons=_why_not_shared(self._config, stores),
            launcher=self._supervisor.launcher.name,
            launcher_reasons=self._supervisor.launcher.reasons,
            free_threaded=any(worker.says.free_threaded for worker in workers),
            gil_enabled=all(worker.says.gil_enabled for worker in workers),
            **self._calls.ledger.counters.picture(),
        )

    def health(self) -> PoolHealth:
        """How the pool is now."""
        condition = self._condition()
        return health.judged(
            self.stats(),
            tuple(map(self.worker_health, self._workers())),
            queue_size=self._config.queue_size,
            phase=condition.phase,
            broken=condition.broken,
            failed_start=condition.failed_start,
        )

    def worker_health(self, worker: Worker) -> WorkerHealth:
        """How a worker is now."""
        now = time.monotonic()
        calls = [self._calls.ledger.get(call_id) for call_id in list(worker.running)]
        return workers_health.judged(
            worker.id,
            worker.state,
            running=len(calls),
            cancelled=sum(call is not None and call.cancelling for call in calls),
            last_heard=now - worker.heard if worker.heard else None,
            missed_beats=worker.missed_beats,
            rss=worker.memory(now),
            leaving=worker.retiring or ("a lock may be held there for good" if worker.tainted else ""),
            condemned=worker.condemned,
        )

    async def stacks(self) -> dict[str, str]:
        """Where the threads of each worker that serves are."""
        workers = [worker for worker in self._workers() if worker.state in (State.READY, State.DRAINING)]
        told = await asyncio.gather(*(worker.asked_stacks.of(worker) for worker in workers))
        return dict(zip([worker.id for worker in workers], told, strict=True))

    def document(self) -> bytes:
        """All of it, as `snakepit status` is told."""
        workers = self._workers()
        running = [call for worker in workers for call in map(self._calls.ledger.get, worker.running) if call is not None]
        return status.document(
            self._facts,
            self.health(),
            self.stats(),
            [(worker.info(), self.worker_health(worker)) for worker in workers],
            running,
            self._calls.ledger.oldest_waiting() if self._scheduler.waiting else None,
            self._redactor,
        )

    def _workers(self) -> list[Worker]:
        return list(self._supervisor.workers.values())


def _why_not_shared(config: PoolConfig, stores: Sequence[Store]) -> tuple[str, ...]:
    if not config.shared_memory_limit:
        return ("shared_memory_limit is 0",)
    if config.command:
        return ("workers behind a command may be on another machine",)
    return tuple(dict.fromkeys(store.reason for store in stores if store.reason))
