"""`AsyncRemoteSession`: a conversation with one worker behind a gateway, for asyncio."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from snakepit._api.arguments import POOL_DEFAULT
from snakepit._api.options import CallOptions, SessionHandle
from snakepit._api.tools import AsyncTools
from snakepit._pool.sessions.keeper import ended
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo, encode_metadata
from snakepit.config import check_timeout
from snakepit.errors import InvalidParameter, SessionEnded
from snakepit_bridge.frozen import freeze

from . import words
from .async_stream import AsyncRemoteStream

if TYPE_CHECKING:
    from .async_pool import AsyncRemotePool


class AsyncRemoteSession(SessionHandle):
    """One session behind a gateway: `AsyncSession`, but for what only its host can do (`update`, `rebind`, programs)."""

    _pool: AsyncRemotePool

    def __init__(
        self, pool: AsyncRemotePool, session_id: str | None, ttl: float | None, metadata: Mapping[str, Any] | None, affinity: str | None
    ) -> None:
        super().__init__(uuid.uuid4().hex if session_id is None else session_id, affinity)
        self._pool = pool
        self._ttl = check_timeout("ttl", ttl, error=InvalidParameter)
        self._metadata = None if metadata is None else encode_metadata(metadata)
        self._lock = asyncio.Lock()
        self._opened = self._made = self._ended = False

    async def open(self) -> Self:
        """Open it now, or find that it is open still; its lifetime begins anew.

        Raises:
            SessionEnded: this handle had opened it, and it is over.
            SessionQuotaExceeded, LimitExceeded: there are as many sessions as are allowed.
        """
        self._usable()
        if self._opened and await self._pool.session_info(self.id) is None:
            raise ended(self.id)
        self._opened = False
        return await self._open()

    async def _open(self) -> Self:
        self._usable()
        async with self._lock:
            if not self._opened:
                created = await self._pool._open_session(self.id, self._ttl, self._metadata)
                self._opened, self._made = True, self._made or created
        return self

    async def end(self) -> None:
        """End it: its open calls are cancelled, its state leaves the worker. Twice is fine."""
        if not self._ended:
            await self._pool.end_session(self.id)
            self._ended = True

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        if self._made and not self._pool._closed:
            await self.end()

    async def execute(self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = 30.0, **options: Any) -> Any:
        """`AsyncRemotePool.execute` in this session."""
        return await self._pool.execute(tool, args, timeout=timeout, **self._with(options))

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncRemoteStream:
        """`AsyncRemotePool.stream` in this session, which must have been opened."""
        return self._pool.stream(tool, args, timeout=timeout, chunk_timeout=chunk_timeout, **self._with(options))

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> asyncio.Future[Any]:
        """`AsyncRemotePool.submit` in this session, which must have been opened."""
        self._opened_already()
        return self._pool.submit(tool, args, timeout=timeout, **self._with(options))

    @property
    def tools(self) -> Any:
        """The pool's tools as functions, called in this session."""
        return AsyncTools(self)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """`AsyncRemotePool.tool_specs`."""
        return self._pool.tool_specs()

    async def info(self) -> SessionInfo:
        """What is known of it now, frozen: metadata, lifetime, the worker it sticks to.

        Raises:
            SessionEnded: it is over.
        """
        found = await (await self._open())._pool.session_info(self.id)
        if found is None:
            raise ended(self.id)
        return found

    def _with(self, options: Any) -> Any:
        return {**options, "session_id": self}

    def _opening(self) -> None:
        self._usable()

    def _opened_already(self) -> None:
        self._usable()
        if not self._opened:
            raise RuntimeError("the session has not been opened: use `async with pool.session(...)`, or `await session.open()`")

    def _usable(self) -> None:
        if self._ended:
            raise ended(self.id)

    def _specs(self) -> Any:
        return self._pool._specs()

    def _started_specs(self) -> Any:
        return self._pool._started_specs()

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open" if self._opened else "not opened yet"
        return f"<{type(self).__name__} {self.id!r}, {state}>"


async def info_in(asked: Awaitable[Any]) -> SessionInfo | None:
    """A session's picture from the gateway's answer; None if there is none."""
    try:
        facts = words.read_whole((await asked).metadata[words.WHOLE])
    except SessionEnded:
        return None
    return SessionInfo(**{**facts, "metadata": freeze(facts["metadata"])})
