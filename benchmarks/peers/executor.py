"""`ProcessPoolExecutor`, started by spawn, as each program is that has threads or runs where there is no fork; or by fork.

https://docs.python.org/3/library/concurrent.futures.html#processpoolexecutor
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from . import player


class Player(player.Player):
    """Plays one start method."""

    def __init__(self, method: str = "spawn") -> None:
        self._method = method

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[ProcessPoolExecutor]:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(self._method)) as pool:
            yield pool

    def submit(self, pool: ProcessPoolExecutor, tool: Callable[..., Any], *args: Any) -> Future[Any]:
        return pool.submit(tool, *args)

    def result(self, handle: Future[Any]) -> Any:
        return handle.result(30)

    def cancel_one(self, pool: ProcessPoolExecutor, handle: Future[Any]) -> None:
        handle.cancel()  # It says False: only a call that has not begun can be cancelled.
