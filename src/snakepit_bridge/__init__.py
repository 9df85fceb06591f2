"""The worker side of snakepit: what tools are written against, and the program that runs them.

Imports with the standard library alone, on Python 3.8 and newer. Never imports `snakepit`.
"""

import threading

from .base_adapter import (
    BaseAdapter,
    CallContext,
    Cancelled,
    HostToolError,
    HostTools,
    HostToolTimeout,
    SessionContext,
    StreamChunk,
    current_call,
    progress,
    tool,
)
from .wire.markers import is_unserializable

__version__ = "0.1.0"

__all__ = [
    "BaseAdapter",
    "CallContext",
    "Cancelled",
    "HostToolError",
    "HostToolTimeout",
    "HostTools",
    "SessionContext",
    "StreamChunk",
    "__version__",
    "current_call",
    "is_importing_adapter",
    "is_unserializable",
    "progress",
    "tool",
]

_importing = threading.local()


def is_importing_adapter() -> bool:
    """True in a worker while it imports the user's adapter, on the thread that does.

    The host half asks this, to tell a script that starts a Pool while a worker imports it to guard its main part. In a process
    that holds the worker of a `MemoryPool`, other threads are free to start pools meanwhile.
    """
    return getattr(_importing, "adapter", False)


def _set_importing_adapter(value: bool) -> None:
    _importing.adapter = value
