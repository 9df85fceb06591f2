"""Pools behind a gateway, for Python programs outside: `snakepit.connect` and `snakepit.connect_async`.

    with snakepit.connect("gateway.example.org:50051", token=token, tls=True) as pool:
        pool.execute("add", {"a": 2, "b": 3})

They have the methods of `Pool` that make sense from afar, and raise the same errors. `words` and `statuses` are the gateway's too.
The classes stand here for annotations: `def run(pool: snakepit.remote.RemotePool)`. They are loaded when they are asked for, and gRPC
with them, which `import snakepit` does not load.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

from snakepit._channel.grpc_loading import forked_from, without_fork_support
from snakepit.errors import PoolForked, ProtocolUnavailable

if TYPE_CHECKING:
    from .async_pool import AsyncRemotePool
    from .async_session import AsyncRemoteSession
    from .async_stream import AsyncRemoteStream
    from .pool import RemotePool
    from .session import RemoteSession
    from .stream import RemoteStream
    from .target import TlsOption

__all__ = [
    "AsyncRemotePool",
    "AsyncRemoteSession",
    "AsyncRemoteStream",
    "RemotePool",
    "RemoteSession",
    "RemoteStream",
    "TlsOption",
    "connect",
    "connect_async",
]

#: Where the names are that need gRPC.
_LATER = {
    "AsyncRemotePool": "async_pool",
    "AsyncRemoteSession": "async_session",
    "AsyncRemoteStream": "async_stream",
    "RemotePool": "pool",
    "RemoteSession": "session",
    "RemoteStream": "stream",
    "TlsOption": "target",
}

#: What a missing package of the extra is a part of.
_OF_THE_EXTRA = ("grpc", "google", "grpc_health", "grpc_reflection", "grpc_status")


def connect(target: str, *, token: str | None = None, tls: TlsOption = None, pool: str | None = None) -> RemotePool:
    """A pool behind a gateway (`snakepit serve`), with the methods of `Pool`. Connects when it is entered, started or first used.

    Args:
        target: `host:port`, or `unix:/path`.
        token: what the gateway knows this client by.
        tls: True: encrypted, as the system trusts; a path: whom to trust instead, in PEM format; a dict of `ca`, `cert` and `key`
            (this client's own, where the gateway asks for one), `server_name`. None: not encrypted, for this machine.
        pool: which of the gateway's pools; None: its default.

    Raises:
        ConfigurationError: one of these is wrong, or a token would leave this machine unencrypted.
        ProtocolUnavailable: gRPC is missing. PoolForked: this is the forked child of a process that has used gRPC.
    """
    _ensure_no_fork()
    kind: type[RemotePool] = _loaded("RemotePool")
    return kind(target, token=token, tls=tls, pool=pool)


def connect_async(target: str, *, token: str | None = None, tls: TlsOption = None, pool: str | None = None) -> AsyncRemotePool:
    """`connect` for asyncio: `async with snakepit.connect_async(...) as pool`, with the methods of `AsyncPool`."""
    _ensure_no_fork()
    kind: type[AsyncRemotePool] = _loaded("AsyncRemotePool")
    return kind(target, token=token, tls=tls, pool=pool)


def __getattr__(name: str) -> Any:
    """A class, when it is first asked for.

    Raises:
        ProtocolUnavailable: gRPC is missing.
    """
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _loaded(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _ensure_no_fork() -> None:
    parent = forked_from()
    if parent is not None:
        hint = "start the child by multiprocessing's spawn method"
        raise PoolForked(f"process {parent} has used gRPC, which cannot work in its forked child {os.getpid()}", hint=hint)


def _loaded(name: str) -> Any:
    try:
        with without_fork_support():
            module = importlib.import_module(f".{_LATER[name]}", __name__)
    except ImportError as error:
        raise missing(error) from None
    return getattr(module, name)


def missing(error: ImportError) -> Exception:
    """What is said when a package is not installed; another's fault is given back."""
    if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
        return error
    hint = "pip install 'snakepit-bridge[gateway]'"
    return ProtocolUnavailable(f"a gateway is spoken to by gRPC, and {error.name} is missing", code="grpc_unavailable", hint=hint)
