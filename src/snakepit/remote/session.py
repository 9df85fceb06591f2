"""`RemoteSession`: a conversation with one worker behind a gateway."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from snakepit._api.arguments import POOL_DEFAULT
from snakepit._api.options import CallOptions, SessionHandle
from snakepit._api.tools import Tools
from snakepit._pool.tools import ToolSpec
from snakepit._sessions.records import SessionInfo

from .async_session import AsyncRemoteSession
from .stream import RemoteStream

if TYPE_CHECKING:
    from .pool import RemotePool


class RemoteSession(SessionHandle):
    """One session behind a gateway: `Session`, but for what only its host can do (`update`, `rebind`, programs)."""

    _pool: RemotePool

    def __init__(self, pool: RemotePool, core: AsyncRemoteSession) -> None:
        super().__init__(core.id, core.affinity)
        self._pool = pool
        self._core = core

    def open(self) -> Self:
        """Open it now, or find that it is open still; its lifetime begins anew.

        Raises:
            SessionEnded: this handle had opened it, and it is over.
            SessionQuotaExceeded, LimitExceeded: there are as many sessions as are allowed.
        """
        self._run(self._core.open())
        return self

    def end(self) -> None:
        """End it: its open calls are cancelled, its state leaves the worker. Twice is fine."""
        if not self._core._ended:
            self._run(self._core.end())

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._pool._closed:
            self._run(self._core.__aexit__(kind, error, trace))

    def execute(self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = 30.0, **options: Any) -> Any:
        """`RemotePool.execute` in this session."""
        return self._pool.execute(tool, args, timeout=timeout, **self._with(options))

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> RemoteStream:
        """`RemotePool.stream` in this session."""
        return self._pool.stream(tool, args, timeout=timeout, chunk_timeout=chunk_timeout, **self._with(options))

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> concurrent.futures.Future[Any]:
        """`RemotePool.submit` in this session."""
        return self._pool.submit(tool, args, timeout=timeout, **self._with(options))

    @property
    def tools(self) -> Any:
        """The pool's tools as functions, called in this session: `session.tools.add(2, b=3)`."""
        return Tools(self)

    def tool_specs(self) -> tuple[ToolSpec, ...]:
        """`RemotePool.tool_specs`."""
        return self._pool.tool_specs()

    def info(self) -> SessionInfo:
        """What is known of it now, frozen: metadata, lifetime, the worker it sticks to.

        Raises:
            SessionEnded: it is over.
        """
        return self._run(self._core.info())  # type: ignore[no-any-return]

    def _run(self, coroutine: Any) -> Any:
        try:
            loop, _ = self._pool._ready()
        except BaseException:
            coroutine.close()
            raise
        return loop.run(coroutine)

    def _with(self, options: Any) -> Any:
        return {**options, "session_id": self}

    def _opening(self) -> None:
        self._core._opening()

    def _specs(self) -> Any:
        return self._pool._specs()

    def _started_specs(self) -> Any:
        return self._pool._started_specs()

    def __repr__(self) -> str:
        return repr(self._core).replace("AsyncRemoteSession", type(self).__name__)
