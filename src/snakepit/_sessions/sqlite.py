"""Sessions in an SQLite file: they survive the host, and hosts on one machine share them.

Each step is one transaction in WAL mode. What a method has acknowledged is in the file: a killed host loses nothing of it
(`synchronous=NORMAL` may lose the last steps only when the machine itself fails, and never tears the file).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from snakepit._setting_checks import check_ttl
from snakepit.errors import InvalidParameter, SessionStoreError
from snakepit_bridge.redaction import Redactor

from . import sqlite_file
from . import sqlite_rows as rows
from .guard import Guard
from .reading import Readable, metadata_of, program_of
from .records import (
    MAX_TRIES,
    Clock,
    Limits,
    SessionInfo,
    changed_by_others,
    check_program_id,
    decode,
    encode_metadata,
    no_program,
    session_ended,
    too_many_programs,
    too_many_sessions,
    wall_clock,
)
from .store import WARN_AT, Fullness


class SQLiteSessionStore:
    """Sessions in a file, readable by its owner alone. May be used from several threads.

    Args:
        path: the file; made if need be, with its directory. Where others can enter that, the file lies in `<path>.d/` instead.
        limits: how much it holds.
        clock: seconds since the epoch; hosts that share a file should agree on it.
        redactor: what counts as a secret, and is refused.

    Attributes:
        guard: refuses secrets; a pool adds its own rules.

    Raises:
        SessionStoreError: the file cannot be opened, is no store, or would not be private.
    """

    blocking = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        limits: Limits | None = None,
        clock: Clock = wall_clock,
        redactor: Redactor | None = None,
    ) -> None:
        self._path = pathlib.Path(path).absolute()
        self.guard = Guard(redactor)
        self._limits = limits or Limits()
        self._clock = clock
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._full = Fullness("sessions", "max_sessions")
        self._full_of_programs = Fullness("programs", "max_programs_per_session")
        self._readable = Readable()
        with self._told():
            self._path = sqlite_file.place(self._path)
            self._db = sqlite_file.connect(self._path)
            # The log holds what has not been brought into the file yet. Both stay the same for as long as anybody uses them.
            self._parts = {name: _identity(name) for name in (str(self._path), f"{self._path}-wal")}

    def open(self, session_id: str, *, ttl: float, metadata: Mapping[str, Any] | None, set_ttl: bool = False) -> tuple[SessionInfo, bool]:
        """See `SessionStore`."""
        self.guard.session_id(session_id)
        ttl = check_ttl("ttl", ttl, InvalidParameter)
        given = decode(self.guard.encode_metadata(metadata)) if metadata else {}
        with self._step() as db:
            now = self._clock()
            row = rows.row(db, session_id, now)
            if row is not None:
                merged = encode_metadata({**row.metadata, **given})
                lives = ttl if set_ttl else row.ttl
                change = "UPDATE sessions SET last_used=?, ttl=?, expires=?, metadata=? WHERE id=?"
                db.execute(change, (now, lives, now + lives, merged, session_id))
                return rows.there(db, session_id, now), False
            used = self._used(db)
            if used >= self._limits.max_sessions:
                raise too_many_sessions(session_id, self._limits)
            db.execute("DELETE FROM sessions WHERE id=?", (session_id,))  # it may have expired
            row_values = (session_id, now, now, ttl, now + ttl, encode_metadata(given))
            db.execute("INSERT INTO sessions (id, created, last_used, ttl, expires, metadata) VALUES (?,?,?,?,?,?)", row_values)
            self._full.note("", used + 1, self._limits.max_sessions)
            self._full_of_programs.forget(session_id)
            return rows.there(db, session_id, now), True

    def get(self, session_id: str) -> SessionInfo | None:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            return rows.row(db, session_id, self._clock())

    def touch(self, session_ids: Iterable[str], /, *, lapsed: bool = False) -> set[str]:
        """See `SessionStore`."""
        ids = list(session_ids)
        with self._step() as db:
            now = self._clock()
            alive = rows.alive(db, ids, float("-inf") if lapsed else now)
            db.executemany("UPDATE sessions SET last_used=?, expires=?+ttl WHERE id=?", [(now, now, item) for item in alive])
        return self._forgotten(set(ids) - alive.keys())

    def gone(self, sessions: Mapping[str, float], /) -> set[str]:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            alive = rows.alive(db, list(sessions), self._clock())
        return self._forgotten({item for item, created in sessions.items() if alive.get(item) != created})

    def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """See `SessionStore`."""
        for _ in range(MAX_TRIES):
            with self._step(write=False) as db:
                old = db.execute("SELECT metadata, created FROM sessions WHERE id=? AND expires>?", (session_id, self._clock())).fetchone()
            if old is None:
                raise session_ended(session_id)
            # Outside any transaction and lock: `change` is the user's code, which may take long, or ask this store.
            new = self.guard.encode_metadata(change(metadata_of(session_id, old[0])))
            with self._step() as db:
                now = self._clock()
                if db.execute(rows.SWAP, (new, now, now, session_id, now, *old)).rowcount:
                    return rows.there(db, session_id, now)
        raise changed_by_others(session_id)

    def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        with self._step() as db:
            alive = bool(rows.alive(db, [session_id], self._clock()))
            db.execute("DELETE FROM sessions WHERE id=?", (session_id,))
            self._full.note("", self._used(db), self._limits.max_sessions)
        self._full_of_programs.forget(session_id)
        return alive

    def expire(self) -> list[str]:
        """See `SessionStore`."""
        now = self._clock()
        with self._step(write=False) as db:  # nearly always there is nothing to remove, and no other host has to wait
            if db.execute("SELECT 1 FROM sessions WHERE expires<=? LIMIT 1", (now,)).fetchone() is None:
                return []
        with self._step() as db:
            expired = rows.texts(db.execute("SELECT id FROM sessions WHERE expires<=?", (now,)))
            db.execute("DELETE FROM sessions WHERE expires<=?", (now,))
            self._full.note("", self._used(db), self._limits.max_sessions)
        self._full_of_programs.forget(*expired)
        return expired

    def put_program(self, session_id: str, program_id: str, program: Any) -> None:
        """See `SessionStore`."""
        data = self.guard.encode(program, f"program {self.guard.program_id(program_id)!r}")
        limit = self._limits.max_programs_per_session
        with self._step() as db:
            now = self._clock()
            used = rows.there(db, session_id, now).programs
            known = db.execute("SELECT 1 FROM programs WHERE session_id=? AND id=?", (session_id, program_id)).fetchone()
            if known is None and used >= limit:
                raise too_many_programs(session_id, program_id, self._limits)
            db.execute("INSERT OR REPLACE INTO programs (session_id, id, program) VALUES (?,?,?)", (session_id, program_id, data))
            db.execute("UPDATE sessions SET last_used=?, expires=?+ttl WHERE id=?", (now, now, session_id))
            self._full_of_programs.note(session_id, used + (known is None), limit)

    def get_program(self, session_id: str, program_id: str) -> Any:
        """See `SessionStore`."""
        check_program_id(program_id)
        with self._step(write=False) as db:
            rows.there(db, session_id, self._clock())
            row = db.execute("SELECT program FROM programs WHERE session_id=? AND id=?", (session_id, program_id)).fetchone()
            if row is None:
                raise no_program(session_id, program_id, rows.programs(db, session_id))
        return program_of(session_id, program_id, row[0])

    def delete_program(self, session_id: str, program_id: str) -> bool:
        """See `SessionStore`."""
        check_program_id(program_id)
        with self._step() as db:
            used = rows.there(db, session_id, self._clock()).programs
            there = db.execute("DELETE FROM programs WHERE session_id=? AND id=?", (session_id, program_id)).rowcount > 0
            self._full_of_programs.note(session_id, used - there, self._limits.max_programs_per_session)
            return there

    def programs(self, session_id: str) -> tuple[str, ...]:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            rows.there(db, session_id, self._clock())
            return rows.programs(db, session_id)

    def sessions(self) -> tuple[SessionInfo, ...]:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            found = db.execute(rows.SELECT + "WHERE expires>? ORDER BY created", (self._clock(),))
            return self._readable.of(found, rows.info)

    def count(self) -> int:
        """See `SessionStore`."""
        with self._step(write=False) as db:
            return rows.total(db) - rows.expired(db, self._clock())

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._told():
            self._parts = {}  # the log goes with its last user
            self._db.close()

    @contextlib.contextmanager
    def _step(self, *, write: bool = True) -> Iterator[sqlite3.Connection]:
        """One transaction, whole or not at all. A writing one waits for other hosts' before it looks."""
        if os.getpid() != self._pid:  # an SQLite connection must not cross a fork: it would break the file's locks
            message = f"the session store {self._path} was opened by process {self._pid}, and this is its forked child"
            raise SessionStoreError(message, hint="open a store of its own in the child")
        with self._lock, self._told():
            if any(_identity(name) != part for name, part in self._parts.items()):
                message = f"the session store {self._path} was removed or replaced while it was open"
                raise SessionStoreError(
                    message, hint="close the pool and start it anew: what is kept now would be lost", path=str(self._path)
                )
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
        except (sqlite3.Error, OSError, UnicodeError) as error:  # the last: an id that is no text, a damaged schema
            hint = "another host holds it" if "locked" in str(error) else "is it a session store, on a disk that can be written to?"
            raise SessionStoreError(f"the session store {self._path} failed: {error}", hint=hint, path=str(self._path)) from error

    def _used(self, db: sqlite3.Connection) -> int:
        """How many count for the quota. Those that have expired and nobody has removed yet are looked for only when it matters."""
        total = rows.total(db)
        return total if total + 1 < WARN_AT * self._limits.max_sessions else total - rows.expired(db, self._clock())

    def _forgotten(self, gone: set[str]) -> set[str]:
        self._full_of_programs.forget(*gone)
        return gone


def _identity(path: str) -> tuple[int, int] | None:
    """Which file this is; None: there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - at each step
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
