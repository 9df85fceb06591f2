"""When a worker has lived long enough, or holds too much: looked after while it serves. How much it may serve is counted elsewhere."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .worker import Worker

_MIB = 1024 * 1024
#: How often memory is looked at where it has a limit (seconds).
_LOOK_SECONDS = 0.5
#: Workers that started together are not all replaced together: each lives a little less than it may.
_SPREAD = 0.1


async def watch(worker: Worker, max_age: float | None, memory_limit: int | None) -> None:
    """Until cancelled: `wear` the worker at its age, kill it at its limit of memory (bytes)."""
    async with asyncio.TaskGroup() as group:
        if max_age is not None:
            group.create_task(_watch_age(worker, max_age), name=f"{worker.id}-age")
        if memory_limit is not None:
            group.create_task(_watch_memory(worker, memory_limit), name=f"{worker.id}-memory")


async def _watch_age(worker: Worker, max_age: float) -> None:
    """A spare does not age: it has done nothing yet."""
    await asyncio.wait([worker.serving])
    await asyncio.sleep(max_age * random.uniform(1.0 - _SPREAD, 1.0))  # noqa: S311 - spreads load
    worker.wear(f"it had lived for {max_age:g} s")


async def _watch_memory(worker: Worker, limit: int) -> None:
    while True:
        held = worker.memory(asyncio.get_running_loop().time())
        if held > limit:
            told = f"it held {held / _MIB:.0f} MiB of memory, and memory_limit is {limit / _MIB:.0f} MiB"
            worker.condemn(f"killed because {told} ({limit} bytes)", look=True)
            return
        await asyncio.sleep(_LOOK_SECONDS)
