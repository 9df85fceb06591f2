"""The module-level pool: `configure` it or not, the first call starts it, `shutdown` or the interpreter's end closes it.

Inside `with_adapter` it is another one, of the same settings but for its protocol.
"""

from __future__ import annotations

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Unpack

from snakepit._pool.stats import PoolStats
from snakepit.config import Adapter, pool_config
from snakepit.errors import PoolError

from .arguments import POOL_DEFAULT, check_callback
from .chunks import Chunk
from .guide import pool_settings, protocol_of
from .options import CallOptions
from .pool import Pool

_lock = threading.RLock()  # a signal handler may call `shutdown` meanwhile
_pools: dict[str, Pool] = {}  # by protocol; the one that `configure` describes under an empty name
_inside: contextvars.ContextVar[str] = contextvars.ContextVar("snakepit_protocol", default="")
_adapter: Adapter = None
_settings: dict[str, Any] = {}


#: Settings that no other protocol knows.
_OF_GRPC = ("base_port", "port_range")

#: `configure` was not told an adapter.
_KEEP: Any = type("_Keep", (), {"__repr__": lambda _: "None"})()


def configure(adapter: Adapter = _KEEP, **settings: Any) -> None:
    """Say what the default pool shall be. It starts with the first call. What an earlier `configure` said stays unless said anew.

    Args:
        adapter: as for `Pool`.
        **settings: those of `Pool`, and the guide's keys: `pool_size`, `adapter_module`, `grpc_config`, `pool_config`.

    Raises:
        ConfigurationError: an unknown name (with near ones) or a wrong value.
        PoolError: the default pool runs already; `shutdown()` it first.
    """
    global _adapter, _settings
    checked = {**_settings, **pool_settings(settings)}
    pool_config(checked)
    with _lock:
        if _pools:
            raise PoolError("the default pool is running already", code="pool_running", hint="call snakepit.shutdown() first")
        _adapter, _settings = (_adapter if adapter is _KEEP else adapter), checked


def default_pool() -> Pool:
    """The default pool of this thread or task; made if there is none, started by its first call."""
    protocol = _inside.get()
    with _lock:
        pool = _pools.get(protocol)
        if pool is None:
            settings = {name: value for name, value in _settings.items() if not protocol or name not in _OF_GRPC or protocol == "grpc"}
            pool = Pool(_adapter, **(settings | {"protocol": protocol} if protocol else settings))
            _pools[protocol] = pool
        return pool


@contextlib.contextmanager
def with_adapter(adapter: Any) -> Iterator[None]:
    """Let the module's calls inside the block use a default pool on another protocol, which is started once and kept.

        try:
            result = snakepit.execute("compute", args)
        except snakepit.ProtocolUnavailable:
            with snakepit.with_adapter(snakepit.adapters.GenericPythonMsgpack):
                result = snakepit.execute("compute", args)

    Holds for this thread or task alone. All else is as `configure` said, but for the settings of gRPC's ports.

    Args:
        adapter: a class of `snakepit.adapters`, or its name.

    Raises:
        ConfigurationError: it is neither.
    """
    token = _inside.set(protocol_of(adapter, "adapter"))
    try:
        yield
    finally:
        _inside.reset(token)


def shutdown() -> None:
    """Close the default pool, those of `with_adapter` too; the next call starts a new one with the same settings."""
    with _lock:
        pools = list(_pools.values())
        _pools.clear()
    with contextlib.ExitStack() as closing:  # each, even if one raises
        for pool in pools:
            closing.callback(pool.close)


def stats() -> PoolStats:
    """`Pool.stats` of the default pool: its figures now, and why it uses the protocol that it does."""
    return default_pool().stats()


def execute(tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = 30.0, **options: Any) -> Any:
    """`Pool.execute` on the default pool."""
    return default_pool().execute(tool, args, timeout=timeout, **options)


def execute_in_session(
    session_id: str, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = 30.0, **options: Any
) -> Any:
    """`Pool.execute` on the default pool, in the session of that id, which is opened if need be."""
    return execute(tool, args, timeout=timeout, session_id=session_id, **options)


def execute_stream(
    tool: str,
    args: Mapping[str, Any] | None,
    callback: Callable[[Chunk], Any],
    *,
    timeout: float | None = POOL_DEFAULT,
    chunk_timeout: float | None = None,
    **options: Unpack[CallOptions],
) -> None:
    """Run a tool on the default pool and call back with each chunk, in this thread; returns after the final one.

    Args:
        tool, args, timeout, chunk_timeout, options: as for `Pool.stream`.
        callback: gets each chunk. If it raises, the call is cancelled and its exception comes out unchanged, with a note.
    """
    check_callback("callback", callback, optional=False)
    with default_pool().stream(tool, args, timeout=timeout, chunk_timeout=chunk_timeout, **options) as stream:
        for number, chunk in enumerate(stream):
            try:
                callback(chunk)
            except BaseException as error:
                error.add_note(f"raised by the callback of snakepit.execute_stream({tool!r}) at chunk {number}")
                raise


def execute_in_session_stream(
    session_id: str,
    tool: str,
    args: Mapping[str, Any] | None,
    callback: Callable[[Chunk], Any],
    *,
    timeout: float | None = POOL_DEFAULT,
    **options: Any,
) -> None:
    """`execute_stream` in the session of that id, which is opened if need be."""
    execute_stream(tool, args, callback, timeout=timeout, session_id=session_id, **options)
