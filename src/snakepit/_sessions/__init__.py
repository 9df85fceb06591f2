"""Where sessions are kept: memory, an SQLite file, Redis, behind one protocol. Below the pool, which decides what they mean."""

from __future__ import annotations

import pathlib
from typing import Any

from snakepit._setting_checks import without_password
from snakepit.errors import ConfigurationError
from snakepit_bridge.redaction import DEFAULT, Redactor

from .guard import Guard
from .memory import MemorySessionStore
from .records import Limits
from .store import SessionStore

_ALLOWED = 'None (memory), "sqlite:///path/to/file.db", "redis://host:port/db", or an object with the methods of SessionStore'


def open_store(setting: Any, limits: Limits, redactor: Redactor = DEFAULT) -> SessionStore:
    """The store that a pool's setting names.

    Args:
        limits: how much it holds.
        redactor: the pool's; what it finds is kept by no store that outlives the process.

    Raises:
        ConfigurationError: it names none, or the library it needs is missing.
        SessionStoreError: it cannot be opened.
    """
    if setting is None or setting == "memory":
        return MemorySessionStore(limits)
    if isinstance(setting, pathlib.Path):
        return _sqlite(setting, limits, redactor)
    if isinstance(setting, str):
        scheme, separator, rest = setting.partition("://")
        if separator and scheme == "sqlite" and len(rest) > 1:
            return _sqlite(pathlib.Path(rest.removeprefix("/")), limits, redactor)
        if separator and scheme in ("redis", "rediss", "unix"):
            from .redis import RedisSessionStore

            return RedisSessionStore(setting, limits, redactor=redactor)
    elif isinstance(setting, SessionStore) and not isinstance(setting, type):
        guard = getattr(setting, "guard", None)
        if isinstance(guard, Guard):
            guard.add(redactor)
        return setting
    shown = without_password(repr(setting)) if isinstance(setting, str) else f"a {type(setting).__name__}"
    raise ConfigurationError(f"session_store is {shown}; allowed is {_ALLOWED}", field="session_store")


def _sqlite(path: pathlib.Path, limits: Limits, redactor: Redactor) -> SessionStore:
    from .sqlite import SQLiteSessionStore

    return SQLiteSessionStore(path, limits, redactor=redactor)
