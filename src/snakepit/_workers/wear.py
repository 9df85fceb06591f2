"""When a worker has lived long enough, or holds too much: looked after while it serves. How much it may serve is counted elsewhere."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .worker import Worker

#: How often memory is looked at where it has a limit (seconds).
_LOOK_SECONDS = 0.5
#: Workers that started together are not all replaced together: each lives a little less than it may.
_SPREAD = 0.1


async def watch(worker: Worker, max_age: float | None, memory_limit: int | None) -> None:
    """Until cancelled: `wear` the worker at its age, kill it at its limit of memory (bytes)."""
    loop = asyncio.get_running_loop()
    ends = None if max_age is None else loop.time() + max_age * random.uniform(1.0 - _SPREAD, 1.0)  # noqa: S311 - spreads load
    while ends is not None or memory_limit is not None:
        left = None if ends is None else ends - loop.time()
        if left is not None and left <= 0:
            worker.wear(f"it had lived for {max_age:g} s")
            ends = left = None
        await asyncio.sleep(min(item for item in (left, _LOOK_SECONDS if memory_limit is not None else None, 60.0) if item is not None))
        if memory_limit is not None and (held := worker.memory(loop.time())) > memory_limit:
            worker.condemn(f"killed because it held {held} bytes of memory, more than its limit of {memory_limit}", look=True)
            return
