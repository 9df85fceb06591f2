"""snakepit: run Python tools in supervised worker processes, and get their results while they still work.

    with snakepit.Pool("my_app.tools:MyAdapter", size=2) as pool:
        for chunk in pool.stream("train", {"epochs": 5}):
            print(chunk)

Layers, each importing only those below it (checked by import-linter):
    cli         the command line
    gateway     a server for clients outside; `remote` is their side of it
    _api        1 what callers hold: pools, streams, futures
    _pool       2 who is served next: queue, scheduler, engine
    _workers    3 keep workers alive: supervisor, launchers
    _channel    4 carry frames
    config, errors
`snakepit_bridge` is the worker's side; the host uses its `wire` alone.
"""

import sys

if sys.version_info < (3, 11):
    raise ImportError(
        f"snakepit (the host side) needs Python 3.11 or newer, and this is {sys.version_info[0]}.{sys.version_info[1]}; "
        "its worker side, snakepit_bridge, runs on 3.8 or newer"
    )

from snakepit_bridge.wire.markers import is_unserializable

from . import adapters
from ._api.async_map_results import AsyncMapResults
from ._api.async_pool import AsyncPool
from ._api.async_session import AsyncSession
from ._api.async_stream import AsyncStream
from ._api.base import WorkerHandle
from ._api.default import configure, execute, execute_in_session, execute_in_session_stream, execute_stream, shutdown, stats, with_adapter
from ._api.future import CallFuture
from ._api.map_results import MapResults
from ._api.mapping import MapResult
from ._api.options import CallOptions
from ._api.pool import Pool
from ._api.script import run_as_script
from ._api.session import Session
from ._api.stream import Stream
from ._pool.draining import Drained
from ._pool.health import PoolHealth
from ._pool.host_tools.context import HostCallContext, current_host_call
from ._pool.stats import PoolStats
from ._pool.tools import ParameterSpec, ToolSpec
from ._sessions.memory import MemorySessionStore
from ._sessions.records import SessionInfo
from ._sessions.redis import RedisSessionStore
from ._sessions.sqlite import SQLiteSessionStore
from ._sessions.store import SessionStore
from ._workers.health import WorkerHealth
from ._workers.info import WorkerInfo
from ._workers.slots import QuarantinedSlot
from .circuit_breaker import CircuitBreaker, CircuitInfo
from .config import PoolConfig, PoolSettings
from .errors import (
    AccessDenied,
    AdapterError,
    CallCancelled,
    CallError,
    ChannelError,
    ChunkTimeout,
    CircuitOpen,
    ConfigurationError,
    GatewayError,
    GatewayUnavailable,
    HangTimeout,
    InvalidBinaryParameter,
    InvalidParameter,
    InvalidToolSpec,
    LimitExceeded,
    NestingTooDeep,
    PayloadTooLarge,
    PlatformUnsupported,
    PoolBroken,
    PoolClosed,
    PoolDeadlock,
    PoolDraining,
    PoolError,
    PoolForked,
    PoolStartFailed,
    ProgramQuotaExceeded,
    ProtocolUnavailable,
    QueueFull,
    QueueTimeout,
    SerializationError,
    SessionEnded,
    SessionError,
    SessionLost,
    SessionQuotaExceeded,
    SessionStoreError,
    SnakepitError,
    ToolError,
    UnknownTool,
    WorkerBusy,
    WorkerCrashed,
    WorkerError,
    WorkerTimeout,
    WrongCallStyle,
)
from .events import TelemetryEvent, TelemetrySettings
from .heartbeat import Heartbeat
from .remote import connect, connect_async
from .retries import RetryPolicy

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AdapterError",
    "AsyncMapResults",
    "AsyncPool",
    "AsyncSession",
    "AsyncStream",
    "CallCancelled",
    "CallError",
    "CallFuture",
    "CallOptions",
    "ChannelError",
    "ChunkTimeout",
    "CircuitBreaker",
    "CircuitInfo",
    "CircuitOpen",
    "ConfigurationError",
    "Drained",
    "GatewayError",
    "GatewayUnavailable",
    "HangTimeout",
    "Heartbeat",
    "HostCallContext",
    "InvalidBinaryParameter",
    "InvalidParameter",
    "InvalidToolSpec",
    "LimitExceeded",
    "MapResult",
    "MapResults",
    "MemorySessionStore",
    "NestingTooDeep",
    "ParameterSpec",
    "PayloadTooLarge",
    "PlatformUnsupported",
    "Pool",
    "PoolBroken",
    "PoolClosed",
    "PoolConfig",
    "PoolDeadlock",
    "PoolDraining",
    "PoolError",
    "PoolForked",
    "PoolHealth",
    "PoolSettings",
    "PoolStartFailed",
    "PoolStats",
    "ProgramQuotaExceeded",
    "ProtocolUnavailable",
    "QuarantinedSlot",
    "QueueFull",
    "QueueTimeout",
    "RedisSessionStore",
    "RetryPolicy",
    "SQLiteSessionStore",
    "SerializationError",
    "Session",
    "SessionEnded",
    "SessionError",
    "SessionInfo",
    "SessionLost",
    "SessionQuotaExceeded",
    "SessionStore",
    "SessionStoreError",
    "SnakepitError",
    "Stream",
    "TelemetryEvent",
    "TelemetrySettings",
    "ToolError",
    "ToolSpec",
    "UnknownTool",
    "WorkerBusy",
    "WorkerCrashed",
    "WorkerError",
    "WorkerHandle",
    "WorkerHealth",
    "WorkerInfo",
    "WorkerTimeout",
    "WrongCallStyle",
    "__version__",
    "adapters",
    "configure",
    "connect",
    "connect_async",
    "current_host_call",
    "execute",
    "execute_in_session",
    "execute_in_session_stream",
    "execute_stream",
    "is_unserializable",
    "run_as_script",
    "shutdown",
    "stats",
    "with_adapter",
]
