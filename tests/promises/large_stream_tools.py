"""Tools that give and take streams of large arrays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy

from snakepit_bridge.base_adapter import BaseAdapter, tool

#: How many items of 8 bytes each array has: 8 MiB.
COUNT = 1024 * 1024


class LargeStreams(BaseAdapter):
    @tool
    def arrays(self, chunks: int) -> Iterator[Any]:
        """One array after another, each of memory of its own."""
        for number in range(chunks):
            yield numpy.full(COUNT, float(number))

    @tool
    def read(self, chunks: int, pause: float) -> int:
        """How many arrays of the host tool `arrays` were as they should be; it waits so long (seconds) after each of them."""
        return sum(is_right(number, value, pause) for number, value in enumerate(self.host_tools["arrays"](chunks)))

    @tool
    def ready(self) -> None:
        """The worker is there, and has NumPy."""


def is_right(number: int, value: Any, pause: float) -> bool:
    """Is it the array of that number? Reads all of it, then waits."""
    found = len(value) == COUNT and value[0] == value[-1] == number and value.sum() == float(number) * COUNT
    if pause:
        time.sleep(pause)
    return bool(found)
