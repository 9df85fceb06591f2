"""What the SQLite store asks its tables, inside a transaction of its caller. `now`: seconds since the epoch."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from .reading import picture
from .records import SessionInfo, session_ended

#: A session with the number of its programs, as `info` reads it.
SELECT = """
SELECT id, created, last_used, expires, ttl, metadata, (SELECT count(*) FROM programs WHERE session_id = sessions.id) FROM sessions
"""
#: New metadata in place of the old, if the session is still the same one and nobody was faster.
SWAP = "UPDATE sessions SET metadata=?, last_used=?, expires=?+ttl WHERE id=? AND expires>? AND metadata=? AND created=?"


def row(db: sqlite3.Connection, session_id: str, now: float) -> SessionInfo | None:
    """A session; None if there is none, or it has expired."""
    found = db.execute(SELECT + "WHERE id=? AND expires>?", (session_id, now)).fetchone()
    return None if found is None else info(found)


def there(db: sqlite3.Connection, session_id: str, now: float) -> SessionInfo:
    """A session.

    Raises:
        SessionEnded: there is none, or it has expired.
    """
    found = row(db, session_id, now)
    if found is None:
        raise session_ended(session_id)
    return found


def info(found: tuple[Any, ...]) -> SessionInfo:
    """The picture of a row of `SELECT`.

    Raises:
        SessionStoreError: others have written what is none.
    """
    return picture(*found)


def alive(db: sqlite3.Connection, ids: list[str], now: float) -> dict[str, float]:
    """Which of these there are, and when they were made."""
    query = "SELECT id, created FROM sessions WHERE expires>? AND id IN (SELECT value FROM json_each(?))"
    return dict(db.execute(query, (now, json.dumps(ids))))


def total(db: sqlite3.Connection) -> int:
    """How many sessions there are, those included that have expired and nobody has removed yet. At the cost of one row."""
    kept = db.execute("SELECT value FROM totals WHERE name='sessions'").fetchone()
    if kept is not None and isinstance(kept[0], int) and kept[0] >= 0:
        return kept[0]
    return int(db.execute("SELECT count(*) FROM sessions").fetchone()[0])  # others have spoilt it


def expired(db: sqlite3.Connection, now: float) -> int:
    """How many of these have expired. At the cost of their number."""
    return int(db.execute("SELECT count(*) FROM sessions WHERE expires<=?", (now,)).fetchone()[0])


def programs(db: sqlite3.Connection, session_id: str) -> tuple[str, ...]:
    """The ids of a session's programs, sorted."""
    return tuple(texts(db.execute("SELECT id FROM programs WHERE session_id=? ORDER BY id", (session_id,))))


def texts(found: Iterable[tuple[Any]]) -> list[str]:
    """Ids; what others have written may be none."""
    return [item for (item,) in found if isinstance(item, str)]
