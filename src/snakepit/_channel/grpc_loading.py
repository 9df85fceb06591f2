"""Getting grpc ready while the workers start, and knowing whether it can work in this process."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import threading
from collections.abc import Iterator

_FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"

#: The process that has used gRPC: this one, or one that it was forked from.
_used_by: int | None = None


def forked_from() -> int | None:
    """The process that this one was forked from, if that has used gRPC; None otherwise.

    Measured: whatever gRPC's fork support is set to, it hangs or crashes in the child.
    """
    return _used_by if _used_by not in (None, os.getpid()) else None


async def load() -> None:
    """Import the carrier on a thread of its own: grpc takes about 0.1 s, and the workers are starting meanwhile."""
    loop = asyncio.get_running_loop()
    loaded = asyncio.Event()

    def load_in_thread() -> None:
        # A broken installation raises again, and is told, where a worker's channel is opened.
        with contextlib.suppress(Exception), without_fork_support():
            importlib.import_module("snakepit._channel.grpc_carrier")
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(loaded.set)

    threading.Thread(target=load_in_thread, name="snakepit-import", daemon=True).start()
    await loaded.wait()


@contextlib.contextmanager
def without_fork_support() -> Iterator[None]:
    """Around each import of grpc, unless the user chose otherwise: its support for forks is off, and this process counts as a user.

    With it, children that the program forks (multiprocessing) die at random of a segmentation fault, and every fork prints
    a line. A pool cannot be used in a forked child anyway.
    """
    global _used_by
    _used_by = _used_by or os.getpid()
    chosen = os.environ.get(_FORK_SUPPORT)
    os.environ.setdefault(_FORK_SUPPORT, "0")
    try:
        yield
    finally:
        if chosen is None:
            os.environ.pop(_FORK_SUPPORT, None)
