"""The pools of this process that are open, for whoever has to end them all: see `run_as_script`."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from typing import TYPE_CHECKING

from snakepit._pool.failures import draining

if TYPE_CHECKING:
    from .base import PoolBase

_lock = threading.RLock()  # a signal handler may close a pool meanwhile
_pools: weakref.WeakSet[PoolBase] = weakref.WeakSet()
_stopping = False


def enter(pool: PoolBase) -> None:
    """A pool is about to start.

    Raises:
        PoolDraining: all pools are to end: `stop` was called.
    """
    with _lock:
        if _stopping:
            raise draining()
        _pools.add(pool)


def leave(pool: PoolBase) -> None:
    """A pool has been closed."""
    with _lock:
        _pools.discard(pool)


def open_pools() -> list[PoolBase]:
    """Those that have been started and not closed."""
    with _lock:
        return list(_pools)


def stop(*, stopping: bool = True) -> None:
    """No further pool may start; or may again."""
    global _stopping
    with _lock:
        _stopping = stopping


def close_all(seconds: float) -> None:
    """Close all that are open, at once and from any thread but their loops'. Bounded: what takes longer is left to its threads."""
    threads = [threading.Thread(target=_close, args=(pool, seconds), name="snakepit-close", daemon=True) for pool in open_pools()]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _close(pool: PoolBase, seconds: float) -> None:
    with contextlib.suppress(Exception):  # its loop has ended, and it with that; or it does not end, and who waits is told by the clock
        pool._close_from_elsewhere(seconds)
