"""Pools behind a gateway, for Python programs outside: `snakepit.connect` and `snakepit.connect_async`.

    with snakepit.connect("gateway.example.org:50051", token=token, tls=True) as pool:
        pool.execute("add", {"a": 2, "b": 3})

They have the methods of `Pool` that make sense from afar, and raise the same errors. `words` and `statuses` are the gateway's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from snakepit.errors import ProtocolUnavailable

if TYPE_CHECKING:
    from .async_pool import AsyncRemotePool
    from .pool import RemotePool
    from .target import TlsOption

__all__ = ["connect", "connect_async"]

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
        ProtocolUnavailable: gRPC is missing.
    """
    try:
        from .pool import RemotePool
    except ImportError as error:
        raise missing(error) from None
    return RemotePool(target, token=token, tls=tls, pool=pool)


def connect_async(target: str, *, token: str | None = None, tls: TlsOption = None, pool: str | None = None) -> AsyncRemotePool:
    """`connect` for asyncio: `async with snakepit.connect_async(...) as pool`, with the methods of `AsyncPool`."""
    try:
        from .async_pool import AsyncRemotePool
    except ImportError as error:
        raise missing(error) from None
    return AsyncRemotePool(target, token=token, tls=tls, pool=pool)


def missing(error: ImportError) -> Exception:
    """What is said when a package is not installed; another's fault is given back."""
    if (error.name or "").partition(".")[0] not in _OF_THE_EXTRA:
        return error
    hint = "pip install 'snakepit-bridge[gateway]'"
    return ProtocolUnavailable(f"a gateway is spoken to by gRPC, and {error.name} is missing", code="grpc_unavailable", hint=hint)
