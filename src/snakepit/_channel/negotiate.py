"""Which protocol a pool's channels use, and getting its library ready while the workers start."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator

from snakepit.errors import PoolForked, ProtocolUnavailable

_FORK_SUPPORT = "GRPC_ENABLE_FORK_SUPPORT"

#: The process that has used gRPC: this one, or one that it was forked from.
_used_by: int | None = None


def choose(protocol: str) -> str:
    """The protocol to use for a pool's setting.

    Raises:
        ProtocolUnavailable: its library is missing in this interpreter; the error says which and how to install it.
        PoolForked: this process was forked from one that has used gRPC.
    """
    if _used_by not in (None, os.getpid()):  # measured: whatever its fork support is set to, gRPC hangs or crashes there
        raise PoolForked(
            f"process {_used_by} has used gRPC, which cannot work in its forked child {os.getpid()}",
            hint="start the child by multiprocessing's spawn method, or fork before the first pool is started",
        )
    if importlib.util.find_spec("grpc") is None:
        raise ProtocolUnavailable(
            f"protocol {protocol!r} needs grpcio, which {sys.executable} does not have",
            code="grpc_unavailable",
            hint=f"{sys.executable} -m pip install 'snakepit-bridge[grpc]'",
        )
    return "grpc"


async def load() -> None:
    """Import the carrier on a thread of its own: grpc takes about 0.1 s, and the workers are starting meanwhile."""
    global _used_by
    _used_by = os.getpid()
    loop = asyncio.get_running_loop()
    loaded = asyncio.Event()

    def load_in_thread() -> None:
        # A broken installation raises again, and is told, where a worker's channel is opened.
        with contextlib.suppress(Exception), _without_fork_support():
            importlib.import_module("snakepit._channel.grpc_carrier")
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(loaded.set)

    threading.Thread(target=load_in_thread, name="snakepit-import", daemon=True).start()
    await loaded.wait()


@contextlib.contextmanager
def _without_fork_support() -> Iterator[None]:
    """While grpc is imported, unless the user chose otherwise: its support for forks is off.

    With it, children that the program forks (multiprocessing) die at random of a segmentation fault, and every fork prints
    a line. A pool cannot be used in a forked child anyway.
    """
    chosen = os.environ.get(_FORK_SUPPORT)
    os.environ.setdefault(_FORK_SUPPORT, "0")
    try:
        yield
    finally:
        if chosen is None:
            os.environ.pop(_FORK_SUPPORT, None)
