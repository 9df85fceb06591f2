"""`RemotePool`: a pool behind a gateway for everybody else. `AsyncRemotePool` without `await`, on the loop thread of sync pools."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import weakref
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, cast

from snakepit._api.arguments import POOL_DEFAULT, call_timeout, check_callback
from snakepit._api.loop_thread import LoopThread
from snakepit._api.options import Affinity, CallOptions, id_in
from snakepit._api.tools import Tools
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo

from .async_pool import STREAM_SECONDS, AsyncRemotePool, _closed_error
from .requests import prepared
from .session import RemoteSession
from .stream import RemoteStream
from .target import Target, TlsOption

T = TypeVar("T")


class RemotePool:
    """A pool behind a gateway; `snakepit.connect` makes one. Safe to use from several threads.

    Args:
        target, token, tls, pool: see `snakepit.connect`.
    """

    def __init__(self, target: str, *, token: str | None = None, tls: TlsOption = None, pool: str | None = None) -> None:
        Target(target, token, tls, pool)  # what is wrong is told here
        self._told: dict[str, Any] = {"token": token, "tls": tls, "pool": pool}
        self._address = target
        self._lock = threading.Lock()
        self._running: tuple[LoopThread, AsyncRemotePool] | None = None
        self._finalizer: weakref.finalize[..., RemotePool] | None = None
        self._closed = False

    def start(self) -> None:
        """Connect, and ask for the tools. `with` and the first call do it too.

        Raises:
            GatewayUnavailable: it cannot be reached. AccessDenied: it does not let this client in.
        """
        self._ready()

    def close(self) -> None:
        """End the connection; calls that are open are cancelled. Twice is fine."""
        LoopThread.ensure_elsewhere()
        with self._lock:
            self._closed = True
            running, self._running = self._running, None
        if running is not None and self._finalizer is not None:
            self._finalizer.detach()
            try:
                running[0].run(running[1].close())
            finally:
                running[0].release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        self.close()

    def execute(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = 30.0,
        on_progress: Callable[[dict[str, Any]], Any] | None = None,
        on_metadata: Callable[[dict[str, Any]], Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """`Pool.execute`, behind the gateway. The callbacks are called on the loop thread, and must not wait.

        Raises:
            GatewayUnavailable, AccessDenied, LimitExceeded: the gateway cannot be reached, or does not let the call through.
        """
        seconds = call_timeout("timeout", timeout)
        check_callback("on_progress", on_progress)
        check_callback("on_metadata", on_metadata)
        loop, core = self._ready()
        return loop.run(self._asked(core, tool, args, options, seconds, on_progress, on_metadata))

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> RemoteStream:
        """`Pool.stream`, behind the gateway."""
        seconds = call_timeout("timeout", STREAM_SECONDS if timeout is POOL_DEFAULT else timeout)
        gap = call_timeout("chunk_timeout", chunk_timeout)
        loop, core = self._ready()
        told = self._with_session(options)
        asked = prepared(core, core._tools, tool, args, told, streaming=True)

        async def begin() -> RemoteStream:
            await core._ready(told)
            return RemoteStream(core._streamed(tool, asked, seconds, gap), loop)

        return loop.run(begin())

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> concurrent.futures.Future[Any]:
        """`Pool.submit`, behind the gateway: a future whose cancellation cancels the call."""
        seconds = call_timeout("timeout", timeout)
        loop, core = self._ready()
        return asyncio.run_coroutine_threadsafe(self._asked(core, tool, args, options, seconds), loop.loop)

    def _asked(
        self, core: AsyncRemotePool, tool: str, args: Mapping[str, Any] | None, options: Mapping[str, Any], *how: Any
    ) -> Coroutine[Any, Any, Any]:
        """A call for one result. Its arguments are encoded here, in the caller's thread: their own code may be slow."""
        told = self._with_session(options)
        asked = prepared(core, core._tools, tool, args, told, streaming=False)

        async def run() -> Any:
            await core._ready(told)
            return await core._executed(tool, asked, *how)

        return run()

    def session(
        self,
        id: str | None = None,  # noqa: A002 - the word for it
        ttl: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        affinity: Affinity | None = None,
    ) -> RemoteSession:
        """`Pool.session`, behind the gateway: calls that stick to one worker, whose tools keep state between them."""
        _, core = self._ready()
        return RemoteSession(self, core.session(id, ttl, metadata, affinity=affinity))

    def session_info(self, session_id: str) -> SessionInfo | None:
        """One session as it is now, frozen; None if there is none of that id."""
        loop, core = self._ready()
        return loop.run(core.session_info(session_id))

    def end_session(self, session_id: str) -> bool:
        """End a session: its open calls are cancelled, its state leaves its workers within 1 s. False if there was none."""
        loop, core = self._ready()
        return loop.run(core.end_session(session_id))

    @property
    def tools(self) -> Any:
        """Discovered tools as functions: `pool.tools.add(2, b=3)`."""
        return Tools(self)

    def bind(self, adapter: type[T]) -> T:
        """The pool's tools, typed as the adapter class for the editor: calling a method runs it behind the gateway."""
        return cast("T", self.tools)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """What this client may call, frozen. Connects if need be."""
        return self._ready()[1].tool_specs()

    def _started_specs(self) -> tuple[ToolSpec, ...]:
        return self._ready()[1]._started_specs()

    def _specs(self) -> tuple[ToolSpec, ...]:
        return self._running[1]._specs() if self._running is not None else ()

    def _with_session(self, options: Mapping[str, Any]) -> Any:
        session = options.get("session_id")
        if not isinstance(session, RemoteSession):
            return dict(options)
        id_in(self, session)
        return {**options, "session_id": session._core}

    def _ready(self) -> tuple[LoopThread, AsyncRemotePool]:
        LoopThread.ensure_elsewhere()
        running = self._running
        if running is not None:
            return running
        with self._lock:
            if self._closed:
                raise _closed_error()
            if self._running is None:
                self._running = self._connected()
            return self._running

    def _connected(self) -> tuple[LoopThread, AsyncRemotePool]:
        loop, core = LoopThread.acquire(), AsyncRemotePool(self._address, **self._told)
        try:
            loop.run(core.__aenter__())
        except BaseException:
            loop.release()
            raise
        self._finalizer = weakref.finalize(self, _close_dropped, loop, core)
        loop.add_finalizer(self._finalizer)
        return loop, core

    def __repr__(self) -> str:
        state = "closed" if self._closed else "connected" if self._running is not None else "not connected yet"
        return f"<{type(self).__name__} at {self._address}, {state}>"


def _close_dropped(loop: LoopThread, core: AsyncRemotePool) -> None:
    """A pool was dropped, or the interpreter ends, without `close`."""
    loop.close_later(core.close())
