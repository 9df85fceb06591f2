"""What `snakepit status` is told of a pool: one document of plain values. Never an argument, a result, a session's id or a chunk."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

from snakepit._workers.health import WorkerHealth
from snakepit._workers.info import WorkerInfo
from snakepit.circuit_breaker import CircuitInfo
from snakepit_bridge.redaction import Redactor

from .call import Call
from .health import PoolHealth
from .stats import PoolStats

#: Of the document; it grows when something is told otherwise than before.
VERSION = 1
#: So many of the calls that run are told, the oldest first.
_MOST_CALLS = 100


@dataclasses.dataclass(frozen=True, slots=True)
class PoolFacts:
    """What does not change while a pool lives. `began`: seconds since the epoch."""

    name: str
    run_id: str
    adapter: str
    began: float


def document(
    facts: PoolFacts,
    health: PoolHealth,
    stats: PoolStats,
    workers: Iterable[tuple[WorkerInfo, WorkerHealth]],
    running: Sequence[Call],
    oldest_waiting: Call | None,
    redactor: Redactor,
) -> bytes:
    """The document, as JSON."""
    now = time.monotonic()
    calls = sorted(running, key=lambda call: call.began)
    told = {
        "version": VERSION,
        "pid": os.getpid(),
        "program": program(),
        "python": platform.python_version(),
        "name": facts.name,
        "run": facts.run_id,
        "adapter": facts.adapter,
        "protocol": stats.protocol,
        "started": facts.began,
        "uptime": time.time() - facts.began,
        "health": _health(health),
        "queue": {
            "waiting": stats.queued,
            "limit": health.queue_size,
            "oldest": None if oldest_waiting is None else max(0.0, now - oldest_waiting.submitted),
        },
        "stats": {**dataclasses.asdict(stats), "circuits": [_circuit(circuit) for circuit in stats.circuits]},
        "workers": [_worker(info, how) for info, how in workers],
        "calls": [_call(call, now) for call in calls[:_MOST_CALLS]],
        "further_calls": max(0, len(calls) - _MOST_CALLS),
    }
    return json.dumps(redactor.masked(told)).encode()


def program() -> str:
    """What this process runs, without its arguments: they may be secrets."""
    path = pathlib.Path(sys.argv[0] if sys.argv else "")
    name = path.parent.name if path.name == "__main__.py" else path.name
    return name if name and name != "-c" else "python"


def adapter_text(references: Sequence[str]) -> str:
    """The adapter in a few words, from the references that workers get."""
    if not references:
        return "showcase"
    words = [reference.rpartition("/")[2] for reference in references[:3]]
    return ", ".join(words) + (f" and {len(references) - 3} more" if len(references) > 3 else "")


def _health(health: PoolHealth) -> dict[str, Any]:
    told = dataclasses.asdict(health)
    del told["workers"]  # they stand by themselves
    return told


def _circuit(circuit: CircuitInfo) -> dict[str, Any]:
    told = dataclasses.asdict(circuit)
    del told["cause"]  # what a tool has raised may quote its arguments
    return told


def _worker(info: WorkerInfo, health: WorkerHealth) -> dict[str, Any]:
    return {
        **dataclasses.asdict(health),
        "pid": info.pid,
        "spare": info.spare,
        "python": info.python,
        "uptime": info.uptime,
        "calls_served": info.calls_served,
    }


def _call(call: Call, now: float) -> dict[str, Any]:
    return {
        "id": call.id if call.bundle is None else next(iter(call.bundle.left), call.id),
        "correlation_id": call.correlation_id,
        "tool": call.tool,
        "worker": call.worker_id,
        "age": max(0.0, now - call.began),
        "state": "cancelled" if call.cancelling else "running",
        "streaming": call.streaming,
        "chunks": call.chunks,
    }
