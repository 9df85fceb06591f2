"""Keeps a pool's sessions: opens and ends them, lets their calls in, notices loss, tells the workers. The Sweeper notices expiry.

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
from snakepit.errors import SessionEnded, SnakepitError
from snakepit_bridge.frozen import freeze

from . import changes
from .access import StoreAccess
from .entry import Entry, Loss
from .sweeper import Sweeper

_Go = Callable[[Call], None]
_Refuse = Callable[[Call, Exception], None]

#: A store that does I/O is asked again for a session after this long (seconds).
CHECK_SECONDS = 1.0


class Seats(Protocol):
    """What the Keeper asks of the scheduler."""

    def bound_to(self, session: str, /) -> str: ...

    def unbind(self, session: str, /) -> None: ...

    def withdraw(self, call_id: int, /) -> bool: ...


class Keeper:
    """The sessions of one pool.

    Args:
        seats: the scheduler.
        ttl: lifetime of sessions that are opened by a call (seconds).
        let_go: called with (session id, ids of workers that hold state of it, reason) when that state is of no more use.
        over: called with the id of a session that is over, also of one that this pool has made no use of.
        cancel: called with (call, reason, error) for each open call of a session that ends.

    Attributes:
        changed: called with the open calls of a session whose metadata has changed: those that have not begun are to see that.
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
        self.changed: Callable[[Iterable[Call]], None] = lambda _calls: None
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, Entry] = {}
        self._held: dict[str, set[Entry]] = {}  # by worker, those of which it holds state
        self._behind: dict[str, list[tuple[Call, _Go, _Refuse]]] = {}  # by session for which the store is asked, who came since
        self._sweeper = Sweeper(access, self._entries, self._over)

    # Calls ------------------------------------------------------------------------------------------------------------------

    def admit(self, call: Call, go: _Go, refuse: _Refuse) -> None:
        """Find or open the session of a call, then `go`; or `refuse` with the reason. At once, unless the store does I/O.

        Calls of a session are let in in the order in which they came: while the store is asked for one, later ones wait behind it.
        """
        if (behind := self._behind.get(call.session_id)) is not None:
            behind.append((call, go, refuse))
            return
        entry = self._entries.get(call.session_id)
        if entry is not None and call.opening is None:
            try:
                known = self._is_there(entry)
            except Exception as error:
                refuse(call, error)
                return
            if known:
                self._enter(entry, call, go, refuse)
                return
        self._ask_for(call, go, refuse)

    def _ask_for(self, call: Call, go: _Go, refuse: _Refuse) -> None:
        behind: list[tuple[Call, _Go, _Refuse]] = []

        def opened(answer: tuple[SessionInfo, bool] | None, error: Exception | None) -> None:
            if error is not None:
                refuse(call, error)
            elif answer is None:
                self._over(call.session_id, "ended")
                refuse(call, ended(call.session_id))
            else:
                found = self._note(answer[0])
                if call.opening is not None:
                    call.opening.opened(answer[1])
                if not call.over:
                    self._enter(found, call, go, refuse)
            if self._behind.get(call.session_id) is behind:
                del self._behind[call.session_id]
            for other in behind:
                if not other[0].over:  # an error may be of this call alone
                    self.admit(*other) if error is None else self._ask_for(*other)

        self._behind[call.session_id] = behind
        busy = self._is_busy(call.session_id)
        self._access.ask(functools.partial(self._open_for, call, busy), opened)

    def _ask_for_all_behind(self, session_id: str) -> None:
        """Those that wait for the answer for another ask by themselves, and whoever comes from here on does not wait behind them."""
        waiting = self._behind.get(session_id, [])
        before, waiting[:] = waiting[:], []
        for other in before:
            self._ask_for(*other)
        self._behind.pop(session_id, None)

    def left(self, call: Call) -> None:
        """A call of a session is no longer open: its lifetime begins anew. Never raises: the call is over, whatever the store says."""
        entry = self._entries.get(call.session_id)
        if entry is None or entry.calls.pop(call.id, None) is None:
            return
        entry.told.pop(call.id, None)
        if not entry.calls:
            self._sweeper.end(entry.id)
        if self._access.blocking:
            self._sweeper.used(entry.id)
            return
        try:
            self._access.store.touch((entry.id,), lapsed=True)
        except Exception:  # the sweep tries again, and says what is wrong
            self._sweeper.used(entry.id)

    def options(self, call: Call, worker_id: str, moved_from: str) -> dict[str, Any] | None:
        """What a call that goes to a worker tells of its session; the call notes where the session came from, if it moved.

        None: the session is over, and the call with it.
        """
        entry = self._entries.get(call.session_id)
        if entry is None or call.id not in entry.calls:
            return None
        telling = entry.tell(call, worker_id, moved_from)
        self._held.setdefault(worker_id, set()).add(entry)
        if call.affinity != "hint":  # its state is the conversation itself: what it left elsewhere must not come back
            self._drop_copies(entry, "it went on elsewhere")
        return telling

    def is_settled(self, call: Call, worker_id: str) -> bool:
        """May a call go to its session's worker before others have ended there? See `Entry.is_settled`."""
        entry = self._entries.get(call.session_id)
        return entry is not None and call.id in entry.calls and entry.is_settled(worker_id)

    def answered(self, call: Call, facts: dict[str, Any]) -> None:
        """A call's worker has answered, and says among the facts what became of the session's state; takes what is for us alone."""
        given = "snapshot" in facts
        snapshot = facts.pop("snapshot", None)
        entry = self._entries.get(call.session_id)
        told = entry.answered(call.id) if entry is not None else None
        if entry is None or told is None or not entry.is_newest(told):
            return
        if given:  # None: it could not be made, and older ones are out of date
            entry.snapshot, entry.unrestored = snapshot, False
        elif facts.get("hook") == "restore":  # calls fail until that succeeds, or is given up
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
        for entry in self._held.pop(worker_id, ()):
            entry.worker_gone(worker_id)

    def loss_of(self, session_id: str) -> SnakepitError:
        """The error for a strict call whose worker is gone."""
        entry = self._entries.get(session_id)
        return entry.loss.error(session_id) if entry is not None and entry.loss is not None else ended(session_id)

    # Sessions ---------------------------------------------------------------------------------------------------------------

    async def open(self, session_id: str, ttl: float | None, metadata: Mapping[str, Any] | None) -> tuple[SessionInfo, bool]:
        """Find or open a session: (what it is, was it opened now?). Raises what the store raises."""
        store, seconds, busy = self._access.store, self._ttl if ttl is None else ttl, self._is_busy(session_id)

        def ask() -> tuple[SessionInfo, bool]:
            if busy:  # else one that only seems to have expired would be made anew
                store.touch((session_id,), lapsed=True)
            return store.open(session_id, ttl=seconds, metadata=metadata, set_ttl=ttl is not None)

        def note(answer: tuple[SessionInfo, bool]) -> tuple[SessionInfo, bool]:
            self._note(answer[0])
            return self._seen(answer[0]), answer[1]

        return await self._access.noted(ask, note)

    async def touch(self, session_id: str) -> bool:
        """Begin a session's lifetime anew; False if it is over."""

        def note(gone: set[str]) -> bool:
            if gone:
                self._over(session_id, "expired")
            return not gone

        busy = self._is_busy(session_id)
        return await self._access.noted(lambda: self._access.store.touch((session_id,), lapsed=busy), note)

    async def end(self, session_id: str) -> bool:
        """End a session; False if there was none."""
        entry = self._entries.get(session_id)
        if entry is not None:
            entry.read = float("-inf")  # calls that come from here on ask the store, behind this
        self._ask_for_all_behind(session_id)

        def note(there: bool) -> bool:
            self._over(session_id, "ended")
            return there

        return await self._access.noted(lambda: self._access.store.delete(session_id), note)

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
        store = self._access.store

        def note(info: SessionInfo) -> SessionInfo:
            newest = info if self._access.blocking else store.get(session_id)  # memory is changed on the loop too, meanwhile
            entry = self._entries.get(session_id)
            if entry is not None and newest is not None and newest.created == entry.created:
                self._renew(entry, newest)
            return self._seen(info)

        return await changes.update(self._access, session_id, change, note)

    async def ask(self, method: str, *args: Any) -> Any:
        """Ask the store by the name of a method: programs, counts."""
        return await self._access.answer(functools.partial(getattr(self._access.store, method), *args))

    async def close(self) -> None:
        """The pool ends: what is in the store stays there, if it outlives the host."""
        self._sweeper.close()
        self._entries.clear()
        self._held.clear()
        await self._access.close()

    # Inside -------------------------------------------------------------------------------------------------------------------

    def _is_there(self, entry: Entry) -> bool:
        """Is a session known to be there still? Then its lifetime has begun anew. False: the store has to be asked."""
        now = self._loop.time()
        if self._access.blocking:
            if now - entry.read >= CHECK_SECONDS:
                return False
            self._sweeper.used(entry.id)
            return True
        if self._access.shared:  # others may have ended it and made another of its id
            return False
        if self._access.store.touch((entry.id,), lapsed=bool(entry.calls)):  # the way of nearly every call
            self._over(entry.id, "expired")
            return False
        entry.touched = now
        return True

    def _is_busy(self, session_id: str) -> bool:
        """Has it open calls? Then it does not expire, whatever the clock says."""
        entry = self._entries.get(session_id)
        return entry is not None and bool(entry.calls)

    def _open_for(self, call: Call, busy: bool) -> tuple[SessionInfo, bool] | None:
        store = self._access.store
        if busy:  # else one that only seems to have expired would be made anew
            store.touch((call.session_id,), lapsed=True)
        if call.session_must_exist:
            info = store.get(call.session_id)
            if info is None or store.touch((call.session_id,)):
                return None
            return info, False
        if call.opening is None:
            return store.open(call.session_id, ttl=self._ttl, metadata=None)
        ttl, metadata, _ = call.opening
        return store.open(call.session_id, ttl=self._ttl if ttl is None else ttl, metadata=metadata, set_ttl=ttl is not None)

    def _enter(self, entry: Entry, call: Call, go: _Go, refuse: _Refuse) -> None:
        if entry.loss is not None and call.affinity != "hint":
            refuse(call, entry.loss.error(entry.id))
            return
        entry.calls[call.id] = call
        self._sweeper.begin(entry)
        go(call)

    def _note(self, info: SessionInfo) -> Entry:
        """A session has been read from the store, and its lifetime has begun anew."""
        entry = self._entries.get(info.id)
        if entry is not None and entry.created != info.created:  # it has ended meanwhile, and this is another
            self._over(info.id, "ended")
            entry = None
        now = self._loop.time()
        if entry is None:
            entry = self._entries[info.id] = Entry(info.id, info.created, info.metadata, info.ttl, now, now, now)
            self._sweeper.watch()
        else:
            self._renew(entry, info)
            entry.touched = now
            if entry.calls:
                self._sweeper.begin(entry)  # its lifetime may be another
        return entry

    def _renew(self, entry: Entry, info: SessionInfo) -> None:
        if entry.renew(info.metadata, info.ttl, self._loop.time()):
            self.changed(tuple(entry.calls.values()))

    def _seen(self, info: SessionInfo) -> SessionInfo:
        entry = self._entries.get(info.id)
        bound = self._seats.bound_to(info.id)
        state = "bound" if bound else "lost" if entry is not None and entry.loss is not None else "unbound"
        metadata = freeze(info.metadata)  # a copy: the other one is what workers are told
        return dataclasses.replace(info, metadata=metadata, worker_id=bound, state=state)

    def _over(self, session_id: str, reason: str) -> None:
        """Forget a session here: its open calls are cancelled, its state leaves the workers."""
        entry = self._entries.pop(session_id, None)
        self._told_over(session_id)
        if entry is None:
            return
        self._sweeper.end(session_id)
        for call_id in entry.calls:  # before the cancels: each slot that becomes free would go to the next of them
            self._seats.withdraw(call_id)
        for call in list(entry.calls.values()):
            self._cancel(call, f"session {session_id!r} {reason}", ended(session_id))
        # After the cancels: no call of it may reach a worker behind the word that it is over.
        self._seats.unbind(session_id)
        self._not_held(entry, entry.holders)
        self._let_go(session_id, tuple(entry.holders), reason)

    def _drop_copies(self, entry: Entry, reason: str) -> None:
        """All but the newest state of a session leave their workers. A call that runs on one keeps it until it ends."""
        copies = entry.take_copies()
        if copies:
            self._not_held(entry, copies)
            self._let_go(entry.id, copies, reason)

    def _not_held(self, entry: Entry, worker_ids: Iterable[str]) -> None:
        for worker_id in worker_ids:
            held = self._held.get(worker_id, set())
            held.discard(entry)
            if not held:
                self._held.pop(worker_id, None)


def ended(session_id: str) -> SessionEnded:
    """A call names a session that is over."""
    hint = "open it anew with pool.session(...); its lifetime without calls is its ttl"
    return SessionEnded(f"session {session_id!r} was ended, or its lifetime is over", hint=hint, session_id=session_id)
