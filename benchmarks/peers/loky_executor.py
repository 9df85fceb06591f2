"""loky's reusable executor: whoever asks for it again after a crash gets a new one.

https://loky.readthedocs.io/en/stable/API.html
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import loky

from . import player, work


class Player(player.Player):
    """Its workers stay when they are idle: between two rounds, others play."""

    def __init__(self) -> None:
        self._workers = 0

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[Any]:
        self._workers = workers
        try:
            yield self._executor()
        finally:
            self._executor().shutdown(wait=True)

    def submit(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.submit(tool, *args)

    def result(self, handle: Any) -> Any:
        return handle.result(timeout=30)

    def call_again(self, pool: Any) -> Any:
        return self.call(self._executor(), work.echo, {"x": 1})

    def cancel_one(self, pool: Any, handle: Any) -> None:
        handle.cancel()  # It says False: only a call that has not begun can be cancelled.

    def _executor(self) -> Any:
        return loky.get_reusable_executor(max_workers=self._workers, timeout=None)
