"""`kill -9` of a worker in the middle of a stream: when its reader learns of it, what it has by then, and what comes next."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import snakepit
from benchmarks.contest import Contestant, Play, in_turn
from benchmarks.report import Bar, Row
from benchmarks.scenarios import TOOLS, Plan

_KILL_AT = 5_000


def run(plan: Plan) -> Iterator[Row]:
    rounds = plan.size(5, 2)
    with Contestant(pool_of, size=1) as alone, Contestant(pool_of, size=2) as beside:
        killed, lucky = in_turn(rounds, alone, beside, args=())
    found = [*killed, *lucky]
    remark = f"{min(case['delivered'] for case in found):,} chunks or more had come each time, none missing; {found[0]['message']}"
    yield Row("kill -9 to the error", "ms", [case["error_ms"] for case in found], bar=Bar(1000), remark=remark)
    yield Row("kill -9 to the next result, of another worker", "ms", [case["next_ms"] for case in lucky])
    yield Row("kill -9 to the next result, of its successor", "ms", [case["next_ms"] for case in killed])


@contextlib.contextmanager
def pool_of(size: int) -> Iterator[Play]:
    logging.getLogger("snakepit").setLevel(logging.ERROR)  # It warns of each worker that is gone.
    with snakepit.Pool(TOOLS, size=size) as pool:
        yield lambda: _kill_midway(pool)


def _kill_midway(pool: snakepit.Pool) -> dict[str, Any]:
    while pool.stats().workers_ready < pool.stats().size:
        time.sleep(0.01)
    seen, killed, noticed, message = 0, 0.0, 0.0, ""
    try:
        for chunk in pool.stream("endless"):
            if chunk["i"] != seen:
                raise RuntimeError(f"chunk {chunk['i']} came where {seen} was due")
            seen += 1
            if seen == _KILL_AT:
                (busy,) = (worker.info() for worker in pool.workers() if worker.info().running)
                killed = time.perf_counter()
                os.kill(busy.pid or 0, signal.SIGKILL)
    except snakepit.WorkerCrashed as error:
        noticed = time.perf_counter()
        message = str(error).splitlines()[0]
    if "SIGKILL" not in message or seen < _KILL_AT:
        raise RuntimeError(f"after {seen} chunks: {message!r}")
    pool.execute("echo", {"value": {}})
    answered = time.perf_counter()
    return {"error_ms": (noticed - killed) * 1e3, "next_ms": (answered - killed) * 1e3, "delivered": seen, "message": message}
