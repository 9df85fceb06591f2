"""Keeps alive what is in use, and finds what has expired or was ended by another host. Asks the store in the background.

Lives on the engine's loop. One sweep at a time: the next begins a while after the store has answered, so that a slow store is
asked less often.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Mapping

from snakepit._sessions.store import SessionStore
from snakepit.telemetry.logs import library_logger

from .access import StoreAccess
from .entry import Entry

_log = library_logger("snakepit.sessions")

#: How often expiry is looked for (seconds): an expired session's state leaves its workers within 1 s.
SWEEP_SECONDS = 0.25
#: That a session is there still is asked after this long, where others may end it (seconds).
CONFIRM_SECONDS = 0.5
#: The lifetime of a session with open calls begins anew after this share of it, or this long (seconds).
RENEW_SHARE, RENEW_SECONDS = 0.25, 60.0
#: Where hosts share a store they renew first what they use, when the clock has been set forward by so much: nothing is removed for so
#: long (seconds). Each of them notices it with its next sweep.
JUMP_SECONDS, SPARE_SECONDS = 0.1, 0.6
#: Between two sweeps, however short the lifetime of a session with open calls is (seconds).
_MIN_PAUSE = 0.005


class Sweeper:
    """The background work for a pool's sessions.

    Args:
        entries: the sessions that the pool knows, by id; the Keeper's own.
        over: called with (session id, reason) for each that is found to be over.
    """

    def __init__(self, access: StoreAccess, entries: Mapping[str, Entry], over: Callable[[str, str], None]) -> None:
        self._access = access
        self._entries = entries
        self._over = over
        self._loop = asyncio.get_running_loop()
        # The mutable state.
        self._busy: dict[str, Entry] = {}  # those with open calls
        self._hasty: dict[str, Entry] = {}  # those among them that would expire between two sweeps
        self._used: set[str] = set()  # used since the store was last told
        self._full_at = 0.0  # when the last sweep looked at everything
        self._ahead = _ahead()
        self._spare_until = 0.0  # the loop's clock
        self._down = False  # the store did not answer, and this has been told
        self._asking = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """There is a session: sweep from now on, as long as there are any."""
        if self._timer is None and not self._asking and not self._closed:
            self._timer = self._loop.call_later(self._pause(), self._sweep)

    def begin(self, entry: Entry) -> None:
        """A session has open calls from now on: it does not expire."""
        self._busy[entry.id] = entry
        if entry.ttl * RENEW_SHARE < SWEEP_SECONDS:
            self._hasty[entry.id] = entry
            if self._timer is not None and self._timer.when() > self._loop.time() + self._pause():
                self._timer.cancel()
                self._timer = None
                self.watch()

    def end(self, session_id: str) -> None:
        """A session has no open calls any more."""
        self._busy.pop(session_id, None)
        self._hasty.pop(session_id, None)

    def used(self, session_id: str) -> None:
        """A session was used, and the store has not been told: the next sweep does that."""
        self._used.add(session_id)

    def close(self) -> None:
        """No more sweeps."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._busy.clear()
        self._hasty.clear()

    def _pause(self) -> float:
        shortest = min((entry.ttl for entry in self._hasty.values()), default=SWEEP_SECONDS / RENEW_SHARE)
        return max(_MIN_PAUSE, min(SWEEP_SECONDS, shortest * RENEW_SHARE))

    def _sweep(self) -> None:
        self._timer, self._asking = None, True
        now = self._loop.time()
        old = [item.id for item in self._busy.values() if now - item.touched >= min(item.ttl * RENEW_SHARE, RENEW_SECONDS)]
        due = {session_id for session_id in {*old, *self._used} if session_id in self._entries}
        self._used = set()
        for session_id in due:
            self._entries[session_id].touched = now
        full = now - self._full_at >= SWEEP_SECONDS * 0.9  # else it is for the hasty ones alone
        unsure: dict[str, float] = {}
        busy: dict[str, float] = {}
        if full:
            self._full_at = now
            busy = {item.id: item.created for item in self._busy.values() if item.id not in due}
            if self._access.shared:
                unsure = {item.id: item.created for item in self._entries.values() if now - item.confirmed > CONFIRM_SECONDS}
        expire = full and not self._spares(now)
        ask = functools.partial(_swept, self._access.store, due, busy, unsure, self._ahead if expire else None)
        self._access.ask(ask, functools.partial(self._swept, due, busy, unsure))

    def _spares(self, now: float) -> bool:
        """Has the clock been set forward a moment ago, and may other hosts have sessions that only seem to have expired?"""
        ahead = _ahead()
        if ahead - self._ahead > JUMP_SECONDS and self._access.shared:
            self._spare_until = now + SPARE_SECONDS
        self._ahead = ahead
        return now < self._spare_until

    def _swept(
        self,
        due: set[str],
        busy: Mapping[str, float],
        unsure: Mapping[str, float],
        answer: tuple[set[str], set[str]] | None,
        error: Exception | None,
    ) -> None:
        self._asking = False
        if self._closed:
            return
        if error is not None:
            self._used |= due  # the store has not been told of them after all
            if not self._down:
                _log.warning("the session store does not answer, and is asked again until it does: %s", error)
            self._down = True
        elif answer is not None:
            if self._down:
                _log.warning("the session store answers again")
            self._down = False
            gone, others = answer
            for session_id in gone:
                self._over(session_id, "expired")
            self._confirm(busy, unsure, others)
        if self._entries:
            self.watch()

    def _confirm(self, busy: Mapping[str, float], unsure: Mapping[str, float], others: set[str]) -> None:
        """Of the sessions that were asked after, these are not there any more, at least not as they were."""
        now = self._loop.time()
        for session_id, created in {**busy, **unsure}.items():
            entry = self._entries.get(session_id)
            if entry is None or entry.created != created:  # it was opened anew meanwhile
                continue
            if session_id in others and session_id not in busy and (entry.calls or session_id in self._used):
                self._used.add(session_id)  # since then it is in use, and may only seem to have expired: the next sweep tells
            elif session_id in others:
                self._over(session_id, "ended")
            elif session_id in unsure:
                entry.confirmed = now


def _swept(
    store: SessionStore, due: set[str], busy: Mapping[str, float], unsure: Mapping[str, float], ahead: float | None
) -> tuple[set[str], set[str]]:
    """(sessions that have expired, sessions that are not what they were). First what is in use: that must not be found expired.

    Args:
        ahead: how far the clock was ahead when this was to be asked. None: remove nothing.
    """
    gone = store.touch(due, lapsed=True) if due else set()
    others = store.gone(busy) if busy else set()  # those that were ended; or all, if the clock was set forward
    if others:
        others = store.touch(others, lapsed=True)
    if ahead is not None and _ahead() - ahead < JUMP_SECONDS:  # else the next sweep does, when it knows what is in use by then
        gone |= set(store.expire())
    return gone, others | store.gone(unsure) if unsure else others


def _ahead() -> float:
    """How far the clock is ahead of the one that nobody sets, and that stands still with the machine (seconds)."""
    return time.time() - time.monotonic()
