"""What the Scheduler decides, and why it takes a call not in."""

from __future__ import annotations

import enum
from typing import NamedTuple


class How(enum.Enum):
    """What an assignment means: the call is to be run `NOW`; sent `AHEAD`, to be run after others; or it was, and is run `NEXT`."""

    NOW = enum.auto()
    AHEAD = enum.auto()
    NEXT = enum.auto()


class Assignment(NamedTuple):
    """This worker is to run this call. `moved_from`: the worker that its session leaves for that."""

    call_id: int
    worker_id: str
    moved_from: str = ""
    how: How = How.NOW


class Removal(NamedTuple):
    """What the end of a worker means.

    Attributes:
        orphans: the calls it was running.
        stranded: waiting calls that waited for it alone; they are in no queue until `resubmit` or `withdraw`.
        lost_sessions: the sessions that were bound to it.
        assignments: who may run now.
    """

    orphans: list[int]
    stranded: list[int]
    lost_sessions: list[str]
    assignments: list[Assignment]


class Refused(Exception):
    """A call is not taken in. `assignments`: who may run now all the same."""

    def __init__(self, assignments: list[Assignment]) -> None:
        super().__init__()
        self.assignments = assignments


class QueueIsFull(Refused):
    """No place for another waiting call."""


class SessionBusy(Refused):
    """A call that must not wait would have to. `worker_id`: for whom; empty if its session is bound to none."""

    def __init__(self, worker_id: str, assignments: list[Assignment]) -> None:
        super().__init__(assignments)
        self.worker_id = worker_id
