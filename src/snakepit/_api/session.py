"""`Session`: a conversation with one worker, for the sync pool. What is asked of a session without a call goes to its Keeper."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from snakepit._pool.sessions.keeper import ended
from snakepit._sessions.records import SessionInfo
from snakepit.config import check_timeout
from snakepit.errors import InvalidParameter

from .arguments import POOL_DEFAULT
from .future import CallFuture
from .options import CallOptions, SessionHandle
from .stream import Stream
from .tools import Tools

if TYPE_CHECKING:
    from .pool import Pool


class SessionBase(SessionHandle):
    """What both kinds of session share: what they were asked to be."""

    def __init__(self, session_id: str | None, ttl: float | None, metadata: Mapping[str, Any] | None, affinity: str | None) -> None:
        super().__init__(uuid.uuid4().hex if session_id is None else session_id, affinity)
        if metadata is not None and not isinstance(metadata, Mapping):
            message = f"metadata is a {type(metadata).__name__}; allowed is a dict of plain values"
            raise InvalidParameter(message, field="metadata", expected="dict", got=type(metadata).__name__)
        self._ttl = check_timeout("ttl", ttl, error=InvalidParameter)
        self._metadata = metadata
        self._opened = False
        self._made = False  # this handle opened it: leaving its `with` block ends it
        self._ended = False

    def _note(self, *, created: bool) -> None:
        self._opened, self._made = True, self._made or created

    def _usable(self) -> None:
        if self._ended:
            raise ended(self.id)

    def __repr__(self) -> str:
        state = "ended" if self._ended else "open" if self._opened else "not opened yet"
        return f"<{type(self).__name__} {self.id!r}, {state}>"


class Session(SessionBase):
    """One session of a `Pool`: its calls go to one worker, whose tools keep `self.session.state` from call to call.

        with pool.session("user-1", ttl=3600.0) as session:
            session.execute("load_model", {"name": "m"})
            for chunk in session.stream("generate", {"prompt": "hi"}):
                print(chunk)

    Opened by `with` or the first call. Leaving the `with` block ends the session if this handle made it; one that was there
    before is left as it is. Without `with` it lives until `end()`, or `ttl` seconds after its last call.
    """

    def __init__(
        self, pool: Pool, session_id: str | None, ttl: float | None, metadata: Mapping[str, Any] | None, affinity: str | None
    ) -> None:
        super().__init__(session_id, ttl, metadata, affinity)
        self._pool = pool
        self._lock = threading.Lock()

    def open(self) -> Self:
        """Open it now.

        Raises:
            SessionQuotaExceeded: there are as many sessions as `max_sessions` allows.
            InvalidParameter: its metadata cannot travel, or would put a secret on disk.
        """
        self._usable()
        if not self._opened:
            with self._lock:
                if not self._opened:
                    _, created = self._pool._in_sessions("open", self.id, self._ttl, self._metadata)
                    self._note(created=created)
        return self

    def end(self) -> None:
        """End it: its open calls are cancelled, its state leaves the worker, its programs go. Twice is fine."""
        if not self._ended:
            self._ended = True
            self._pool.end_session(self.id)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        if self._made and self._pool._engine is not None and not self._pool._closed:
            self.end()

    def execute(self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = 30.0, **options: Any) -> Any:
        """`Pool.execute` in this session."""
        return self.open()._pool.execute(tool, args, timeout=timeout, **self._with(options))

    def stream(
        self,
        tool: str,
        args: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = POOL_DEFAULT,
        chunk_timeout: float | None = None,
        **options: Unpack[CallOptions],
    ) -> Stream:
        """`Pool.stream` in this session."""
        return self.open()._pool.stream(tool, args, timeout=timeout, chunk_timeout=chunk_timeout, **self._with(options))

    def submit(
        self, tool: str, args: Mapping[str, Any] | None = None, *, timeout: float | None = None, **options: Unpack[CallOptions]
    ) -> CallFuture:
        """`Pool.submit` in this session."""
        return self.open()._pool.submit(tool, args, timeout=timeout, **self._with(options))

    @property
    def tools(self) -> Any:
        """The pool's tools as functions, called in this session: `session.tools.add(2, b=3)`."""
        return Tools(self)

    def tool_specs(self) -> Any:
        """`Pool.tool_specs`."""
        return self._pool.tool_specs()

    def info(self) -> SessionInfo:
        """What is known of it now, frozen: metadata, lifetime, the worker it sticks to.

        Raises:
            SessionEnded: it is over.
        """
        found = self.open()._pool.session_info(self.id)
        if found is None:
            raise ended(self.id)
        return found

    def update(self, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """Change its metadata in one step: `change` gets a copy of it and gives the new one. No change of others is lost."""
        return self.open()._pool._in_sessions("update", self.id, change)  # type: ignore[no-any-return]

    def rebind(self) -> None:
        """After `SessionLost`: let it go on, with an empty state, on another worker."""
        self._pool.rebind_session(self.id)

    def put_program(self, program_id: str, program: Any) -> None:
        """Keep a program (any plain value, bytes too) with the session.

        Raises:
            ProgramQuotaExceeded: it has as many as `max_programs_per_session` allows.
        """
        self.open()._pool._in_sessions("ask", "put_program", self.id, program_id, program)

    def get_program(self, program_id: str) -> Any:
        """A copy of a program.

        Raises:
            InvalidParameter: it has none of that id.
        """
        return self.open()._pool._in_sessions("ask", "get_program", self.id, program_id)

    def delete_program(self, program_id: str) -> bool:
        """Forget a program; False if there was none."""
        return bool(self.open()._pool._in_sessions("ask", "delete_program", self.id, program_id))

    def programs(self) -> tuple[str, ...]:
        """The ids of its programs."""
        return tuple(self.open()._pool._in_sessions("ask", "programs", self.id))

    def _with(self, options: Any) -> Any:
        return {**options, "session_id": self}

    def _specs(self) -> Any:
        return self._pool._specs()
