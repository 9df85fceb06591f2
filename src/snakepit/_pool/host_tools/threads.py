"""Threads for sync host tools: bounded, and so many per depth that nested calls cannot wait for each other's threads.

A host tool of depth d may wait for calls whose host tools have depth d + 1, never the other way round. Threads are daemons of
our own making: an executor's would keep the interpreter from ending while a host tool blocks.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

#: A thread that has had nothing to do for this long ends (seconds).
_IDLE_SECONDS = 5.0
#: Calls that may wait for a thread of one depth.
_MAX_WAITING = 10_000


class HostThreads:
    """Runs functions on its threads.

    Args:
        size: how many threads per depth.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._levels: dict[int, _Level] = {}

    def submit(self, depth: int, work: Callable[[], None]) -> bool:
        """Run `work` (which must not raise) soon; False if too much waits already."""
        level = self._levels.get(depth)
        if level is None:
            level = self._levels[depth] = _Level(depth, self._size)
        return level.submit(work)

    def close(self) -> list[threading.Thread]:
        """Let the threads end; those that still run something."""
        return [thread for level in self._levels.values() for thread in level.close()]


class _Level:
    """The threads of one depth."""

    def __init__(self, depth: int, size: int) -> None:
        self._name = f"snakepit-host-tool-{depth}"
        self._size = size
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: set[threading.Thread] = set()
        self._waiting = 0  # work that no thread has taken
        self._idle = 0
        self._closed = False

    def submit(self, work: Callable[[], None]) -> bool:
        with self._lock:
            if self._closed or self._waiting >= _MAX_WAITING:
                return False
            self._waiting += 1
            if self._idle < self._waiting and len(self._threads) < self._size:
                thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._threads.add(thread)
                thread.start()
        self._work.put(work)
        return True

    def close(self) -> list[threading.Thread]:
        with self._lock:
            self._closed = True
            threads = list(self._threads)
        for _ in threads:
            self._work.put(None)
        return threads

    def _serve(self) -> None:
        while (work := self._take()) is not None:
            work()
            del work  # else it, and what it holds, would stay alive until the next comes
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _take(self) -> Callable[[], None] | None:
        with self._lock:
            self._idle += 1
        try:
            while True:
                try:
                    work = self._work.get(timeout=_IDLE_SECONDS)
                except queue.Empty:
                    with self._lock:
                        if self._waiting == 0:  # else something is being put at this moment
                            self._threads.discard(threading.current_thread())
                            return None
                    continue
                with self._lock:
                    self._waiting -= work is not None
                return work
        finally:
            with self._lock:
                self._idle -= 1
