"""Shared memory without any: two ends in one process, which lend each other byte arrays."""

from __future__ import annotations

import weakref
from typing import Any

from snakepit_bridge.wire.codecs import Malformed


class _Memory(bytearray):
    """Can be watched, which a bytearray cannot."""


class _Lease:
    def __init__(self, store: FakeStore, number: int, nbytes: int) -> None:
        self.row: list[Any] = [number]
        self._store = store
        self._memory: _Memory | None = _Memory(nbytes)
        self._size = nbytes

    def __len__(self) -> int:
        return self._size

    def write(self, at: int, data: memoryview) -> bool:
        assert self._memory is not None, "written after it was sent"
        if self._store.refuses():
            return False
        self._memory[at : at + len(data)] = data
        return True

    def sent(self) -> None:
        assert self._memory is not None, "sent twice"
        self._store.out[self.row[0]] = self._memory
        self._memory = None


class FakeStore:
    """One end. Now and then it has no room.

    Args:
        least: smaller attachments are not worth it (bytes).

    Attributes:
        out: what is on its way. lent: what the other end looks at.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._count = 0
        self._returned: list[int] = []
        self.other: FakeStore | None = None
        self.out: dict[int, _Memory] = {}
        self.lent: set[int] = set()

    def refuses(self) -> bool:
        self._count += 1
        return self._count % 4 == 0

    def lease(self, nbytes: int) -> _Lease | None:
        return None if nbytes < self._least or self.refuses() else _Lease(self, self._count, nbytes)

    def open(self, row: list[Any]) -> memoryview:
        assert self.other is not None
        memory = self.other.out.pop(row[0], None)
        if memory is None:
            raise Malformed("there is no such memory")
        self.other.lent.add(row[0])
        weakref.finalize(memory, self._returned.append, row[0])
        return memoryview(memory).toreadonly()

    def passed_over(self, nbytes: int) -> None:
        """Nobody counts it here."""

    def returned(self) -> list[int]:
        found, self._returned = self._returned, []
        return found

    def take_back(self, numbers: list[Any]) -> bool:
        if not self.lent.issuperset(numbers):
            return False
        self.lent.difference_update(numbers)
        return True


def pair(least: int) -> tuple[FakeStore, FakeStore]:
    """Two ends."""
    one, two = FakeStore(least), FakeStore(least)
    one.other, two.other = two, one
    return one, two
