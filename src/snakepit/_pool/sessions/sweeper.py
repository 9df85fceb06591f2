"""Keeps alive what is in use, and finds what has expired or was ended by another host. Asks the store in the background.

Lives on the engine's loop. One sweep at a time: the next begins a while after the store has answered, so that a slow store is
asked less often.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import math
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
        self._looks: dict[str, float] = {}  # when the others among them are looked at next, and some that have no open calls now
        self._heap: list[tuple[float, str]] = []  # of these
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
            soon = self._loop.time() + max(_MIN_PAUSE, entry.ttl * RENEW_SHARE)
            if self._timer is not None and self._timer.when() > soon:
                self._timer.cancel()
                self._timer = self._loop.call_at(soon, self._sweep)
        elif _renewal(entry) < self._looks.get(entry.id, math.inf):
            self._look_later(entry)

    def end(self, session_id: str) -> None:
        """A session has no open calls any more."""
        self._busy.pop(session_id, None)
        self._hasty.pop(session_id, None)
        if not self._busy:
            self._looks.clear()
            self._heap.clear()

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
        self._looks.clear()
        self._heap.clear()

    def _pause(self) -> float:
        shortest = min((entry.ttl for entry in self._hasty.values()), default=SWEEP_SECONDS / RENEW_SHARE)
        return max(_MIN_PAUSE, min(SWEEP_SECONDS, shortest * RENEW_SHARE))

    def _sweep(self) -> None:
        self._timer, self._asking = None, True
        now = self._loop.time()
        old = [item.id for item in self._hasty.values() if _renewal(item) <= now] + self._to_renew(now)
        due = {session_id for session_id in {*old, *self._used} if session_id in self._entries}
        self._used = set()
        for session_id in due:
            self._entries[session_id].touched = now
        full = now - self._full_at >= SWEEP_SECONDS * 0.9  # else it is for the hasty ones alone
        unsure: dict[str, float] = {}
        busy: dict[str, float] = {}
        expire = False
        if full:
            self._full_at = now
            expire, all_busy = self._looked_at_clock(now)
            busy = {item.id: item.created for item in (self._busy if all_busy else self._hasty).values() if item.id not in due}
            if self._access.shared:
                unsure = {item.id: item.created for item in self._entries.values() if now - item.confirmed > CONFIRM_SECONDS}
        ask = functools.partial(_swept, self._access.store, due, busy, unsure, self._ahead if expire else None)
        self._access.ask(ask, functools.partial(self._swept, due, busy, unsure))

    def _look_later(self, entry: Entry) -> None:
        when = self._looks[entry.id] = _renewal(entry)
        heapq.heappush(self._heap, (when, entry.id))

    def _to_renew(self, now: float) -> list[str]:
        """Of those with open calls, and a long lifetime, those that were not touched for a share of it: however many there are."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            when, session_id = heapq.heappop(self._heap)
            if self._looks.get(session_id) != when:  # there was a reason to look at it earlier
                continue
            del self._looks[session_id]
            entry = self._busy.get(session_id)
            if entry is not None and session_id not in self._hasty:
                if _renewal(entry) <= now:
                    found.append(session_id)
                    entry.touched = now
                self._look_later(entry)
        return found

    def _looked_at_clock(self, now: float) -> tuple[bool, bool]:
        """(what has expired may be removed, one of those with open calls may have ended or seem to have expired).

        If the clock has been set forward a moment ago, other hosts may have sessions that only seem to have expired. Where there are none,
        and it has not, those with open calls are there.
        """
        ahead = _ahead()
        jumped, self._ahead = ahead - self._ahead > JUMP_SECONDS, ahead
        if jumped and self._access.shared:
            self._spare_until = now + SPARE_SECONDS
        return now >= self._spare_until, jumped or self._access.shared

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


def _renewal(entry: Entry) -> float:
    """When the lifetime of a session with open calls is to begin anew."""
    return entry.touched + min(entry.ttl * RENEW_SHARE, RENEW_SECONDS)


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
