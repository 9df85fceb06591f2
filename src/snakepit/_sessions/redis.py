"""Sessions in Redis: shared by hosts on several machines. Each step is one Lua script, so it happens whole or not at all.

    <prefix>expiry          sorted set: session id -> when it expires, by the clock of the hosts
    <prefix>s:<id>          hash: created, last_used, ttl, metadata
    <prefix>p:<id>          hash: program id -> program

Hosts remove what has expired; Redis itself does so, later, for keys that no host sweeps any more.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from snakepit._setting_checks import check_ttl
from snakepit.errors import ConfigurationError, InvalidParameter, SessionStoreError
from snakepit_bridge.redaction import Redactor

from .guard import Guard
from .reading import Readable, damaged, metadata_of, picture, program_of
from .records import (
    MAX_TRIES,
    Clock,
    Limits,
    SessionInfo,
    changed_by_others,
    check_program_id,
    no_program,
    session_ended,
    too_many_programs,
    too_many_sessions,
    wall_clock,
)
from .redis_scripts import OF_ONE, SCRIPTS
from .redis_url import check_url, no_url
from .store import Fullness

#: How long one answer of Redis may take (seconds).
_ANSWER_SECONDS = 5.0


class RedisSessionStore:
    """Sessions in a Redis server. May be used from several threads.

    Args:
        url: `redis://[user:password@]host:port/db`, `rediss://...` for TLS, `unix:///path`.
        limits: how much it holds, for all hosts together.
        clock: seconds since the epoch; hosts that share a server should agree on it.
        prefix: begins the names of all its keys.
        redactor: what counts as a secret, and is refused.

    Attributes:
        guard: refuses secrets; a pool adds its own rules.

    Raises:
        ConfigurationError: the package `redis` is missing, or the url is none.
        SessionStoreError: the server does not answer.
    """

    blocking = True

    def __init__(
        self,
        url: str,
        limits: Limits | None = None,
        clock: Clock = wall_clock,
        prefix: str = "snakepit:",
        redactor: Redactor | None = None,
    ) -> None:
        try:
            import redis
        except ImportError as error:
            hint = "pip install 'snakepit-bridge[redis]'"
            raise ConfigurationError(f"session_store needs the package redis: {error}", hint=hint, field="session_store") from error
        self._errors = (redis.RedisError, OSError, UnicodeError)
        self.guard = Guard(redactor)
        self._limits = limits or Limits()
        self._clock = clock
        self._prefix = prefix
        self._pid = os.getpid()
        self._full = Fullness("sessions", "max_sessions")
        self._full_of_programs = Fullness("programs", "max_programs_per_session")
        self._readable = Readable()
        check_url(url)
        try:
            self._redis: Any = redis.Redis.from_url(url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS)
            self._scripts = {name: self._redis.register_script(text) for name, text in SCRIPTS.items()}
            with self._told():
                self._redis.ping()
        except (ValueError, TypeError):  # which may quote the password, or a part of it; so may its traceback
            problem = no_url("Redis cannot read it; is there an option behind '?' that it does not know?")
        else:
            return
        raise problem

    def open(self, session_id: str, *, ttl: float, metadata: Mapping[str, Any] | None, set_ttl: bool = False) -> tuple[SessionInfo, bool]:
        """See `SessionStore`."""
        self.guard.session_id(session_id)
        ttl = check_ttl("ttl", ttl, InvalidParameter)
        data = self.guard.encode_metadata(metadata or {})
        limit, flag = self._limits.max_sessions, "1" if set_ttl else "0"
        code, *rest = self._run("open", session_id, repr(ttl), data, limit, flag)
        if code < 0:
            raise too_many_sessions(session_id, self._limits)
        if code > 0:
            self._full.note("", code, self._limits.max_sessions)
            self._full_of_programs.forget(session_id)
        info = _info(rest[0])
        if code == 0 and metadata:
            info = self.update(session_id, lambda old: {**old, **metadata})
        return info, code > 0

    def get(self, session_id: str) -> SessionInfo | None:
        """See `SessionStore`."""
        row = self._run("get", session_id)
        return None if row is None else _info(row)

    def touch(self, session_ids: Iterable[str], /, *, lapsed: bool = False) -> set[str]:
        """See `SessionStore`."""
        return self._forgotten(self._run("touch", "1" if lapsed else "0", *session_ids))

    def gone(self, sessions: Mapping[str, float], /) -> set[str]:
        """See `SessionStore`."""
        pairs = (text for session_id, created in sessions.items() for text in (session_id, repr(created)))
        return self._forgotten(self._run("gone", *pairs))

    def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """See `SessionStore`."""
        for _ in range(MAX_TRIES):
            row = self._run("get", session_id)
            if row is None:
                raise session_ended(session_id)
            created, old = row[0], row[3]
            swapped, *rest = self._run("swap", session_id, old, created, self.guard.encode_metadata(change(metadata_of(session_id, old))))
            if swapped < 0:
                raise session_ended(session_id)
            if swapped:
                return _info(rest[0])
        raise changed_by_others(session_id)

    def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        there, left = self._run("delete", session_id)
        self._full.note("", left, self._limits.max_sessions)
        self._full_of_programs.forget(session_id)
        return bool(there)

    def expire(self) -> list[str]:
        """See `SessionStore`."""
        ids, left = self._run("expire")
        if ids:
            self._full.note("", left, self._limits.max_sessions)
        expired = _texts(ids)
        self._full_of_programs.forget(*expired)
        return expired

    def put_program(self, session_id: str, program_id: str, program: Any) -> None:
        """See `SessionStore`."""
        data = self.guard.encode(program, f"program {self.guard.program_id(program_id)!r}")
        limit = self._limits.max_programs_per_session
        used = self._run("put", session_id, program_id, data, limit)
        if used == -1:
            raise session_ended(session_id)
        if used < 0:
            raise too_many_programs(session_id, program_id, self._limits)
        self._full_of_programs.note(session_id, used, limit)

    def get_program(self, session_id: str, program_id: str) -> Any:
        """See `SessionStore`."""
        check_program_id(program_id)
        code, *rest = self._run("program", session_id, program_id)
        if code < 0:
            raise session_ended(session_id)
        if code == 0:
            raise no_program(session_id, program_id, _texts(rest[0]))
        return program_of(session_id, program_id, rest[0])

    def delete_program(self, session_id: str, program_id: str) -> bool:
        """See `SessionStore`."""
        check_program_id(program_id)
        there, *left = self._run("forget", session_id, program_id)
        if there < 0:
            raise session_ended(session_id)
        self._full_of_programs.note(session_id, left[0], self._limits.max_programs_per_session)
        return bool(there)

    def programs(self, session_id: str) -> tuple[str, ...]:
        """See `SessionStore`."""
        found = self._run("programs", session_id)
        if found is None:
            raise session_ended(session_id)
        return tuple(sorted(_texts(found)))

    def sessions(self) -> tuple[SessionInfo, ...]:
        """See `SessionStore`."""
        return self._readable.of(self._run("all"), _info)

    def count(self) -> int:
        """See `SessionStore`."""
        with self._told():
            return int(self._redis.zcount(self._prefix + "expiry", f"({self._clock()!r}", "+inf"))

    def close(self) -> None:
        """Close the connections."""
        with self._told():
            self._redis.close()

    def _forgotten(self, ids: list[bytes]) -> set[str]:
        gone = set(_texts(ids))
        self._full_of_programs.forget(*gone)
        return gone

    def _run(self, name: str, *args: Any) -> Any:
        with self._told():
            try:
                return self._scripts[name](args=(self._prefix, repr(float(self._clock())), *args))
            except self._errors as error:
                if name in OF_ONE and "WRONGTYPE" in str(error):
                    raise damaged(args[0], "what stands in its place, or its programs', is of another kind") from error
                raise

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        if os.getpid() != self._pid:  # the answers of parent and child would be mixed up
            message = f"this session store was opened by process {self._pid}, and this is its forked child"
            raise SessionStoreError(message, hint="open a store of its own in the child")
        try:
            yield
        except self._errors as error:
            hint = "does the server of session_store run, and may this host reach it?"
            raise SessionStoreError(f"Redis failed: {error}", hint=hint) from error


def _info(row: list[Any]) -> SessionInfo:
    created, last_used, ttl = map(_number, row[:3])
    expires = None if last_used is None or ttl is None else last_used + ttl
    return picture(_texts(row[5:])[0], created, last_used, expires, ttl, row[3], row[4])


def _number(kept: bytes | None) -> float | None:
    """None for what is none: others may have written it."""
    try:
        return None if kept is None else float(kept)
    except ValueError:
        return None


def _texts(kept: Iterable[bytes]) -> list[str]:
    """Ids. What others have written need not be UTF-8, and then harms what comes with it in no way."""
    return [item.decode("utf-8", "surrogateescape") for item in kept]
