"""mpire's `WorkerPool`, called through `apply` and `apply_async`.

https://sybrenjansen.github.io/mpire/usage/apply.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from mpire import WorkerPool

from . import player


class Player(player.Player):
    """With the start method that is the default."""

    no_cancel = "a call that runs can be ended by `task_timeout` only, which ends the pool"

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[Any]:
        with WorkerPool(n_jobs=workers) as pool:
            yield pool

    def submit(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.apply_async(tool, args)

    def result(self, handle: Any) -> Any:
        return handle.get(timeout=5)
