"""Sessions in Redis: shared by hosts on several machines. Each step is one Lua script, so it happens whole or not at all.

    <prefix>expiry          sorted set: session id -> when it expires, by the clock of the hosts
    <prefix>s:<id>          hash: created, last_used, ttl, metadata
    <prefix>p:<id>          hash: program id -> program

Hosts remove what has expired; Redis itself does so, later, for keys that no host sweeps any more.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from snakepit.errors import ConfigurationError, SessionStoreError

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

#: How long one answer of Redis may take (seconds).
_ANSWER_SECONDS = 5.0
#: How often `update` tries again when another host was faster.
_MAX_TRIES = 1_000

#: Every script begins with this. ARGV: prefix, now, then its own.
_HEAD = """
local prefix, now = ARGV[1], tonumber(ARGV[2])
local expiry = prefix .. 'expiry'
local function key(id) return prefix .. 's:' .. id end
local function programs(id) return prefix .. 'p:' .. id end
local function alive(id)
    local at = redis.call('ZSCORE', expiry, id)
    return at and tonumber(at) > now and redis.call('EXISTS', key(id)) == 1
end
local function drop(id) redis.call('DEL', key(id), programs(id)); return redis.call('ZREM', expiry, id) end
local function touch(id)
    local ttl = redis.call('HGET', key(id), 'ttl')
    redis.call('HSET', key(id), 'last_used', ARGV[2])
    redis.call('ZADD', expiry, string.format('%.6f', now + tonumber(ttl)), id)
    local later = math.ceil((2 * tonumber(ttl) + 3600) * 1000)
    redis.call('PEXPIRE', key(id), later)
    redis.call('PEXPIRE', programs(id), later)
end
local function info(id)
    local row = redis.call('HMGET', key(id), 'created', 'last_used', 'ttl', 'metadata')
    row[5], row[6] = redis.call('HLEN', programs(id)), id
    return row
end
local function count() return redis.call('ZCOUNT', expiry, '(' .. ARGV[2], '+inf') end
"""
_OPEN = """
local id = ARGV[3]
if alive(id) then
    if ARGV[7] == '1' then redis.call('HSET', key(id), 'ttl', ARGV[4]) end
    touch(id)
    return {0, info(id)}
