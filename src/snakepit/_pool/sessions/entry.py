"""What a pool knows of one session: its open calls, the workers that hold state of it, its newest snapshot, its loss.

Plain state without I/O; changed by the Keeper alone.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

from snakepit._pool.call import Call
from snakepit.errors import SessionLost


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
class Entry:
    """One session, as this pool knows it.

    Attributes:
        metadata: as the store has it; version: counts its changes.
        ttl: its lifetime without calls (seconds).
        read, confirmed: when it was last read from the store, and when that last said that it is there (seconds, the loop's clock).
        touched: when its lifetime last began anew (same).
        calls: its open calls. While there are any it does not expire.
        holders: the workers that hold state of it, with the version of the metadata they were told.
        home: the worker where its newest state is; empty if it has none yet or that worker is gone.
        snapshot: what its adapter last wanted kept of it; None: nothing.
        loss: how it lost its worker and its state, until it is bound anew.
        left: how it lost its worker, when a snapshot lets it go on elsewhere; until it does.
        unrestored: its adapter has failed to restore the snapshot, and has not succeeded since.
    """

    id: str
    metadata: Mapping[str, Any]
    ttl: float
    read: float
    confirmed: float
    touched: float
    version: int = 0
    calls: dict[int, Call] = dataclasses.field(default_factory=dict)
    holders: dict[str, int] = dataclasses.field(default_factory=dict)
    home: str = ""
    snapshot: dict[str, Any] | None = None
    loss: Loss | None = None
    left: Loss | None = None
    unrestored: bool = False

    def options(self, worker_id: str) -> dict[str, Any]:
        """What a call that goes to this worker tells of its session, and note that it goes there."""
        told: dict[str, Any] = {"id": self.id}
        known = self.holders.get(worker_id)
        if known != self.version:
            told["metadata"] = _plain(self.metadata)
        if self.home != worker_id and self.snapshot is not None:
            told["restore"] = self.snapshot
            if known is not None:
                told["fresh"] = True  # what an earlier visit left there is out of date
        self.holders[worker_id] = self.version
        self.home = worker_id
        return told

    def not_told(self, worker_id: str) -> None:
        """The call that was to tell this worker of it has not left: the next one tells all of it again."""
        if worker_id in self.holders:
            self.holders[worker_id] = -1
        if self.home == worker_id and self.snapshot is not None:
            self.home = ""

    def lost(self, loss: Loss) -> None:
        """The worker it was bound to is gone, or about to go."""
        if self.snapshot is None:
            self.loss = loss
        else:
            self.left = loss

    def move(self, moved_from: str) -> dict[str, Any] | None:
        """Its next call goes to another worker than the last: from where and why. None if there is nothing to tell."""
        loss, left = self.loss, self.left
        self.loss = self.left = None
        if loss is not None:
            return {"from": loss.worker_id, "reason": f"lost: {loss.reason}", "restored": False}
        if left is not None:
            return {"from": left.worker_id, "reason": f"lost: {left.reason}", "restored": True}
        return {"from": moved_from, "reason": "busy", "restored": self.snapshot is not None} if moved_from else None

    def forget_state(self) -> bool:
        """Go on with an empty state; False, and nothing changes, if the state is there."""
        if self.loss is None and not self.unrestored:
            return False
        self.loss = self.left = self.snapshot = None
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

    def renew(self, metadata: Mapping[str, Any], ttl: float, now: float) -> None:
        """It has been read from the store."""
        self.read = self.confirmed = now
        self.ttl = ttl
        if metadata != self.metadata:
            self.metadata = metadata
            self.version += 1


def _plain(value: Any) -> Any:
    """A frozen value in the form that travels."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
