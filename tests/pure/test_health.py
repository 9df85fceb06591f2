"""How the health of pools and workers is judged."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from snakepit._pool import health
from snakepit._pool.stats import PoolStats
from snakepit._workers import health as workers_health
from snakepit._workers.lifecycle import State
from snakepit._workers.slots import QuarantinedSlot
from snakepit.circuit_breaker import CircuitInfo


def of_pool(ready: int = 2, queued: int = 0, **facts: Any) -> tuple[str, tuple[str, ...]]:
    """Status and reasons of a pool of two workers, whose queue has ten places."""
    judged = health.judged(PoolStats(size=2, workers_ready=ready, queued=queued), queue_size=10, **facts)
    assert judged.ok is (judged.status == "ok")
    return judged.status, judged.reasons


def test_a_pool_that_serves_as_it_should_is_ok() -> None:
    """All workers ready, room in the queue: nothing to say; an old failure of a start does not count."""
    assert of_pool(queued=9) == ("ok", ())
    assert of_pool(failed_start="it did not import") == ("ok", ())


@pytest.mark.parametrize(
    ("facts", "status", "reason"),
    [
        ({"ready": 1}, "degraded", "1 of 2 workers are ready"),
        ({"ready": 0}, "failing", "0 of 2 workers are ready"),
        ({"ready": 0, "phase": "new"}, "degraded", "it has not been started: `with`, start() or the first call does that"),
        ({"ready": 0, "phase": "starting"}, "degraded", "it is starting: no worker has been ready yet"),
        ({"phase": "draining"}, "degraded", "it is draining: it takes no new calls"),
        ({"phase": "closed", "ready": 0}, "failing", "it has been closed"),
        ({"broken": "too many starts", "ready": 0}, "failing", "it has given up: too many starts"),
        ({"queued": 10}, "degraded", "the queue is full: 10 calls wait, and a further one is refused"),
    ],
)
def test_each_trouble_is_said(facts: dict[str, Any], status: str, reason: str) -> None:
    """What is wrong with a pool decides its status and stands in words among the reasons."""
    assert of_pool(**facts) == (status, (reason,))


def test_a_start_that_failed_is_told_while_workers_are_missing() -> None:
    """Behind what is missing stands why its newest start failed."""
    assert of_pool(ready=1, failed_start="no module named x")[1][1:] == ("the newest start of a worker failed: no module named x",)


def test_a_stuck_worker_degrades_its_pool() -> None:
    """What is wrong with a worker that should serve is told with its name."""
    worker = workers_health.judged("worker-2", State.READY, missed_beats=2)
    assert of_pool(workers=(worker,)) == ("degraded", ("worker-2: it has missed 2 heartbeats in a row",))


def test_quarantined_slots_are_told() -> None:
    """With the worker that was tried last, the cause and the mend."""
    slot = QuarantinedSlot(2, "worker-7", "it did not import", "install it", 0.0)
    judged = health.judged(PoolStats(size=2, workers_ready=1, quarantined=(slot,)))
    assert judged.reasons[1:] == ("no worker is started in place of worker-7 for a while: it did not import (install it)",)


@pytest.mark.parametrize(("tool", "calls", "status"), [("train", "calls of 'train'", "degraded"), ("", "all calls", "failing")])
def test_open_circuits_are_told(tool: str, calls: str, status: str) -> None:
    """One that refuses a tool's calls degrades the pool, the pool's own makes it fail; a closed one is no matter."""
    circuits = [CircuitInfo(tool, state, 5, 1, "it said: no", 0.0) for state in ("open", "half_open", "closed")]
    for circuit in circuits[:2]:
        judged = health.judged(PoolStats(size=1, workers_ready=1, circuits=(circuit, circuits[2])))
        assert judged.status == status
        assert judged.reasons == (f"{calls} are refused for now, after 5 failures: stats().circuits has the cause",)
    assert health.judged(PoolStats(size=1, workers_ready=1, circuits=(circuits[2],))).ok


@pytest.mark.parametrize(
    ("state", "facts", "stuck", "reasons"),
    [
        (State.READY, {"running": 1}, False, ()),
        (State.STARTING, {}, False, ("it is starting",)),
        (State.READY, {"missed_beats": 1}, True, ("it has missed 1 heartbeat in a row",)),
        (State.READY, {"running": 1, "cancelled": 1}, True, ("a cancelled call has not ended yet",)),
        (State.READY, {"running": 2, "cancelled": 2}, True, ("2 cancelled calls have not ended yet",)),
        (State.READY, {"leaving": "it is old"}, False, ("it leaves when its calls have ended: it is old",)),
        (State.READY, {"condemned": "it hung", "leaving": "it is old"}, False, ("it is being ended: it hung",)),
        (State.DEAD, {"missed_beats": 3}, False, ("it is dead", "it has missed 3 heartbeats in a row")),
    ],
)
def test_workers_are_judged(state: State, facts: dict[str, Any], stuck: bool, reasons: tuple[str, ...]) -> None:
    """A worker is ok if it is ready and nothing speaks against it; stuck if it does not answer or a cancelled call does not end."""
    judged = workers_health.judged("worker-1", state, **facts)
    assert (judged.reasons, judged.ok, judged.stuck) == (reasons, not reasons, stuck)


def test_the_dead_hold_no_memory() -> None:
    """What was last measured of a process that is gone is not told."""
    assert workers_health.judged("worker-1", State.DEAD, rss=5).rss == 0
    assert dataclasses.asdict(workers_health.judged("worker-1", State.READY, rss=5))["rss"] == 5
