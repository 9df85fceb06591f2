"""What a pool knows of one session: its open calls, the workers that hold state of it, its newest snapshot, its loss.

Plain state without I/O; changed by the Keeper alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from snakepit._pool.call import Call
from snakepit._sessions.records import thaw
from snakepit.errors import SessionLost

#: Why a session has moved, where its worker is there still.
_BUSY = "busy"


@dataclasses.dataclass(frozen=True, slots=True)
class Loss:
    """How a session lost its worker. `at`: seconds since the epoch."""

    worker_id: str
    reason: str
    at: float

    @classmethod
    def now(cls, worker_id: str, reason: str) -> Loss:
        """It has happened in this moment."""
        return cls(worker_id, reason, time.time())

    def error(self, session_id: str) -> SessionLost:
        """What a strict call of the session raises."""
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.at))
        return SessionLost(
            f"session {session_id!r} was lost with {self.worker_id} at {when}: {self.reason}",
            hint=f"its state is gone; pool.rebind_session({session_id!r}) lets it go on, with an empty state, on another worker. "
            "An adapter with snapshot() and restore() keeps it",
            session_id=session_id,
            worker_id=self.worker_id,
            reason=self.reason,
            at=self.at,
        )


@dataclasses.dataclass(slots=True, eq=False)
class Holder:
    """What one worker knows of a session for certain, because it has answered a call that told it so.

    Calls that wait to be sent may be overtaken or cancelled: until one is answered, each tells what the first was to tell.

    Attributes:
        version: of the metadata that it knows.
        visit: numbers the restored state that it works on, or is to begin with; 0: none was restored there.
        restore: the snapshot that this visit begins with, until it is known to have arrived.
    """

    version: int = -1
    visit: int = 0
    restore: dict[str, Any] | None = None


class Told(NamedTuple):
    """What a call tells: its worker, of the session; its caller, of how that has moved."""

    holder: Holder
    version: int
    visit: int
    moved: dict[str, Any] | None


@dataclasses.dataclass(slots=True, eq=False)
class Entry:
    """One session, as this pool knows it.

    Attributes:
        created: when it was made, by the store's clock; another session of the same id has another.
        metadata: as the store has it; version: counts its changes.
        ttl: its lifetime without calls (seconds).
        read, confirmed: when it was last read from the store, and when that last said that it is there (seconds, the loop's clock).
        touched: when its lifetime last began anew (same).
        calls: its open calls, and told: what those that have a worker tell. While there are calls it does not expire.
        holders: the workers that hold state of it.
        home: the worker where its newest state is; empty if it has none yet or that worker is gone.
        visits: how often its state has been restored somewhere.
        snapshot: what its adapter last wanted kept of it; None: nothing.
        loss: how it lost its worker and its state, until it is bound anew.
        moved: from where it has moved and why, until a call that tells it has been answered.
        unrestored: its adapter has failed to restore the snapshot, and has not succeeded since.
    """

    id: str
    created: float
    metadata: Mapping[str, Any]
    ttl: float
    read: float
    confirmed: float
    touched: float
    version: int = 0
    calls: dict[int, Call] = dataclasses.field(default_factory=dict)
    told: dict[int, Told] = dataclasses.field(default_factory=dict)
    holders: dict[str, Holder] = dataclasses.field(default_factory=dict)
    home: str = ""
    visits: int = 0
    snapshot: dict[str, Any] | None = None
    loss: Loss | None = None
    moved: dict[str, Any] | None = None
    unrestored: bool = False

    def tell(self, call: Call, worker_id: str, moved_from: str) -> dict[str, Any]:
        """What a call that goes to a worker tells there, and note that it goes there; the call notes how the session has moved."""
        if moved_from and (self.moved is None or self.moved["reason"] == _BUSY):
            self.moved = {"from": moved_from, "reason": _BUSY, "restored": self.snapshot is not None}
        call.moved = self.moved
        holder = self.holders.setdefault(worker_id, Holder())
        if self.home != worker_id and self.snapshot is not None:
            self.visits += 1
            holder.visit, holder.restore = self.visits, self.snapshot
        self.home = worker_id
        self.told[call.id] = Told(holder, self.version, holder.visit, self.moved)
        telling: dict[str, Any] = {"id": self.id}
        if holder.version < self.version:
            telling.update(metadata=thaw(self.metadata), version=self.version)
        if holder.visit:
            telling["visit"] = holder.visit
        if holder.restore is not None:
            telling["restore"] = holder.restore
        return telling

    def is_settled(self, worker_id: str) -> bool:
        """Does a worker know, for certain, all that a call would tell it, and is the session's state there and nowhere else?

        Then nothing of the session changes with its next call but what that does itself: it may go there before others have ended.
        """
        holder = self.holders.get(worker_id)
        if holder is None or len(self.holders) > 1 or self.home != worker_id or self.unrestored:
            return False
        return holder.version == self.version and holder.restore is None and self.loss is None and self.moved is None

    def answered(self, call_id: int) -> Told | None:
        """A call's worker has answered: it knows what the call told. None if this session did not send it there."""
        told = self.told.get(call_id)
        if told is None:
            return None
        told.holder.version = max(told.holder.version, told.version)
        if told.holder.visit == told.visit:
            told.holder.restore = None
        if told.moved is not None and told.moved is self.moved:
            self.loss = self.moved = None
        return told

    def is_newest(self, told: Told) -> bool:
        """Did this call run on the newest state of the session?"""
        return self.holders.get(self.home) is told.holder and told.visit == told.holder.visit

    def lost(self, loss: Loss) -> None:
        """The worker it was bound to is gone, or about to go. It can go on elsewhere, if there is a snapshot."""
        self.moved = {"from": loss.worker_id, "reason": f"lost: {loss.reason}", "restored": self.snapshot is not None}
        if self.snapshot is None:
            self.loss = loss

    def forget_state(self) -> bool:
        """Go on with an empty state; False, and nothing changes, if the state is there."""
        if self.loss is None and not self.unrestored:
            return False
        self.loss = self.moved = self.snapshot = None
        self.home, self.unrestored = "", False
        return True

    def take_copies(self) -> list[str]:
        """The workers that hold another state than the newest; from now on they hold none."""
        copies = [worker_id for worker_id in self.holders if worker_id != self.home]
        for worker_id in copies:
            del self.holders[worker_id]
        return copies

    def worker_gone(self, worker_id: str) -> None:
        """A worker can hold nothing of it any more."""
        self.holders.pop(worker_id, None)
        if self.home == worker_id:
            self.home = ""

    def renew(self, metadata: Mapping[str, Any], ttl: float, now: float) -> bool:
        """It has been read from the store. Was its metadata changed?"""
        self.read = self.confirmed = now
        self.ttl = ttl
        changed = metadata != self.metadata
        if changed:
            self.metadata = metadata
            self.version += 1
        return changed
