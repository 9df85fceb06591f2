"""Transfers of large arrays in every direction, as many as there can be, while somebody kills workers or the host.

Run as a program, it is a host that transfers until it is killed; it says so once it has begun.
"""

from __future__ import annotations

import collections
import contextlib
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy

import snakepit
from snakepit_bridge.base_adapter import BaseAdapter, tool

#: The largest of them (items of 8 bytes): 4 MiB.
_MOST = 512 * 1024
_SECONDS = 60.0


class Transfers(BaseAdapter):
    @tool
    def total(self, value: Any) -> float:
        return float(value.sum())

    @tool
    def numbers(self, count: int) -> Any:
        return numpy.arange(float(count))

    @tool
    def doubled(self, value: Any) -> Any:
        return value * 2

    @tool
    def chunks(self, count: int) -> Iterator[Any]:
        for number in range(8):
            yield numpy.full(count, float(number))

    @tool
    def ask(self, count: int) -> float:
        """Up and down at once: a host tool takes an array and streams some."""
        return float(sum(item.sum() for item in self.host_tools["halves"](numpy.ones(count))))


def halves(value: Any) -> Iterator[Any]:
    """The host tool."""
    yield value[::2]
    yield value[1::2]


class Load:
    """Calls of all kinds, by several threads, until it is stopped.

    Attributes:
        ends: how many calls ended well, and how many with their worker. wrong: what else became of one.
    """

    def __init__(self, pool: snakepit.Pool, seed: int, threads: int = 4) -> None:
        self.ends: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._pool = pool
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(seed + number),)) for number in range(threads)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> bool:
        """No new calls. Have all ended?"""
        self._stop.set()
        for thread in self._threads:
            thread.join(_SECONDS)
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, dice: random.Random) -> None:
        ways = [self._up, self._down, self._both, self._stream, self._ask]
        while not self._stop.is_set():
            way = dice.choice(ways)
            try:
                right = way(dice.randrange(8 * 1024, _MOST) * 2)
                self.ends["well"] += 1
                if not right:
                    self.wrong.append(f"{way.__name__} gave something else")
            except snakepit.WorkerCrashed:
                self.ends["crashed"] += 1
            except Exception as error:
                self.wrong.append(f"{way.__name__}: {error!r}")

    def _up(self, count: int) -> bool:
        return bool(self._pool.execute("total", {"value": numpy.ones(count)}, timeout=_SECONDS) == count)

    def _down(self, count: int) -> bool:
        return numpy.array_equal(self._pool.execute("numbers", {"count": count}, timeout=_SECONDS), numpy.arange(float(count)))

    def _both(self, count: int) -> bool:
        value = numpy.arange(float(count))
        return numpy.array_equal(self._pool.execute("doubled", {"value": value}, timeout=_SECONDS), value * 2)

    def _stream(self, count: int) -> bool:
        stream = self._pool.stream("chunks", {"count": count // 4}, timeout=_SECONDS).values()
        return all(number == chunk[0] == chunk[-1] for number, chunk in enumerate(stream))

    def _ask(self, count: int) -> bool:
        return bool(self._pool.execute("ask", {"count": count}, timeout=_SECONDS) == count)


def main() -> None:
    """The host that is killed."""
    protocol, limit, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with snakepit.Pool(Transfers, size=2, protocol=protocol, shared_memory_limit=limit) as pool, contextlib.suppress(KeyboardInterrupt):
        pool.register_tool(halves)
        load = Load(pool, seed)
        load.start()
        while load.ends["well"] < 4 and not load.wrong:
            threading.Event().wait(0.005)
        print(load.wrong or "transfers", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
