"""Which calls of host tools can never run, because the slots they need are held by calls that wait for them. A plain decision.

A tool's call that waits for its host tool keeps its slot. If that host tool calls the pool and waits, the new call needs a slot
too; where each slot it could get is kept by such a call, it can never run. Found as what is left when everything is crossed out
that can go on: a call that waits for nothing, or only for what can go on; a slot whose call can; a call that could get such a
slot. So a call is never refused because of others that wait, but will be served.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple, Protocol


class Seat(Protocol):
    """A worker; see `Scheduler.seats`."""

    @property
    def slots(self) -> int: ...
    @property
    def running(self) -> Collection[int]: ...
    @property
    def holder(self) -> int | None: ...
    @property
    def is_full(self) -> bool: ...


class Nested(NamedTuple):
    """A call made by a host tool.

    Attributes:
        parent: the innermost call of this pool above it; it waits for this one.
        worker_id: the only worker that can run it; empty: any.
        streaming: it needs one of the slots for streams.
    """

    call_id: int
    parent: int
    worker_id: str = ""
    streaming: bool = False


def hopeless(seats: Mapping[str, Seat], nested: Iterable[Nested], streams_at_limit: Collection[int] | None = None) -> set[int]:
    """Those of `nested` that can never end, running or waiting.

    Args:
        seats: the workers, by id; they are all there.
        nested: the calls that are waited for.
        streams_at_limit: the streams that run, when no further one may.
    """
    left = {item.call_id: item for item in nested}
    if not left:
        return set()
    children: dict[int, list[int]] = {}
    for item in left.values():
        children.setdefault(item.parent, []).append(item.call_id)
    running = {call_id: seat for seat in seats.values() for call_id in seat.running}
    stuck = {*running, *left}
    found = True
    while found:
        free = {worker_id for worker_id, seat in seats.items() if _gets_free(seat, stuck)}
        stream = streams_at_limit is None or not stuck.issuperset(streams_at_limit)
        found = False
        for call_id in tuple(stuck):  # a copy: it shrinks
            if call_id in running:
                holder = running[call_id].holder
                goes_on = stuck.isdisjoint(children.get(call_id, ())) and (holder is None or holder == call_id or holder not in stuck)
            else:
                item = left[call_id]
                goes_on = (item.worker_id in free if item.worker_id else bool(free)) and (stream or not item.streaming)
            if goes_on:
                stuck.discard(call_id)
                found = True
    return stuck.intersection(left)


def is_served(item: Nested, seats: Mapping[str, Seat], waiting: Collection[int], streams_at_limit: Collection[int] | None = None) -> bool:
    """Does `item` get a slot, as can be seen at once? Then it has changed nothing for others. False: ask `hopeless`.

    Args:
        waiting: the calls that wait for calls of their host tools.
    """
    if item.streaming and streams_at_limit is not None:
        return False
    if item.worker_id not in seats and len(waiting) < len(seats):
        return True  # each worker that does not get a free slot has a call that waits
    eligible = [seats[item.worker_id]] if item.worker_id in seats else seats.values()
    return any(_gets_free(seat, waiting) for seat in eligible)


def _gets_free(seat: Seat, stuck: Collection[int]) -> bool:
    if not seat.is_full or seat.slots == 0:  # or another worker comes in its place
        return True
    if seat.holder is not None:
        return seat.holder not in stuck
    return any(call_id not in stuck for call_id in seat.running)
