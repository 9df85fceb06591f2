"""Views on a running pool: how it is, and how each of its workers is. They look, change nothing, and ask no worker.

From any thread: what they read is replaced as a whole, or copied first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from snakepit._workers import health as workers_health
from snakepit._workers.health import WorkerHealth
from snakepit._workers.worker import Worker
from snakepit.config import PoolConfig

from . import health
from .health import PoolHealth
from .ledger import Ledger
from .stats import PoolStats


class Condition(NamedTuple):
    """Where the engine is in its life; why it has given up; why the newest start of a worker failed."""

    phase: Literal["starting", "serving", "draining", "closed"]
    broken: str
    failed_start: str


class Views:
    """What there is to see of one pool.

    Args:
        workers: of now, by id; the supervisor's own.
        stats, condition: of now; the engine's.
    """

    def __init__(
        self,
        config: PoolConfig,
        workers: Mapping[str, Worker],
        ledger: Ledger,
        stats: Callable[[], PoolStats],
        condition: Callable[[], Condition],
    ) -> None:
        self._config = config
        self._workers = workers
        self._ledger = ledger
        self._stats = stats
        self._condition = condition

    def health(self) -> PoolHealth:
        """How the pool is now."""
        phase, broken, failed_start = self._condition()
        return health.judged(
            self._stats(),
            tuple(map(self.worker_health, list(self._workers.values()))),
            queue_size=self._config.queue_size,
            phase=phase,
            broken=broken,
            failed_start=failed_start,
        )

    def worker_health(self, worker: Worker) -> WorkerHealth:
        """How a worker is now."""
        now = time.monotonic()
        calls = [self._ledger.get(call_id) for call_id in list(worker.running)]
        return workers_health.judged(
            worker.id,
            worker.state,
            running=len(calls),
            cancelled=sum(call is not None and call.cancelling for call in calls),
            last_heard=now - worker.heard if worker.heard else None,
            missed_beats=worker.missed_beats,
            rss=worker.memory(now),
            leaving=worker.retiring,
            condemned=worker.condemned,
        )
