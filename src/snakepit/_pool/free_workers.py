"""The workers that have a free slot, the least loaded first; among equals the one whose load has been so longest.

The Scheduler says how loads change, and asks who comes next. Kept in one bucket per load, so that no question looks at all
workers.
"""

from __future__ import annotations

from collections import OrderedDict


class FreeWorkers:
    """Workers by load. `in` and `len` are about those that have a free slot.

    Attributes:
        loads: theirs, for who only asks whether there is any: a method of ours costs ten times as much. To be looked at.
    """

    def __init__(self) -> None:
        self.loads: dict[str, int] = {}
        self._buckets: dict[int, OrderedDict[str, None]] = {}  # as ordered sets, see `Turns`; an empty one is not kept
        self._used = 0  # bit n is set if there is a bucket for load n: its lowest set bit is the least load

    def __contains__(self, worker_id: object) -> bool:
        return worker_id in self.loads

    def __len__(self) -> int:
        return len(self.loads)

    def put(self, worker_id: str, load: int) -> None:
        """A worker runs `load` calls now and can take another. It goes behind those of the same load."""
        self.discard(worker_id)
        self.loads[worker_id] = load
        bucket = self._buckets.get(load)
        if bucket is None:
            bucket = self._buckets[load] = OrderedDict()
            self._used |= 1 << load
        bucket[worker_id] = None

    def discard(self, worker_id: str) -> None:
        """A worker can take no more; harmless if it could not."""
        load = self.loads.pop(worker_id, None)
        if load is None:
            return
        bucket = self._buckets[load]
        del bucket[worker_id]
        if not bucket:
            del self._buckets[load]
            self._used ^= 1 << load

    def load_of(self, worker_id: str) -> int:
        """How much one of them has."""
        return self.loads[worker_id]

    def most_loaded(self) -> str:
        """Who has the most. There must be somebody."""
        return next(iter(self._buckets[self._used.bit_length() - 1]))

    def least_loaded(self) -> str:
        """Who takes the next call. There must be somebody."""
        return next(iter(self._buckets[(self._used & -self._used).bit_length() - 1]))
