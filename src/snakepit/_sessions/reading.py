"""What is read back from a store that others can write to: a session that is damaged is named, and harms no other."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from snakepit._setting_checks import MAX_TTL
from snakepit.errors import SessionStoreError
from snakepit_bridge.frozen import freeze
from snakepit_bridge.wire.coding import Malformed

from .records import SessionInfo, check_session_id, decode

T = TypeVar("T")

_log = logging.getLogger("snakepit.sessions")


def picture(session_id: Any, created: Any, last_used: Any, expires: Any, ttl: Any, metadata: Any, programs: Any) -> SessionInfo:
    """A session of which these were kept.

    Raises:
        SessionStoreError: they are not what a store keeps.
    """
    for name, value in (("created", created), ("last_used", last_used), ("expires", expires), ("ttl", ttl)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise damaged(session_id, f"its {name} is no number")
    if not 0 < ttl <= MAX_TTL:
        raise damaged(session_id, f"its ttl is {ttl!r}")
    if not isinstance(programs, int) or programs < 0:
        raise damaged(session_id, "its programs cannot be counted")
    try:
        check_session_id(session_id)
    except Exception as error:
        raise damaged(session_id, "its id is none") from error
    frozen = freeze(metadata_of(session_id, metadata))
    return SessionInfo(session_id, float(created), float(last_used), float(expires), float(ttl), frozen, programs)


def metadata_of(session_id: Any, data: Any) -> dict[str, Any]:
    """Metadata that was kept.

    Raises:
        SessionStoreError: it is none.
    """
    metadata = _decoded(session_id, data, "its metadata")
    if not isinstance(metadata, dict) or not all(isinstance(key, str) for key in metadata):
        raise damaged(session_id, "its metadata is no dict with text keys")
    return metadata


def program_of(session_id: str, program_id: str, data: Any) -> Any:
    """A program that was kept.

    Raises:
        SessionStoreError: it is none.
    """
    return _decoded(session_id, data, f"its program {program_id!r}")


def damaged(session_id: Any, what: str) -> SessionStoreError:
    """The session cannot be read. Its values are not shown: they may be secrets."""
    hint = "something else than this library has written to the store; ending the session removes it: pool.session(id).end()"
    return SessionStoreError(f"session {_shown(session_id)} cannot be read from the store: {what}", hint=hint, session_id=session_id)


class Readable:
    """Leaves out of a list what is damaged, and tells of each once. Used by one store, under its lock or not: a set is replaced whole."""

    def __init__(self) -> None:
        self._told: frozenset[str] = frozenset()

    def of(self, rows: Iterable[T], read: Callable[[T], SessionInfo]) -> tuple[SessionInfo, ...]:
        """The pictures of those rows that `read` can read."""
        pictures, unreadable = [], set()
        for row in rows:
            try:
                pictures.append(read(row))
            except SessionStoreError as error:
                name = _shown(error.details["session_id"])
                unreadable.add(name)
                if name not in self._told:
                    _log.warning("%s; it is left out of lists", error.message)
        self._told = frozenset(unreadable)
        return tuple(pictures)


def _decoded(session_id: Any, data: Any, what: str) -> Any:
    if not isinstance(data, bytes):
        raise damaged(session_id, f"{what} is missing, or no bytes")
    try:
        return decode(data)
    except Malformed as error:
        raise damaged(session_id, f"{what} is malformed") from error


def _shown(session_id: Any) -> str:
    text = repr(session_id)
    return text if len(text) <= 300 else text[:297] + "..."
