"""What a session store has to offer, and the warning when one fills up. Stores know no pools and no workers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

from .records import SessionInfo

_log = logging.getLogger("snakepit.sessions")

#: A quota is warned of when so much of it is used.
WARN_AT = 0.8


@runtime_checkable
class SessionStore(Protocol):
    """Keeps sessions: metadata, programs, lifetimes. Each method is one atomic step, also where hosts share a store.

    A lifetime begins anew with `open`, `touch`, `update` and `put_program`. A pool calls it from one thread at a time. Methods
    raise `SessionStoreError` when the store cannot be reached or read.

    Attributes:
        blocking: does it do I/O? Then the pool calls it on a thread of its own.
    """

    blocking: bool

    def open(self, session_id: str, *, ttl: float, metadata: Mapping[str, Any] | None, set_ttl: bool = False) -> tuple[SessionInfo, bool]:
        """Find and touch a session, or make it: (what it is, was it made?).

        Given metadata is merged into that of one that is there.

        Args:
            ttl: seconds that one which is made lives without being touched.
            set_ttl: give it to one that is there too, from now on; else that keeps its own.

        Raises:
            SessionQuotaExceeded: it would be one too many.
            InvalidParameter: the id, the ttl or the metadata cannot be kept.
        """

    def get(self, session_id: str) -> SessionInfo | None:
        """A session, not touched; None: never there, ended, or expired."""

    def touch(self, session_ids: Iterable[str], /, *, lapsed: bool = False) -> set[str]:
        """Begin the lifetimes of these anew; those that are gone. One round trip for all.

        Args:
            lapsed: also of those that have expired and were not removed yet. A pool says so for sessions that have open calls, or
                had some a moment ago: their lifetimes are not over, but the clock was set forward, or the machine was suspended.
        """

    def gone(self, sessions: Mapping[str, float], /) -> set[str]:
        """Which of these are gone; nothing is touched. One round trip for all.

        Args:
            sessions: by id, when they were made: one that was ended and made anew is gone.
        """

    def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """Change metadata: `change` gets a copy and gives the new one; it is asked again when another was faster.

        It is called outside the store's locks and transactions, and may ask the store. A pool gives its own, which is quick.

        Raises:
            SessionEnded: it is gone. InvalidParameter: the new metadata cannot be kept.
        """

    def delete(self, session_id: str) -> bool:
        """End a session with all it holds; False if there was none."""

    def expire(self) -> list[str]:
        """Remove what has expired; which."""

    def put_program(self, session_id: str, program_id: str, program: Any) -> None:
        """Keep a program; one of that id is replaced.

        Raises:
            ProgramQuotaExceeded, SessionEnded, InvalidParameter: why not.
        """

    def get_program(self, session_id: str, program_id: str) -> Any:
        """A copy of a program.

        Raises:
            InvalidParameter: there is none of that id. SessionEnded: the session is gone.
        """

    def delete_program(self, session_id: str, program_id: str) -> bool:
        """Forget a program; False if there was none."""

    def programs(self, session_id: str) -> tuple[str, ...]:
        """The ids of a session's programs, sorted.

        Raises:
            SessionEnded: the session is gone.
        """

    def sessions(self) -> tuple[SessionInfo, ...]:
        """All that have not expired."""

    def count(self) -> int:
        """How many there are."""

    def close(self) -> None:
        """Let go of files and connections."""


class Fullness:
    """Warns once when a quota is 80 % used, and again only after it was less.

    Args:
        what: what fills up, such as `sessions`.
        setting: the setting that would make room.
    """

    def __init__(self, what: str, setting: str) -> None:
        self._what = what
        self._setting = setting
        self._warned: set[str] = set()

    def note(self, session_id: str, used: int, limit: int) -> None:
        """So much is used now. `session_id`: whose quota it is; empty: the store's own."""
        if used < WARN_AT * limit:
            self._warned.discard(session_id)
        elif session_id not in self._warned:
            self._warned.add(session_id)
            whose = f"session {session_id!r}" if session_id else "the session store"
            _log.warning("%s holds %d %s of the %d that %s allows", whose, used, self._what, limit, self._setting)

    def forget(self, *session_ids: str) -> None:
        """Whose quotas they were are gone: another session of such an id is warned of anew."""
        self._warned.difference_update(session_ids)
