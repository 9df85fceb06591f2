"""The session store of one process: everything costs the same however many sessions there are."""

from __future__ import annotations

import dataclasses
import heapq
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from snakepit._setting_checks import check_ttl
from snakepit.errors import InvalidParameter
from snakepit_bridge.frozen import freeze

from .records import (
    MAX_TRIES,
    Clock,
    Limits,
    SessionInfo,
    changed_by_others,
    check_program_id,
    check_session_id,
    decode,
    encode,
    encode_metadata,
    no_program,
    session_ended,
    too_many_programs,
    too_many_sessions,
    wall_clock,
)
from .store import WARN_AT, Fullness


@dataclasses.dataclass(slots=True)
class _Session:
    """One session. `due`: the moment its newest entry in the heap names."""

    created: float
    last_used: float
    ttl: float
    metadata: Mapping[str, Any]
    due: float = 0.0
    programs: dict[str, bytes] = dataclasses.field(default_factory=dict)


class MemorySessionStore:
    """Sessions in this process; they end with it. May be used from several threads, and shared by several pools.

    Args:
        limits: how much it holds.
        clock: seconds since the epoch.
    """

    blocking = False

    def __init__(self, limits: Limits | None = None, clock: Clock = wall_clock) -> None:
        self._limits = limits or Limits()
        self._clock = clock
        self._lock = threading.RLock()
        self._sessions: dict[str, _Session] = {}
        self._heap: list[tuple[float, str]] = []  # (when to look, id): at most one entry per session that counts
        self._removed: dict[str, None] = {}  # expired and removed on the way; `expire` has yet to tell of them
        self._full = Fullness("sessions", "max_sessions")
        self._full_of_programs = Fullness("programs", "max_programs_per_session")

    def open(self, session_id: str, *, ttl: float, metadata: Mapping[str, Any] | None, set_ttl: bool = False) -> tuple[SessionInfo, bool]:
        """See `SessionStore`."""
        check_session_id(session_id)
        ttl = check_ttl("ttl", ttl, InvalidParameter)
        given = decode(encode_metadata(metadata)) if metadata else {}
        with self._lock:
            now = self._clock()
            session = self._alive(session_id, now)
            if session is not None:
                self._use(session_id, session, now)
                if set_ttl:
                    self._set_ttl(session_id, session, ttl)
                if given:
                    session.metadata = freeze({**session.metadata, **given})
                return self._info(session_id, session), False
            if len(self._sessions) + 1 >= WARN_AT * self._limits.max_sessions:  # those that have expired do not count
                self._removed.update(dict.fromkeys(self._remove_expired(now)))
                if len(self._sessions) >= self._limits.max_sessions:
                    raise too_many_sessions(session_id, self._limits)
            session = self._sessions[session_id] = _Session(now, now, ttl, freeze(given), now + ttl)
            self._removed.pop(session_id, None)
            self._full_of_programs.forget(session_id)
            heapq.heappush(self._heap, (session.due, session_id))
            self._full.note("", len(self._sessions), self._limits.max_sessions)
            return self._info(session_id, session), True

    def get(self, session_id: str) -> SessionInfo | None:
        """See `SessionStore`."""
        with self._lock:
            session = self._alive(session_id, self._clock())
            return None if session is None else self._info(session_id, session)

    def touch(self, session_ids: Iterable[str], /, *, lapsed: bool = False) -> set[str]:
        """See `SessionStore`."""
        gone = set()
        with self._lock:
            now = self._clock()
            for session_id in session_ids:
                session = self._sessions.get(session_id) if lapsed else self._alive(session_id, now)
                if session is None:
                    gone.add(session_id)
                else:
                    self._use(session_id, session, now)
        return gone

    def gone(self, sessions: Mapping[str, float], /) -> set[str]:
        """See `SessionStore`."""
        with self._lock:
            now = self._clock()
            alive = {session_id: self._alive(session_id, now) for session_id in sessions}
            return {session_id for session_id, found in alive.items() if found is None or found.created != sessions[session_id]}

    def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """See `SessionStore`."""
        for _ in range(MAX_TRIES):
            metadata = self._there(session_id).metadata
            changed = freeze(decode(encode_metadata(change(_copy(metadata)))))  # outside the lock: it is the user's code
            with self._lock:
                session = self._there(session_id)
                if session.metadata is metadata:
                    session.metadata = changed
                    self._use(session_id, session, self._clock())
                    return self._info(session_id, session)
        raise changed_by_others(session_id)

    def delete(self, session_id: str) -> bool:
        """See `SessionStore`."""
        with self._lock:
            alive = self._alive(session_id, self._clock()) is not None
            self._drop(session_id)
            return alive

    def expire(self) -> list[str]:
        """See `SessionStore`."""
        with self._lock:
            expired = [*self._removed, *self._remove_expired(self._clock())]
            self._removed.clear()
            return expired

    def put_program(self, session_id: str, program_id: str, program: Any) -> None:
        """See `SessionStore`."""
        data = encode(program, f"program {check_program_id(program_id)!r}")
        with self._lock:
            session = self._there(session_id)
            programs = session.programs
            if program_id not in programs and len(programs) >= self._limits.max_programs_per_session:
                raise too_many_programs(session_id, program_id, self._limits)
            programs[program_id] = data
            self._use(session_id, session, self._clock())
            self._full_of_programs.note(session_id, len(programs), self._limits.max_programs_per_session)

    def get_program(self, session_id: str, program_id: str) -> Any:
        """See `SessionStore`."""
        check_program_id(program_id)
        with self._lock:
            programs = self._there(session_id).programs
            if program_id not in programs:
                raise no_program(session_id, program_id, programs)
            return decode(programs[program_id])

    def delete_program(self, session_id: str, program_id: str) -> bool:
        """See `SessionStore`."""
        check_program_id(program_id)
        with self._lock:
            programs = self._there(session_id).programs
            there = programs.pop(program_id, None) is not None
            self._full_of_programs.note(session_id, len(programs), self._limits.max_programs_per_session)
            return there

    def programs(self, session_id: str) -> tuple[str, ...]:
        """See `SessionStore`."""
        with self._lock:
            return tuple(sorted(self._there(session_id).programs))

    def sessions(self) -> tuple[SessionInfo, ...]:
        """See `SessionStore`."""
        with self._lock:
            now = self._clock()
            return tuple(self._info(key, item) for key, item in self._sessions.items() if item.last_used + item.ttl > now)

    def count(self) -> int:
        """See `SessionStore`."""
        with self._lock:
            self._removed.update(dict.fromkeys(self._remove_expired(self._clock())))
            return len(self._sessions)

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._sessions.clear()
            self._heap.clear()
            self._removed.clear()

    def _alive(self, session_id: str, now: float) -> _Session | None:
        session = self._sessions.get(session_id)
        return session if session is not None and session.last_used + session.ttl > now else None

    def _there(self, session_id: str) -> _Session:
        session = self._alive(session_id, self._clock())
        if session is None:
            raise session_ended(session_id)
        return session

    def _drop(self, session_id: str) -> None:
        if self._sessions.pop(session_id, None) is not None:
            self._full.note("", len(self._sessions), self._limits.max_sessions)
            self._full_of_programs.forget(session_id)
        self._tidy()

    def _use(self, session_id: str, session: _Session, now: float) -> None:
        back = now < session.last_used  # the clock was put back
        session.last_used = now
        if back:
            self._set_ttl(session_id, session, session.ttl)

    def _set_ttl(self, session_id: str, session: _Session, ttl: float) -> None:
        session.ttl = ttl
        due = session.last_used + ttl
        if due < session.due:  # else it is looked at in time anyway
            session.due = due
            heapq.heappush(self._heap, (due, session_id))
            self._tidy()

    def _tidy(self) -> None:
        if len(self._heap) > 2 * len(self._sessions) + 64:  # most of it speaks of sessions that were ended, or are due earlier
            self._heap = [(item.due, key) for key, item in self._sessions.items()]
            heapq.heapify(self._heap)

    def _remove_expired(self, now: float) -> list[str]:
        """Look at those whose time may have come: touching does not move them in the heap, looking does."""
        expired = []
        while self._heap and self._heap[0][0] <= now:
            due, session_id = heapq.heappop(self._heap)
            session = self._sessions.get(session_id)
            if session is None or session.due != due:
                continue  # ended, and perhaps made anew; or with a shorter ttl, and looked at already
            session.due = session.last_used + session.ttl
            if session.due <= now:
                expired.append(session_id)
                self._drop(session_id)
            else:
                heapq.heappush(self._heap, (session.due, session_id))
        return expired

    def _info(self, session_id: str, session: _Session) -> SessionInfo:
        used, ttl = session.last_used, session.ttl
        # A copy, so that nothing that is done to what was given out reaches the store.
        return SessionInfo(session_id, session.created, used, used + ttl, ttl, freeze(session.metadata), len(session.programs))


def _copy(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return decode(encode(metadata, "metadata"))  # type: ignore[no-any-return]
