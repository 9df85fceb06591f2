"""The life of one worker as a table. An event that the table does not know raises and changes nothing.

new ─launched─► starting ─attached─► ready ─drain─► draining
                   │                   │               │
                   └──────lost─────────┴──────lost─────┴──► dead
"""

from __future__ import annotations

import enum


class State(enum.Enum):
    """Where a worker is in its life."""

    NEW = "new"
    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    DEAD = "dead"


class Event(enum.Enum):
    """What can happen to it."""

    LAUNCHED = "launched"
    ATTACHED = "attached"
    DRAIN = "drain"
    LOST = "lost"


_TABLE = {
    (State.NEW, Event.LAUNCHED): State.STARTING,
    (State.NEW, Event.LOST): State.DEAD,
    (State.STARTING, Event.ATTACHED): State.READY,
    (State.STARTING, Event.DRAIN): State.DRAINING,
    (State.STARTING, Event.LOST): State.DEAD,
    (State.READY, Event.DRAIN): State.DRAINING,
    (State.READY, Event.LOST): State.DEAD,
    (State.DRAINING, Event.DRAIN): State.DRAINING,
    (State.DRAINING, Event.ATTACHED): State.DRAINING,  # the pool was closed in the moment in which it became ready
    (State.DRAINING, Event.LOST): State.DEAD,
    (State.DEAD, Event.LOST): State.DEAD,
}


class IllegalEvent(RuntimeError):
    """The table has no such step."""


def after(state: State, event: Event) -> State:
    """The state that follows.

    Raises:
        IllegalEvent: `event` cannot happen in `state`.
    """
    try:
        return _TABLE[state, event]
    except KeyError:
        raise IllegalEvent(f"a worker that is {state.value} cannot be {event.value}") from None
