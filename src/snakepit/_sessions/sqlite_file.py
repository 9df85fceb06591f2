"""The SQLite file of a session store: where it lies, that nobody else can read it, and its tables.

sessions.db in a directory of its owner alone (0700)       is the file
sessions.db in any other, such as a project's              sessions.db.d/sessions.db, in a directory made for it
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import sqlite3
import stat
import time

from snakepit.errors import SessionStoreError

#: How long a step waits for another host's (seconds).
BUSY_SECONDS = 5.0

#: `user_version` of files with these tables.
_VERSION = 1
#: `totals` is kept by triggers, in the transaction of each change: to count 100,000 sessions would cost each opening more.
_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS sessions (
    id TEXT PRIMARY KEY, created REAL NOT NULL, last_used REAL NOT NULL, ttl REAL NOT NULL, expires REAL NOT NULL, metadata BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sessions_by_expiry ON sessions (expires);
CREATE TABLE IF NOT EXISTS programs (
    session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE, id TEXT NOT NULL, program BLOB NOT NULL,
    PRIMARY KEY (session_id, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO totals SELECT 'sessions', count(*) FROM sessions;
CREATE TRIGGER IF NOT EXISTS session_added AFTER INSERT ON sessions
BEGIN UPDATE totals SET value = value + 1 WHERE name = 'sessions'; END;
CREATE TRIGGER IF NOT EXISTS session_removed AFTER DELETE ON sessions
BEGIN UPDATE totals SET value = value - 1 WHERE name = 'sessions'; END;
PRAGMA user_version = 1;
COMMIT;
"""


def place(path: pathlib.Path) -> pathlib.Path:
    """Where the file for this path lies; the directory is there afterwards, and is its owner's alone.

    Raises:
        SessionStoreError: it would lie where others can enter, or be found at another place than before.
        OSError: a directory cannot be made.
    """
    own = path.with_name(path.name + ".d")
    _make_directories(path.parent)
    if not os.path.lexists(own):
        if stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0:
            return path
        if os.path.lexists(path):
            hint = f"make the directory private (chmod 700 {path.parent}), or move {path.name} into a directory {own.name} with mode 700"
            raise _unsafe(path, f"lies in {path.parent}, which others can enter", hint)
        with contextlib.suppress(FileExistsError):  # another host was faster
            own.mkdir(mode=0o700)
    found = own.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        hint = f"it must be one with mode 700, and no link: chmod 700 {own}, or remove it"
        raise _unsafe(own, "is no directory of this user alone", hint)
    return own / path.name


def connect(path: pathlib.Path) -> sqlite3.Connection:
    """Open the file, 0600 from its first moment on, with its tables. SQLite gives its helpers the mode of the file.

    Raises:
        SessionStoreError: it is a link, or of another version of this library.
        sqlite3.Error, OSError: it cannot be opened, or is no database.
    """
    _make_private(path)
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _keep_a_log(db)
        db.executescript("PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise _unsafe(path, "is a database of another program", "name a file of its own for the sessions")
        if version == 0:  # else nothing is written, and no other host has to wait
            db.executescript(_SCHEMA)
        elif version != _VERSION:
            raise _unsafe(path, f"has version {version}; this library reads {_VERSION}", "is it a session store, and made by this version?")
    except BaseException:
        db.close()
        raise
    return db


def _keep_a_log(db: sqlite3.Connection) -> None:
    """Write ahead. SQLite does not wait for another host that turns that on in the same moment, as it does for everything else."""
    until = time.monotonic() + BUSY_SECONDS
    done = False
    while not done:
        try:
            done = db.execute("PRAGMA journal_mode=WAL").fetchone() is not None
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)


def _make_directories(folder: pathlib.Path) -> None:
    """Each one that is missing, 0700: `mkdir(parents=True)` would leave those between to the umask."""
    for item in (*reversed(folder.parents), folder):
        if not item.exists():
            with contextlib.suppress(FileExistsError):
                item.mkdir(mode=0o700)


def _make_private(path: pathlib.Path) -> None:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _unsafe(path, "is a symbolic link", "name the file itself") from error
        raise
    try:
        if os.fstat(descriptor).st_nlink > 1:
            raise _unsafe(path, "has another name too, by which others may reach it", "it must be no hard link")
        os.fchmod(descriptor, 0o600)  # one that was there may have been more open
    finally:
        os.close(descriptor)


def _unsafe(path: pathlib.Path, what: str, hint: str) -> SessionStoreError:
    return SessionStoreError(f"the session store {path} {what}", hint=hint, path=str(path))
