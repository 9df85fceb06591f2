"""Which workers serve, and which wait ready to take the place of one that is lost. Plain decisions: `(event) -> who serves now`."""

from __future__ import annotations

from collections import OrderedDict


class Bench:
    """The ready workers of one pool, by id.

    Args:
        seats: how many may serve; further ones are spares, of which the one that has waited longest is next.
    """

    def __init__(self, seats: int) -> None:
        self._seats = seats
        self._serving: set[str] = set()
        self._spares: OrderedDict[str, None] = OrderedDict()  # as an ordered set

    def __bool__(self) -> bool:
        """Is anybody ready?"""
        return bool(self._serving or self._spares)

    @property
    def spares(self) -> tuple[str, ...]:
        """Those that wait."""
        return tuple(self._spares)

    def ready(self, worker_id: str) -> list[str]:
        """A worker has become ready; who serves from now on that did not."""
        self._spares[worker_id] = None
        return self._fill()

    def gone(self, worker_id: str) -> list[str]:
        """A worker is lost or about to leave, harmless if it was never ready; who serves from now on that did not."""
        self._serving.discard(worker_id)
        self._spares.pop(worker_id, None)
        return self._fill()

    def _fill(self) -> list[str]:
        called = []
        while self._spares and len(self._serving) < self._seats:
            worker_id, _ = self._spares.popitem(last=False)
            self._serving.add(worker_id)
            called.append(worker_id)
        return called
