"""Tools that take and give what is large."""

from __future__ import annotations

import os
import pathlib
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy

from snakepit_bridge.base_adapter import BaseAdapter, tool


class ArrayTools(BaseAdapter):
    def __init__(self) -> None:
        self.kept: list[Any] = []

    @tool
    def echo(self, value: Any) -> Any:
        return value

    @tool
    def total(self, value: Any) -> float:
        return float(numpy.sum(value))

    @tool
    def numbers(self, count: int, first: float = 0.0) -> Any:
        return numpy.arange(first, first + count)

    @tool
    def refilled(self, chunks: int, count: int) -> Iterator[Any]:
        """One array for all chunks."""
        value = numpy.zeros(count)
        for number in range(chunks):
            value[:] = number
            yield value

    @tool
    def keep(self, value: Any) -> int:
        """A slice of what came."""
        self.kept.append(value[10:20])
        return len(self.kept)

    @tool
    def kept_sums(self) -> list[float]:
        return [float(value.sum()) for value in self.kept]

    @tool
    def writable(self, value: Any) -> bool:
        return bool(value.flags.writeable)

    @tool
    def die(self, value: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @tool
    def nap(self, value: Any) -> int:
        time.sleep(0.05)
        return len(value)

    @tool
    def rss(self) -> int:
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @tool
    def ask(self, name: str, value: Any) -> Any:
        return self.host_tools[name](value)

    @tool
    def ask_for_stream(self, name: str, value: Any) -> float:
        return float(sum(item.sum() for item in self.host_tools[name](value)))

    @tool
    def raises(self, value: Any) -> None:
        raise ValueError("no", value)
