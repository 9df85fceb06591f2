"""The SQLite file of a session store: where it lies, that nobody else can read it, and its tables.

sessions.db in a directory of its owner alone (0700)       is the file
sessions.db in any other, such as a project's              sessions.db.d/sessions.db, in a directory made for it
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import stat
import time

from snakepit.errors import SessionStoreError

#: How long a step waits for another host's (seconds).
BUSY_SECONDS = 5.0

#: How often a file that SQLite cannot read is looked at, and how long between (seconds).
_LOOKS, _LOOK_SECONDS = 5, 0.01

#: `user_version` of files with these tables.
_VERSION = 1
_COLUMNS = {
    "sessions": {"id", "created", "last_used", "ttl", "expires", "metadata"},
    "programs": {"session_id", "id", "program"},
    "totals": {"name", "value"},
}
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
        SessionStoreError: it is a link, another program's, or of another version of this library; nothing of it has changed then.
        sqlite3.Error, OSError: it cannot be opened, or is no database.
    """
    _make(path)
    _look(path)
    path.chmod(0o600)  # one that was there may have been more open
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.text_factory = _text
        _keep_a_log(db)
        db.executescript("PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;")
        if _is_empty(db, path):  # else nothing is written, and no other host has to wait
            db.executescript(_SCHEMA)
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


# The file is never opened here, but by SQLite alone: closing any descriptor of it would drop the locks by which SQLite tells other
# hosts that this process uses it. They would take the log away under it, and what is kept from then on would be lost.


def _make(path: pathlib.Path) -> None:
    """An empty file of its owner alone, if there is none."""
    with contextlib.suppress(FileExistsError):
        try:
            os.mknod(path, stat.S_IFREG | 0o600)
        except PermissionError:  # where that is for root alone: nobody has locks on a file that is new
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _look(path: pathlib.Path) -> None:
    """Refuse what is not ours, before anything of it is changed."""
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise _unsafe(path, "is a symbolic link", "name the file itself")
    if not stat.S_ISREG(found.st_mode):
        raise _unsafe(path, "is no file", "name a file, which is made if there is none")
    if found.st_nlink > 1:
        raise _unsafe(path, "has another name too, by which others may reach it", "it must be no hard link")
    for tries_left in reversed(range(_LOOKS)):
        try:
            with contextlib.closing(sqlite3.connect(_only_to_read(path), uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as db:
                db.text_factory = _text
                _is_empty(db, path)
        except (sqlite3.Error, UnicodeDecodeError):  # another host may be making it
            if not tries_left:
                raise
            time.sleep(_LOOK_SECONDS)
        else:
            return


def _only_to_read(path: pathlib.Path) -> str:
    """Without a log beside it all is in the file, which is read without locks: SQLite would make a log to read one that had it."""
    log = path.with_name(path.name + "-wal")
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size:
            return path.as_uri() + "?mode=ro"
    return path.as_uri() + "?mode=ro&immutable=1"


def _is_empty(db: sqlite3.Connection, path: pathlib.Path) -> bool:
    """Is it a database without anything, of which a store can be made? Reads only.

    Raises:
        SessionStoreError: it is neither that nor a store.
    """
    db.execute("BEGIN")  # what is read is of one moment: another host may be making its tables
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        columns = {table: {name for (name,) in db.execute("SELECT name FROM pragma_table_info(?)", (table,))} for table in _COLUMNS}
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
    if version not in (0, _VERSION) and (not names or names >= _COLUMNS.keys()):
        raise _unsafe(path, f"has version {version}; this library reads {_VERSION}", "is it a session store, and made by this version?")
    if not names and version == 0:
        return True
    if version != _VERSION or not all(columns[table] >= ours for table, ours in _COLUMNS.items()):
        raise _unsafe(path, "is a database of another program", "name a file of its own for the sessions")
    return False


def _text(data: bytes) -> str:
    """What others have written need not be UTF-8, and then harms what is read with it in no way."""
    return data.decode("utf-8", "surrogateescape")


def _unsafe(path: pathlib.Path, what: str, hint: str) -> SessionStoreError:
    return SessionStoreError(f"the session store {path} {what}", hint=hint, path=str(path))
