"""Pebble's `ProcessPool`, which ends what is cancelled and starts another worker for one that died.

https://pebble.readthedocs.io/en/latest/#pools, https://pebble.readthedocs.io/en/latest/#usage-examples
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from pebble import ProcessPool

from . import player


class Player(player.Player):
    """With the start method that is the default."""

    @contextlib.contextmanager
    def opened(self, workers: int) -> Iterator[Any]:
        with ProcessPool(max_workers=workers) as pool:
            yield pool

    def submit(self, pool: Any, tool: Callable[..., Any], *args: Any) -> Any:
        return pool.schedule(tool, args=args)

    def result(self, handle: Any) -> Any:
        return handle.result(timeout=30)

    def cancel_one(self, pool: Any, handle: Any) -> None:
        handle.cancel()
