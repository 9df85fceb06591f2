"""The free workers for which calls wait that no other may take, by the turns of these calls. Plain state, owned by the Scheduler."""

from __future__ import annotations

from .turns import Turns
from .waiting import Line


class Wanted:
    """Each of them is known by the first of those calls and by the first stream of them: a limit may let only the others run.

    Attributes:
        workers: all of them.
    """

    def __init__(self) -> None:
        self.workers: set[str] = set()
        self._unary: Turns[str] = Turns()
        self._streams: Turns[str] = Turns()

    def changed(self, worker_id: str, line: Line | None) -> None:
        """What waits for a worker alone is not what it was; `line`: None if nothing does, or the worker is not free."""
        if worker_id in self.workers:
            self.workers.remove(worker_id)
            self._unary.pop(worker_id)
            self._streams.pop(worker_id)
        if line is not None:
            self.workers.add(worker_id)
            for turns, first in (self._unary, line.unary.first()), (self._streams, line.streams.first()):
                if first is not None:
                    turns.put(worker_id, first[1])

    def first(self, *, streams_too: bool) -> tuple[str, int] | None:
        """(the worker whose own call came first, its turn), among the calls that may be served now."""
        unary, stream = self._unary.first(), self._streams.first() if streams_too else None
        return stream if unary is None or (stream is not None and stream[1] < unary[1]) else unary
