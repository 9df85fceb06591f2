"""What waits, by turn: whose turn is the lowest is found at once, however many wait, and whoever leaves does so from anywhere. Plain state.

A plain dict would keep the order too, but to find the first of it passes all that have left at its front since it last grew.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")


class Turns(Generic[K]):
    """Keys with their turns. Those that come in the order of their turns cost the same however many there are; others the logarithm."""

    __slots__ = ("_heap", "_highest", "_in_order", "_late")

    def __init__(self) -> None:
        self._in_order: OrderedDict[K, int] = OrderedDict()
        self._highest = 0  # of those that ever were there
        self._late: dict[K, int] = {}  # came when higher turns than theirs had come
        self._heap: list[tuple[int, K]] = []  # of those; some have left

    def __len__(self) -> int:
        return len(self._in_order) + len(self._late)

    def put(self, key: K, turn: int) -> None:
        """A key that is not there comes; no other has its turn."""
        if turn > self._highest:
            self._in_order[key] = self._highest = turn
            return
        self._late[key] = turn
        heapq.heappush(self._heap, (turn, key))
        if len(self._heap) > 2 * len(self._late) + 64:  # most of it has left
            self._heap = [(turn, key) for key, turn in self._late.items()]
            heapq.heapify(self._heap)

    def pop(self, key: K) -> int | None:
        """A key leaves: its turn; None: it is not there."""
        turn = self._in_order.pop(key, None)
        return self._late.pop(key, None) if turn is None and self._late else turn

    def first(self) -> tuple[K, int] | None:
        """(the key whose turn is the lowest, its turn); None: there is none."""
        if self._heap:
            return self._first_of_both()
        for found in self._in_order.items():
            return found
        return None

    def items(self) -> list[tuple[K, int]]:
        """All, the lowest turn first."""
        return sorted([*self._in_order.items(), *self._late.items()], key=lambda item: item[1])

    def _first_of_both(self) -> tuple[K, int] | None:
        heap, late = self._heap, self._late
        while heap and late.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)
        found = next(iter(self._in_order.items()), None)
        if heap and (found is None or heap[0][0] < found[1]):
            return heap[0][1], heap[0][0]
        return found
