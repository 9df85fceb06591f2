"""One worker as the Scheduler sees it: how many calls it can run, and which it runs."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple


@dataclasses.dataclass(slots=True)
class Seat:
    """A worker's capacity, and what it runs. The Scheduler alone changes it.

    Attributes:
        slots: how many calls it runs at once; 0: it is about to end.
        threaded: it runs blocking calls beside others, on threads.
        pipelined: short calls are sent ahead to it; for_sessions: those of its sessions, too.
        ahead: those that have not begun, with their turns, oldest first. own: of these, those of its sessions, which no other may run.
        bare: none of the others can be taken back any more: the worker has all their tickets.
        holder: the call that blocks its main thread, where it is not threaded: until that ends, nothing else goes on in it.
    """

    slots: int
    threaded: bool = False
    pipelined: bool = False
    for_sessions: bool = False
    bare: bool = False
    holder: int | None = None
    running: set[int] = dataclasses.field(default_factory=set)
    ahead: dict[int, int] = dataclasses.field(default_factory=dict)
    own: set[int] = dataclasses.field(default_factory=set)

    @property
    def is_full(self) -> bool:
        """Would a further call have to wait in it?"""
        return self.holder is not None or len(self.running) >= self.slots

    def take(self, call_id: int, *, blocking: bool) -> None:
        """A call runs here from now on."""
        self.running.add(call_id)
        if blocking and not self.threaded:
            self.holder = call_id

    def release(self, call_id: int) -> None:
        """A call has left."""
        self.running.discard(call_id)
        if self.holder == call_id:
            self.holder = None


class Running(NamedTuple):
    """Who runs a call. `strict`: the session that must not move while it runs; empty: none."""

    worker_id: str
    streaming: bool
    strict: str
