"""Sessions in an SQLite file: they survive the host, and hosts on one machine share them.

Each step is one transaction in WAL mode. What a method has acknowledged is in the file: a killed host loses nothing of it
(`synchronous=NORMAL` may lose the last steps only when the machine itself fails, and never tears the file).
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from snakepit.errors import SessionStoreError

from .records import (
    Clock,
    Limits,
    SessionInfo,
    check_program_id,
    check_session_id,
    decode,
    encode,
    encode_metadata,
    freeze,
    no_program,
    session_ended,
    too_many_programs,
    too_many_sessions,
)
from .store import Fullness

#: How long a step waits for another host's (seconds).
_BUSY_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, created REAL NOT NULL, last_used REAL NOT NULL, ttl REAL NOT NULL, expires REAL NOT NULL, metadata BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires);
CREATE TABLE IF NOT EXISTS programs (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, id TEXT NOT NULL, program BLOB NOT NULL,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
"""
_SELECT = """
SELECT id, created, last_used, expires, ttl, metadata, (SELECT count(*) FROM programs WHERE session_id = sessions.id) FROM sessions
"""


class SQLiteSessionStore:
    """Sessions in a file, readable by its owner alone. May be used from several threads.

    Args:
        path: the file; made if need be, with its directory.
        limits: how much it holds.
        clock: seconds since the epoch; hosts that share a file should agree on it.

    Raises:
        SessionStoreError: the file cannot be opened, or is no store.
    """

    blocking = True

    def __init__(self, path: str | os.PathLike[str], limits: Limits | None = None, clock: Clock = time.time) -> None:
        self._path = pathlib.Path(path).absolute()
        self._limits = limits or Limits()
        self._clock = clock
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._full = Fullness("sessions", "max_sessions")
        self._full_of_programs = Fullness("programs", "max_programs_per_session")
        with self._told():
            _make_private(self._path)
            self._db = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            self._db.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; {_SCHEMA}")

    def open(self, session_id: str, *, ttl: float, metadata: Mapping[str, Any] | None, set_ttl: bool = False) -> tuple[SessionInfo, bool]:
        """See `SessionStore`."""
        check_session_id(session_id)
        given = decode(encode_metadata(metadata, on_disk=True)) if metadata else {}
        with self._step() as db:
            now = self._clock()
            row = _row(db, session_id, now)
            if row is not None:
                merged = encode_metadata({**row.metadata, **given})
                lives = ttl if set_ttl else row.ttl
                change = "UPDATE sessions SET last_used=?, ttl=?, expires=?, metadata=? WHERE id=?"
                db.execute(change, (now, lives, now + lives, merged, session_id))
                return _there(db, session_id, now), False
            used = _count(db, now)
            if used >= self._limits.max_sessions:
                raise too_many_sessions(session_id, self._limits)
            db.execute("DELETE FROM sessions WHERE id=?", (session_id,))  # it may have expired
            row_values = (session_id, now, now, ttl, now + ttl, encode_metadata(given))
            db.execute("INSERT INTO sessions (id, created, last_used, ttl, expires, metadata) VALUES (?,?,?,?,?,?)", row_values)
            self._full.note("", used + 1, self._limits.max_sessions)
            return _there(db, session_id, now), True

    def get(self, session_id: str) -> SessionInfo | None:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            return _row(db, session_id, self._clock())

    def touch(self, session_ids: Iterable[str], /) -> set[str]:
        """See `SessionStore`."""
        ids = list(session_ids)
        with self._step() as db:
            now = self._clock()
            alive = _alive(db, ids, now)
            db.executemany("UPDATE sessions SET last_used=?, expires=?+ttl WHERE id=?", [(now, now, item) for item in alive])
        return set(ids) - alive.keys()

    def gone(self, sessions: Mapping[str, float], /) -> set[str]:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            alive = _alive(db, list(sessions), self._clock())
        return {item for item, created in sessions.items() if alive.get(item) != created}

    def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """See `SessionStore`."""
        with self._step() as db:
            now = self._clock()
            (old,) = db.execute("SELECT metadata FROM sessions WHERE id=?", (_there(db, session_id, now).id,)).fetchone()
            new = encode_metadata(change(decode(old)), on_disk=True)
            db.execute("UPDATE sessions SET metadata=?, last_used=?, expires=?+ttl WHERE id=?", (new, now, now, session_id))
            return _there(db, session_id, now)

    def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        with self._step() as db:
            alive = _row(db, session_id, self._clock()) is not None
            db.execute("DELETE FROM sessions WHERE id=?", (session_id,))
            self._note_count(db)
            return alive

    def expire(self) -> list[str]:
        """See `SessionStore`."""
        now = self._clock()
        with self._step(write=False) as db:  # nearly always there is nothing to remove, and no other host has to wait
            if db.execute("SELECT 1 FROM sessions WHERE expires<=? LIMIT 1", (now,)).fetchone() is None:
                return []
        with self._step() as db:
            expired = [item for (item,) in db.execute("SELECT id FROM sessions WHERE expires<=?", (now,))]
            db.execute("DELETE FROM sessions WHERE expires<=?", (now,))
            self._note_count(db)
            return expired

    def put_program(self, session_id: str, program_id: str, program: Any) -> None:
        """See `SessionStore`."""
        data = encode(program, f"program {check_program_id(program_id)!r}", on_disk=True)
        limit = self._limits.max_programs_per_session
        with self._step() as db:
            used = _there(db, session_id, self._clock()).programs
            known = db.execute("SELECT 1 FROM programs WHERE session_id=? AND id=?", (session_id, program_id)).fetchone()
            if known is None and used >= limit:
                raise too_many_programs(session_id, program_id, self._limits)
            db.execute("INSERT OR REPLACE INTO programs (session_id, id, program) VALUES (?,?,?)", (session_id, program_id, data))
            self._full_of_programs.note(session_id, used + (known is None), limit)

    def get_program(self, session_id: str, program_id: str) -> Any:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            _there(db, session_id, self._clock())
            row = db.execute("SELECT program FROM programs WHERE session_id=? AND id=?", (session_id, program_id)).fetchone()
            if row is None:
                raise no_program(session_id, program_id, _programs(db, session_id))
        return decode(row[0])

    def delete_program(self, session_id: str, program_id: str) -> bool:
        """See `SessionStore`."""
        with self._step() as db:
            used = _there(db, session_id, self._clock()).programs
            there = db.execute("DELETE FROM programs WHERE session_id=? AND id=?", (session_id, program_id)).rowcount > 0
            self._full_of_programs.note(session_id, used - there, self._limits.max_programs_per_session)
            return there

    def programs(self, session_id: str) -> tuple[str, ...]:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            _there(db, session_id, self._clock())
            return _programs(db, session_id)

    def sessions(self) -> tuple[SessionInfo, ...]:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            rows = db.execute(_SELECT + "WHERE expires>? ORDER BY created", (self._clock(),))
            return tuple(map(_info, rows))

    def count(self) -> int:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            return _count(db, self._clock())

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._told():
            self._db.close()

    @contextlib.contextmanager
    def _step(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, whole or not at all. A writing one waits for other hosts' before it looks."""
        if os.getpid() != self._pid:  # an SQLite connection must not cross a fork: it would break the file's locks
            message = f"the session store {self._path} was opened by process {self._pid}, and this is its forked child"
            raise SessionStoreError(message, hint="open a store of its own in the child")
        with self._lock, self._told():
            self._db.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            hint = "another host holds it" if "locked" in str(error) else "is it a session store, on a disk that can be written to?"
            raise SessionStoreError(f"the session store {self._path} failed: {error}", hint=hint, path=str(self._path)) from error

    def _note_count(self, db: sqlite3.Connection) -> None:
        self._full.note("", _count(db, self._clock()), self._limits.max_sessions)


def _make_private(path: pathlib.Path) -> None:
    """The directory 0700 and the file 0600, from their first moment on; SQLite gives its helpers the mode of the file."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(descriptor, 0o600)  # one that was there may have been more open
    finally:
        os.close(descriptor)


def _row(db: sqlite3.Connection, session_id: str, now: float) -> SessionInfo | None:
    row = db.execute(_SELECT + "WHERE id=? AND expires>?", (session_id, now)).fetchone()
    return None if row is None else _info(row)


def _there(db: sqlite3.Connection, session_id: str, now: float) -> SessionInfo:
    info = _row(db, session_id, now)
    if info is None:
        raise session_ended(session_id)
    return info


def _info(row: tuple[Any, ...]) -> SessionInfo:
    session_id, created, last_used, expires, ttl, metadata, programs = row
    return SessionInfo(session_id, created, last_used, expires, ttl, freeze(decode(metadata)), programs)


def _alive(db: sqlite3.Connection, ids: list[str], now: float) -> dict[str, float]:
    """Those that are there, and when they were made."""
    alive = "SELECT id, created FROM sessions WHERE expires>? AND id IN (SELECT value FROM json_each(?))"
    return dict(db.execute(alive, (now, json.dumps(ids))))


def _count(db: sqlite3.Connection, now: float) -> int:
    return int(db.execute("SELECT count(*) FROM sessions WHERE expires>?", (now,)).fetchone()[0])


def _programs(db: sqlite3.Connection, session_id: str) -> tuple[str, ...]:
    return tuple(item for (item,) in db.execute("SELECT id FROM programs WHERE session_id=? ORDER BY id", (session_id,)))
