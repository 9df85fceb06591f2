"""What the books of a worker say of its calls: that one has left it, or has begun before another one. Lives on the engine's loop."""

from __future__ import annotations

import time

from snakepit._workers.worker import Worker

from .call import Call
from .ledger import Ledger
from .scheduler import Scheduler


def taken_off(worker: Worker, call_id: int) -> None:
    """A call is not at a worker any more."""
    worker.running.pop(call_id, None)
    worker.secrets.ended(call_id)


def begins_first(call: Call, worker: Worker, scheduler: Scheduler, ledger: Ledger) -> None:
    """A worker speaks of a call. If that was thought to wait there behind another one, it is the other that waits."""
    if call.worker_id or call.ahead_at != worker.id:
        return
    behind = scheduler.began_first(call.id)
    other = None if behind is None else ledger.get(behind)
    if other is not None:
        other.worker_id = ""
        worker.running.pop(other.id, None)
    call.began, call.worker_id = time.monotonic(), worker.id
    worker.running[call.id] = call.correlation_id
