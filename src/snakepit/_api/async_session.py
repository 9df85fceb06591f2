"""`AsyncSession`: a conversation with one worker, for the async pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from snakepit._pool.sessions.keeper import ended
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo

from .arguments import POOL_DEFAULT
from .async_stream import AsyncStream
from .options import CallOptions
from .session_base import SessionBase, checked_change
from .tools import AsyncTools

if TYPE_CHECKING:
    from .async_pool import AsyncPool


class AsyncSession(SessionBase):
    """One session of an `AsyncPool`: its calls go to one worker, whose tools keep `self.session.state` from call to call.

        async with pool.session("user-1", ttl=3600.0) as session:
            await session.execute("load_model", {"name": "m"})
            async for chunk in session.stream("generate", {"prompt": "hi"}):
                print(chunk)

    Opened by `with` or the first call. Leaving the `with` block ends the session if this handle made it; one that was there
    before is left as it is. Without `with` it lives until `end()`, or `ttl` seconds after its last call.
    """

    _pool: AsyncPool

    def __init__(
        self, pool: AsyncPool, session_id: str | None, ttl: float | None, metadata: Mapping[str, Any] | None, affinity: str | None
    ) -> None:
        super().__init__(session_id, ttl, metadata, affinity)
        self._pool = pool
        self._lock = asyncio.Lock()

    async def open(self) -> Self:
        """Open it now, or find that it is open still; its lifetime begins anew.

        One that is there, whoever made it, is found: given metadata is merged into its own, and a given ttl is its ttl from now on.

        Raises:
            SessionEnded: this handle had opened it, and it is over.
            SessionQuotaExceeded: there are as many sessions as `max_sessions` allows.
            InvalidParameter: its metadata cannot travel, or would put a secret on disk.
        """
        self._usable()
        if self._opened and not await self._pool._in_sessions("touch", self.id):
            raise ended(self.id)
        return await self._open()

    async def _open(self) -> Self:
        """Open it, if this handle has not done so, so that it costs nothing when it has. Calls do so by themselves."""
        self._usable()
        if not self._opened:
            async with self._lock:
                if not self._opened:
                    _, created = await self._pool._in_sessions("open", self.id, self._ttl, self._metadata)
                    self._note(created)
        return self

    async def end(self) -> None:
        """End it: its open calls are cancelled, its state leaves the worker, its programs go. Twice is fine."""
        if not self._ended:
            await self._pool.end_session(self.id)
            self._ended = True  # now: had the store failed, it could be tried again

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        if self._ends_with_its_block(self._pool):
            await self.end()

    async def execute(self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = 30.0, **options: Any) -> Any:
        """`AsyncPool.execute` in this session."""
        return await self._pool.execute(tool, args, timeout=timeout, **self._with(options))

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> AsyncStream:
        """`AsyncPool.stream` in this session, which must have been opened: by `async with`, `open()` or another call."""
        return self._pool.stream(tool, args, timeout=timeout, chunk_timeout=chunk_timeout, **self._with(options))

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> asyncio.Future[Any]:
        """`AsyncPool.submit` in this session, which must have been opened."""
        self._opened_already()
        return self._pool.submit(tool, args, timeout=timeout, **self._with(options))

    @property
    def tools(self) -> Any:
        """The pool's tools as functions, called in this session: `await session.tools.add(2, b=3)`."""
        return AsyncTools(self)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """`AsyncPool.tool_specs`."""
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

    async def update(self, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """Change its metadata in one step: `change` gets a copy of it and gives the new one. No change of others is lost."""
        return await (await self._open())._pool._in_sessions("update", self.id, checked_change(change))  # type: ignore[no-any-return]

    async def rebind(self) -> bool:
        """After `SessionLost`, or when `restore` failed: let it go on, with an empty state, on any worker.

        False if its state is there: then nothing changes.
        """
        return await self._pool.rebind_session(self.id)

    async def put_program(self, program_id: str, program: Any) -> None:
        """Keep a program (any plain value, bytes too) with the session.

        Raises:
            ProgramQuotaExceeded: it has as many as `max_programs_per_session` allows.
        """
        await (await self._open())._pool._in_sessions("ask", "put_program", self.id, program_id, program)

    async def get_program(self, program_id: str) -> Any:
        """A copy of a program.

        Raises:
            InvalidParameter: it has none of that id.
        """
        return await (await self._open())._pool._in_sessions("ask", "get_program", self.id, program_id)

    async def delete_program(self, program_id: str) -> bool:
        """Forget a program; False if there was none."""
        return bool(await (await self._open())._pool._in_sessions("ask", "delete_program", self.id, program_id))

    async def programs(self) -> tuple[str, ...]:
        """The ids of its programs."""
        return tuple(await (await self._open())._pool._in_sessions("ask", "programs", self.id))

    def _opened_already(self) -> None:
        self._usable()
        if not self._opened:
            raise RuntimeError("the session has not been opened: use `async with pool.session(...)`, or `await session.open()`")

    def _with(self, options: Any) -> Any:
        return {**options, "session_id": self}

    def _specs(self) -> Any:
        return self._pool._specs()

    def _started_specs(self) -> Any:
        return self._pool._started_specs()
