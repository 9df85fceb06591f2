"""Keeps a pool's sessions: opens and ends them, lets their calls in, notices expiry and loss, tells the workers.

Lives on the engine's loop. Where calls run is the scheduler's business; the Keeper binds and unbinds there.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from snakepit._pool.call import Call
from snakepit._sessions.records import SessionInfo
from snakepit._sessions.store import SessionStore
from snakepit.errors import SessionEnded, SnakepitError
from snakepit.telemetry.logs import library_logger

from .access import StoreAccess
from .entry import Entry, Loss

_log = library_logger("snakepit.sessions")

#: How often expiry is looked for (seconds): an expired session's state leaves its workers within 1 s.
SWEEP_SECONDS = 0.25
#: A store that does I/O is asked again for a session after this long (seconds).
CHECK_SECONDS = 1.0


class Seats(Protocol):
    """What the Keeper asks of the scheduler."""

    def bound_to(self, session: str, /) -> str: ...

    def unbind(self, session: str, /) -> None: ...


class Keeper:
    """The sessions of one pool.

    Args:
        seats: the scheduler.
        ttl: lifetime of sessions that are opened by a call (seconds).
        let_go: called with (session id, ids of workers that hold state of it, reason) when that state is of no more use.
        over: called with the id of a session that is over.
        cancel: called with (call, reason, error) for each open call of a session that ends.
    """

    def __init__(
        self,
        access: StoreAccess,
        seats: Seats,
        ttl: float,
        let_go: Callable[[str, Iterable[str], str], None],
        over: Callable[[str], None],
        cancel: Callable[[Call, str, SnakepitError], None],
    ) -> None:
        self._access = access
        self._seats = seats
        self._ttl = ttl
        self._let_go = let_go
        self._told_over = over
        self._cancel = cancel
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, Entry] = {}
        self._busy: dict[str, Entry] = {}  # those with open calls
        self._late: set[str] = set()  # used since the last sweep; a store that does I/O is told then
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    # Calls ------------------------------------------------------------------------------------------------------------------

    def admit(self, call: Call, go: Callable[[Call], None], refuse: Callable[[Call, Exception], None]) -> None:
        """Find or open the session of a call, then `go`; or `refuse` with the reason. At once, unless the store does I/O."""
        entry = self._entries.get(call.session_id)
        now = self._loop.time()
        if entry is not None and self._access.blocking and now - entry.read < CHECK_SECONDS:
            self._late.add(entry.id)
            self._enter(entry, call, go, refuse)
            return

        def opened(answer: tuple[SessionInfo, bool] | None, error: Exception | None) -> None:
            if error is not None:
                refuse(call, error)
            elif answer is None:
                self._over(call.session_id, "ended")
                refuse(call, ended(call.session_id))
            elif not call.over:
                self._enter(self._note(*answer), call, go, refuse)

        if entry is not None and not self._access.blocking:
            gone = self._access.store.touch((entry.id,))  # the way of nearly every call
            if not gone:
                entry.touched = now
                self._enter(entry, call, go, refuse)
                return
            self._over(entry.id, "expired")
        self._access.ask(functools.partial(self._open_for, call), opened)

    def left(self, call: Call) -> None:
        """A call of a session is no longer open: its lifetime begins anew."""
        entry = self._entries.get(call.session_id)
        if entry is None or entry.calls.pop(call.id, None) is None:
            return
        if not entry.calls:
            self._busy.pop(entry.id, None)
        if self._access.blocking:
            self._late.add(entry.id)
        else:
            self._access.store.touch((entry.id,))

    def options(self, call: Call, moved_from: str) -> dict[str, Any]:
        """What a call that goes to its worker tells of its session; the call notes where the session came from, if it moved."""
        entry = self._entries[call.session_id]
        call.moved = entry.move(moved_from)
        told = entry.options(call.worker_id)
        if call.affinity != "hint":  # its state is the conversation itself: what it left elsewhere must not come back
            self._drop_copies(entry, "it went on elsewhere")
        return told

    def not_sent(self, call: Call) -> None:
        """A call did not reach its worker after all, and neither did what it was to tell of its session."""
        entry = self._entries.get(call.session_id)
        if entry is not None:
            entry.not_told(call.worker_id)

    def keep_snapshot(self, call: Call, snapshot: dict[str, Any] | None) -> None:
        """A call has brought the newest snapshot of its session; None: it could not be made, and older ones are out of date."""
        entry = self._entries.get(call.session_id)
        if entry is not None and entry.home == call.worker_id:
            entry.snapshot, entry.unrestored = snapshot, False

    def not_restored(self, call: Call) -> None:
        """The snapshot of a call's session was refused by the adapter; its calls fail until it succeeds, or is given up."""
        entry = self._entries.get(call.session_id)
        if entry is not None and entry.home == call.worker_id:
            entry.unrestored = True

    def is_recoverable(self, session_id: str) -> bool:
        """Can the session go on elsewhere?"""
        entry = self._entries.get(session_id)
        return entry is not None and entry.snapshot is not None

    def worker_lost(self, worker_id: str, sessions: Iterable[str], reason: str) -> None:
        """A worker is gone, or about to go, and these sessions were bound to it."""
        loss = Loss.now(worker_id, reason)
        for session_id in sessions:
            entry = self._entries.get(session_id)
            if entry is not None:
                entry.lost(loss)
        for entry in self._entries.values():
            entry.worker_gone(worker_id)

    def loss_of(self, session_id: str) -> SnakepitError:
        """The error for a strict call whose worker is gone."""
        entry = self._entries.get(session_id)
        return entry.loss.error(session_id) if entry is not None and entry.loss is not None else ended(session_id)

    # Sessions ---------------------------------------------------------------------------------------------------------------

    async def open(self, session_id: str, ttl: float | None, metadata: Mapping[str, Any] | None) -> tuple[SessionInfo, bool]:
        """Find or open a session: (what it is, was it opened now?). Raises what the store raises."""
        store, seconds = self._access.store, self._ttl if ttl is None else ttl
        info, created = await self._access.answer(lambda: store.open(session_id, ttl=seconds, metadata=metadata, set_ttl=ttl is not None))
        self._note(info, created)
        return self._seen(info), created

    async def touch(self, session_id: str) -> bool:
        """Begin a session's lifetime anew; False if it is over."""
        if await self._access.answer(lambda: self._access.store.touch((session_id,))):
            self._over(session_id, "expired")
            return False
        return True

    async def end(self, session_id: str) -> bool:
        """End a session; False if there was none."""
        there = await self._access.answer(lambda: self._access.store.delete(session_id))
        self._over(session_id, "ended")
        return there

    async def rebind(self, session_id: str) -> bool:
        """Let a session whose state is lost, or could not be restored, go on with an empty one.

        False if it is neither, or this pool knows none of that id: then nothing changes.
        """
        entry = self._entries.get(session_id)
        if entry is None or not entry.forget_state():
            return False
        self._drop_copies(entry, "it begins anew")
        return True

    async def info(self, session_id: str) -> SessionInfo | None:
        """A session as it is now; None if there is none."""
        info = await self._access.answer(lambda: self._access.store.get(session_id))
        return None if info is None else self._seen(info)

    async def all(self) -> tuple[SessionInfo, ...]:
        """All sessions of the store."""
        return tuple(map(self._seen, await self._access.answer(self._access.store.sessions)))

    async def update(self, session_id: str, change: Callable[[dict[str, Any]], Mapping[str, Any]]) -> SessionInfo:
        """Change a session's metadata in one step; its next call brings the change to the worker."""
        info = await self._access.answer(lambda: self._access.store.update(session_id, change), on_thread=True)
        self._note(info, created=False)
        return self._seen(info)

    async def ask(self, method: str, *args: Any) -> Any:
        """Ask the store by the name of a method: programs, counts."""
        return await self._access.answer(functools.partial(getattr(self._access.store, method), *args))

    async def close(self) -> None:
        """The pool ends: what is in the store stays there, if it outlives the host."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        self._entries.clear()
        self._busy.clear()
        await self._access.close()

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _open_for(self, call: Call) -> tuple[SessionInfo, bool] | None:
        store = self._access.store
        if call.session_must_exist:
            info = store.get(call.session_id)
            if info is None or store.touch((call.session_id,)):
                return None
            return info, False
        return store.open(call.session_id, ttl=self._ttl, metadata=None)

    def _enter(self, entry: Entry, call: Call, go: Callable[[Call], None], refuse: Callable[[Call, Exception], None]) -> None:
        if entry.loss is not None and call.affinity != "hint":
            refuse(call, entry.loss.error(entry.id))
            return
        entry.calls[call.id] = call
        self._busy[entry.id] = entry
        go(call)

    def _note(self, info: SessionInfo, created: bool) -> Entry:
        if created and info.id in self._entries:
            self._over(info.id, "expired")  # and was opened anew, by this call
        now = self._loop.time()
        entry = self._entries.get(info.id)
        if entry is None:
            entry = self._entries[info.id] = Entry(info.id, info.metadata, info.ttl, now, now, now)
            if self._timer is None:
                self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)
        else:
            entry.renew(info.metadata, info.ttl, now)
            entry.touched = now
        return entry

    def _seen(self, info: SessionInfo) -> SessionInfo:
        entry = self._entries.get(info.id)
        bound = self._seats.bound_to(info.id)
        state = "bound" if bound else "lost" if entry is not None and entry.loss is not None else "unbound"
        return dataclasses.replace(info, worker_id=bound, state=state)

    def _over(self, session_id: str, reason: str) -> None:
        """Forget a session here: its open calls are cancelled, its state leaves the workers."""
        entry = self._entries.pop(session_id, None)
        if entry is None:
            return
        self._busy.pop(session_id, None)
        for call in list(entry.calls.values()):
            self._cancel(call, f"session {session_id!r} {reason}", ended(session_id))
        # After the cancels: no call of it may reach a worker behind the word that it is over.
        self._seats.unbind(session_id)
        self._told_over(session_id)
        self._let_go(session_id, tuple(entry.holders), reason)

    def _drop_copies(self, entry: Entry, reason: str) -> None:
        """All but the newest state of a session leave their workers. A call that runs on one keeps it until it ends."""
        copies = entry.take_copies()
        if copies:
            self._let_go(entry.id, copies, reason)

    def _sweep(self) -> None:
        """Keep alive what is in use, and end what has expired. One at a time; the next begins when this has been answered."""
        self._timer = None
        now = self._loop.time()
        due = {entry.id for entry in self._busy.values() if now - entry.touched > min(entry.ttl / 4, 60.0)} | self._late
        self._late = set()
        for session_id in due:
            if session_id in self._entries:
                self._entries[session_id].touched = now
        # What another host has ended is noticed by asking for all that has not been confirmed lately.
        old = [entry.id for entry in self._entries.values() if now - entry.confirmed > CHECK_SECONDS / 2] if self._access.blocking else []
        self._access.ask(functools.partial(_swept, self._access.store, due, old), functools.partial(self._swept, {*due, *old}))

    def _swept(self, asked: set[str], answer: tuple[set[str], list[str]] | None, error: Exception | None) -> None:
        if error is not None:
            _log.warning("the session store does not answer: %s", error)
        elif answer is not None:
            gone, expired = answer
            now = self._loop.time()
            for session_id in asked - gone:
                if session_id in self._entries:
                    self._entries[session_id].confirmed = now
            for session_id in {*gone, *expired}:
                self._over(session_id, "expired")
        if self._entries and not self._closed:
            self._timer = self._loop.call_later(SWEEP_SECONDS, self._sweep)


def ended(session_id: str) -> SessionEnded:
    """A call names a session that is over."""
    hint = "open it anew with pool.session(...); its lifetime without calls is its ttl"
    return SessionEnded(f"session {session_id!r} was ended, or its lifetime is over", hint=hint, session_id=session_id)


def _swept(store: SessionStore, due: set[str], old: list[str]) -> tuple[set[str], list[str]]:
    gone = store.touch(due) if due else set()
    return gone | (store.gone(old) if old else set()), store.expire()
