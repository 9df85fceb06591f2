"""`AsyncRemotePool`: a pool behind a gateway, for asyncio programs, and the core that `RemotePool` wraps."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

import grpc.aio

from snakepit._api.arguments import POOL_DEFAULT, call_timeout, check_callback
from snakepit._api.options import Affinity, CallOptions, SessionHandle
from snakepit._api.tools import AsyncTools
from snakepit._pool.call import Ended
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo, check_session_id
from snakepit.errors import PoolClosed
from snakepit_bridge.grpc import snakepit_pb2 as pb
from snakepit_bridge.grpc import snakepit_pb2_grpc

from . import words
from .async_session import AsyncRemoteSession, info_in
from .async_stream import AsyncRemoteStream
from .requests import Headers, RemoteCall, answer, failure, prepared, specs_in
from .target import Target, TlsOption

T = TypeVar("T")

#: How long the gateway may take to answer what needs no worker (seconds).
_SECONDS = 15.0
#: The default of `stream`, as for a pool of one's own (seconds).
STREAM_SECONDS = 300.0


class AsyncRemotePool:
    """A pool behind a gateway; `snakepit.connect_async` makes one. Belongs to the event loop on which it is started.

    Args:
        target, token, tls, pool: see `snakepit.connect`.
    """

    def __init__(self, target: str, *, token: str | None = None, tls: TlsOption = None, pool: str | None = None) -> None:
        self._target = Target(target, token, tls, pool)
        self._channel: Any = None
        self._stub: Any = None
        self._tools: dict[str, ToolSpec] = {}
        self._headers: Headers = self._target.headers()
        self._starting = asyncio.Lock()
        self._closed = False

    async def start(self) -> None:
        """Connect, and ask for the tools. `async with` and the first call do it too.

        Raises:
            GatewayUnavailable: it cannot be reached. AccessDenied: it does not let this client in.
        """
        self._usable()
        async with self._starting:
            if self._tools or self._closed:
                return
            if self._channel is None:
                self._channel = self._target.channel()
                self._stub = snakepit_pb2_grpc.BridgeServiceStub(self._channel)  # type: ignore[no-untyped-call]
            self._tools = specs_in(await self._ask(self._stub.GetExposedElixirTools, pb.GetExposedElixirToolsRequest()))

    async def close(self) -> None:
        """End the connection; calls that are open are cancelled. Twice is fine."""
        self._closed = True
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        await self.close()

    async def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = 30.0,
        on_progress: Callable[[dict[str, Any]], Any] | None = None,
        on_metadata: Callable[[dict[str, Any]], Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """`AsyncPool.execute`, behind the gateway.

        Raises:
            GatewayUnavailable, AccessDenied, LimitExceeded: the gateway cannot be reached, or does not let the call through.
        """
        seconds = call_timeout("timeout", timeout)
        check_callback("on_progress", on_progress)
        check_callback("on_metadata", on_metadata)
        await self._ready(options)
        asked = prepared(self, self._tools, tool, args, options, streaming=False)
        return await self._executed(tool, asked, seconds, on_progress, on_metadata)

    async def _executed(
        self,
        tool: str,
        asked: tuple[Any, Headers],
        seconds: float | None,
        on_progress: Callable[[dict[str, Any]], Any] | None = None,
        on_metadata: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Any:
        request, headers = asked
        if on_progress is None:
            value, facts = answer(await self._ask(self._stub.ExecuteTool, request, seconds, headers))
        else:
            stream = AsyncRemoteStream(self._begun(request, seconds, headers), RemoteCall(tool), None)
            value, facts = await _followed(stream, on_progress)
        if on_metadata is not None:
            await _called(on_metadata, facts)
        return value

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncRemoteStream:
        """`AsyncPool.stream`, behind the gateway, to which it must have connected."""
        seconds = call_timeout("timeout", STREAM_SECONDS if timeout is POOL_DEFAULT else timeout)
        gap = call_timeout("chunk_timeout", chunk_timeout)
        self._usable()
        if not self._tools:
            raise RuntimeError("the pool has not been connected: use `async with snakepit.connect_async(...)`, or `await pool.start()`")
        session = options.get("session_id")
        if isinstance(session, AsyncRemoteSession):
            session._opened_already()
        return self._streamed(tool, prepared(self, self._tools, tool, args, options, streaming=True), seconds, gap)

    def _streamed(self, tool: str, asked: tuple[Any, Headers], seconds: float | None, gap: float | None) -> AsyncRemoteStream:
        request, headers = asked
        return AsyncRemoteStream(self._begun(request, seconds, headers), RemoteCall(tool), gap)

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> asyncio.Future[Any]:
        """`AsyncPool.submit`, behind the gateway: a task whose cancellation cancels the call."""
        self._usable()
        call_timeout("timeout", timeout)
        if self._tools:  # what is wrong with it is told at once
            prepared(self, self._tools, tool, args, options, streaming=False)
        return asyncio.get_running_loop().create_task(self.execute(tool, args, timeout=timeout, **options), name=f"snakepit-submit-{tool}")

    def session(
        self,
        id: str | None = None,  # noqa: A002 - the word for it
        ttl: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
    ) -> AsyncRemoteSession:
        """`AsyncPool.session`, behind the gateway: calls that stick to one worker, whose tools keep state between them."""
        return AsyncRemoteSession(self, id, ttl, metadata, affinity)

    async def session_info(self, session_id: str) -> SessionInfo | None:
        """One session as it is now, frozen; None if there is none of that id."""
        request = pb.GetSessionRequest(session_id=check_session_id(session_id))
        await self._ready({})
        return await info_in(self._ask(self._stub.GetSession, request))

    async def end_session(self, session_id: str) -> bool:
        """End a session: its open calls are cancelled, its state leaves its workers within 1 s. False if there was none."""
        request = pb.CleanupSessionRequest(session_id=check_session_id(session_id))
        await self._ready({})
        return bool((await self._ask(self._stub.CleanupSession, request)).success)

    @property
    def tools(self) -> Any:
        """Discovered tools as functions: `await pool.tools.add(2, b=3)`; those that stream give an `AsyncRemoteStream`."""
        return AsyncTools(self)

    def bind(self, adapter: type[T]) -> T:
        """The pool's tools, typed as the adapter class for the editor: calling a method runs it behind the gateway."""
        return cast("T", self.tools)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """What this client may call, frozen. The pool must have been connected."""
        return tuple(spec.picture() for spec in self._started_specs())

    def _started_specs(self) -> tuple[ToolSpec, ...]:
        self._usable()
        if not self._tools:
            raise RuntimeError("the pool has not been connected: use `async with snakepit.connect_async(...)`, or `await pool.start()`")
        return self._specs()

    def _specs(self) -> tuple[ToolSpec, ...]:
        return tuple(self._tools.values())

    async def _ready(self, options: Mapping[str, Any]) -> None:
        if not self._tools or self._closed:
            await self.start()
        session = options.get("session_id")
        if isinstance(session, SessionHandle) and session._pool is self and isinstance(session, AsyncRemoteSession):
            await session._open()

    async def _ask(self, method: Any, request: Any, seconds: float | None = _SECONDS, headers: Headers = ()) -> Any:
        try:
            return await method(request, timeout=seconds, metadata=self._headers + headers)
        except grpc.aio.AioRpcError as error:
            raise failure(error) from None
        except asyncio.CancelledError:
            if self._closed and not asyncio.current_task().cancelling():  # type: ignore[union-attr]
                raise _closed_error() from None
            raise

    async def _open_session(self, session_id: str, ttl: float | None, metadata: bytes | None) -> bool:
        """Open a session; true if it is a new one."""
        await self._ready({})
        request = pb.InitializeSessionRequest(session_id=session_id)
        if metadata is not None:
            request.metadata[words.WHOLE] = metadata.hex()
        headers = self._headers + (((words.SESSION_TTL, repr(ttl)),) if ttl is not None else ())
        call = self._stub.InitializeSession(request, timeout=_SECONDS, metadata=headers)
        try:
            await call
            return any(key == words.SESSION_CREATED for key, _ in await call.trailing_metadata() or ())
        except grpc.aio.AioRpcError as error:
            raise failure(error) from None

    def _begun(self, request: Any, seconds: float | None, headers: Headers) -> Any:
        return self._stub.ExecuteStreamingTool(request, timeout=seconds, metadata=self._headers + headers)

    def _usable(self) -> None:
        if self._closed:
            raise _closed_error()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "connected" if self._tools else "not connected yet"
        return f"<{type(self).__name__} at {self._target.address}, {state}>"


async def _followed(stream: AsyncRemoteStream, on_progress: Callable[[dict[str, Any]], Any]) -> tuple[Any, dict[str, Any]]:
    """A unary call that reports on its way, run as a stream: (its value, facts about the run)."""
    async with contextlib.aclosing(stream._items()) as items:
        async for item in items:
            if isinstance(item, Ended):
                return item.value, item.metadata
            for report in item.payloads if (item.extra or {}).get("progress") else ():
                await _called(on_progress, report)
    raise AssertionError("a stream without an end raises")


async def _called(callback: Callable[[Any], Any], value: Any) -> None:
    result = callback(value)
    if inspect.isawaitable(result):
        await result


def _closed_error() -> PoolClosed:
    return PoolClosed("the connection has been closed", hint="make a new one, or keep the call inside the `with` block")