end
local used = count()
if used >= tonumber(ARGV[6]) then return {-1} end
drop(id)
redis.call('HSET', key(id), 'created', ARGV[2], 'ttl', ARGV[4], 'metadata', ARGV[5])
touch(id)
return {used + 1, info(id)}
"""
_GET = "if alive(ARGV[3]) then return info(ARGV[3]) end return false"
_TOUCH = """
local gone = {}
for i = 3, #ARGV do if alive(ARGV[i]) then touch(ARGV[i]) else gone[#gone + 1] = ARGV[i] end end
return gone
"""
_GONE = """
local gone = {}
for i = 3, #ARGV, 2 do
    local id = ARGV[i]
    if not alive(id) or redis.call('HGET', key(id), 'created') ~= ARGV[i + 1] then gone[#gone + 1] = id end
end
return gone
"""
_SWAP = """
local id = ARGV[3]
if not alive(id) then return -1 end
if redis.call('HGET', key(id), 'metadata') ~= ARGV[4] then return 0 end
redis.call('HSET', key(id), 'metadata', ARGV[5])
touch(id)
return 1
"""
_DELETE = "local there = alive(ARGV[3]); drop(ARGV[3]); return {there and 1 or 0, count()}"
_EXPIRE = """
local ids = redis.call('ZRANGEBYSCORE', expiry, '-inf', ARGV[2], 'LIMIT', 0, 1000)
for _, id in ipairs(ids) do drop(id) end
return {ids, count()}
"""
_PUT = """
local id, program = ARGV[3], ARGV[4]
if not alive(id) then return -1 end
local used, known = redis.call('HLEN', programs(id)), redis.call('HEXISTS', programs(id), program)
if known == 0 and used >= tonumber(ARGV[6]) then return -2 end
redis.call('HSET', programs(id), program, ARGV[5])
touch(id)
return used + 1 - known
"""
_PROGRAM = """
local id = ARGV[3]
if not alive(id) then return {-1} end
local found = redis.call('HGET', programs(id), ARGV[4])
if found then return {1, found} end
return {0, redis.call('HKEYS', programs(id))}
"""
_FORGET = """
if not alive(ARGV[3]) then return {-1} end
return {redis.call('HDEL', programs(ARGV[3]), ARGV[4]), redis.call('HLEN', programs(ARGV[3]))}
"""
_PROGRAMS = "if alive(ARGV[3]) then return redis.call('HKEYS', programs(ARGV[3])) end return false"
_ALL = """
local rows = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiry, '(' .. ARGV[2], '+inf')) do
    if redis.call('EXISTS', key(id)) == 1 then rows[#rows + 1] = info(id) end
end
return rows
"""


class RedisSessionStore:
    """Sessions in a Redis server. May be used from several threads.

    Args:
        url: `redis://[user:password@]host:port/db`, `rediss://...` for TLS, `unix:///path`.
        limits: how much it holds, for all hosts together.
        clock: seconds since the epoch; hosts that share a server should agree on it.
        prefix: begins the names of all its keys.

    Raises:
        ConfigurationError: the package `redis` is missing, or the url is none.
        SessionStoreError: the server does not answer.
    """

    blocking = True

    def __init__(self, url: str, limits: Limits | None = None, clock: Clock = time.time, prefix: str = "snakepit:") -> None:
        try:
            import redis
        except ImportError as error:
            hint = "pip install 'snakepit-bridge[redis]'"
            raise ConfigurationError(f"session_store needs the package redis: {error}", hint=hint, field="session_store") from error
        self._errors = (redis.RedisError, OSError)
        self._limits = limits or Limits()
        self._clock = clock
        self._prefix = prefix
        self._pid = os.getpid()
        self._full = Fullness("sessions", "max_sessions")
        self._full_of_programs = Fullness("programs", "max_programs_per_session")
        try:
            self._redis: Any = redis.Redis.from_url(url, socket_timeout=_ANSWER_SECONDS, socket_connect_timeout=_ANSWER_SECONDS)
        except ValueError as error:
            raise ConfigurationError(f"session_store is no Redis url: {error}", field="session_store") from error
        self._scripts = {name: self._redis.register_script(_HEAD + text) for name, text in _SCRIPTS.items()}
        with self._told():
            self._redis.ping()

    def open(self, session_id: str, *, ttl: float, metadata: Mapping[str, Any] | None, set_ttl: bool = False) -> tuple[SessionInfo, bool]:
        """See `SessionStore`."""
        data = encode_metadata(metadata or {}, on_disk=True)
        limit, flag = self._limits.max_sessions, "1" if set_ttl else "0"
        code, *rest = self._run("open", check_session_id(session_id), repr(float(ttl)), data, limit, flag)
        if code < 0:
            raise too_many_sessions(session_id, self._limits)
        if code > 0:
            self._full.note("", code, self._limits.max_sessions)
        info = _info(rest[0])
        if code == 0 and metadata:
            info = self.update(session_id, lambda old: {**old, **metadata})
        return info, code > 0

    def get(self, session_id: str) -> SessionInfo | None:
        """See `SessionStore`."""
        row = self._run("get", session_id)
        return None if row is None else _info(row)

    def touch(self, session_ids: Iterable[str], /) -> set[str]:
        """See `SessionStore`."""
        return {item.decode() for item in self._run("touch", *session_ids)}

    def gone(self, sessions: Mapping[str, float], /) -> set[str]:
        """See `SessionStore`."""
        pairs = (text for session_id, created in sessions.items() for text in (session_id, repr(created)))
        return {item.decode() for item in self._run("gone", *pairs)}

    def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """See `SessionStore`."""
        for _ in range(_MAX_TRIES):
            row = self._run("get", session_id)
            if row is None:
                raise session_ended(session_id)
            old = row[3]
            swapped = self._run("swap", session_id, old, encode_metadata(change(decode(old)), on_disk=True))
            if swapped < 0:
                raise session_ended(session_id)
            if swapped:
                found = self.get(session_id)
                if found is None:
                    raise session_ended(session_id)
                return found
        raise SessionStoreError(f"session {session_id!r} was changed by others {_MAX_TRIES} times in a row", session_id=session_id)

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
        return [item.decode() for item in ids]

    def put_program(self, session_id: str, program_id: str, program: Any) -> None:
        """See `SessionStore`."""
        data = encode(program, f"program {check_program_id(program_id)!r}", on_disk=True)
        limit = self._limits.max_programs_per_session
        used = self._run("put", session_id, program_id, data, limit)
        if used == -1:
            raise session_ended(session_id)
        if used < 0:
            raise too_many_programs(session_id, program_id, self._limits)
        self._full_of_programs.note(session_id, used, limit)

    def get_program(self, session_id: str, program_id: str) -> Any:
        """See `SessionStore`."""
        code, *rest = self._run("program", session_id, program_id)
        if code < 0:
            raise session_ended(session_id)
        if code == 0:
            raise no_program(session_id, program_id, [item.decode() for item in rest[0]])
        return decode(rest[0])

    def delete_program(self, session_id: str, program_id: str) -> bool:
        """See `SessionStore`."""
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
        return tuple(sorted(item.decode() for item in found))

    def sessions(self) -> tuple[SessionInfo, ...]:
        """See `SessionStore`."""
        return tuple(map(_info, self._run("all")))

    def count(self) -> int:
        """See `SessionStore`."""
        with self._told():
            return int(self._redis.zcount(self._prefix + "expiry", f"({self._clock()!r}", "+inf"))

    def close(self) -> None:
        """Close the connections."""
        with self._told():
            self._redis.close()

    def _run(self, name: str, *args: Any) -> Any:
        with self._told():
            return self._scripts[name](args=(self._prefix, repr(float(self._clock())), *args))

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


_SCRIPTS = {
    "open": _OPEN,
    "get": _GET,
    "touch": _TOUCH,
    "gone": _GONE,
    "swap": _SWAP,
    "delete": _DELETE,
    "expire": _EXPIRE,
    "put": _PUT,
    "program": _PROGRAM,
    "forget": _FORGET,
    "programs": _PROGRAMS,
    "all": _ALL,
}


def _info(row: list[Any]) -> SessionInfo:
    created, last_used, ttl = (float(item) for item in row[:3])
    return SessionInfo(row[5].decode(), created, last_used, last_used + ttl, ttl, freeze(decode(row[3])), int(row[4]))
