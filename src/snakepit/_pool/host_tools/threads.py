"""Threads for sync host tools: bounded, and so many per depth that nested calls cannot wait for each other's threads.

A host tool of depth d may wait for calls whose host tools have depth d + 1, never the other way round. A generator whose reader
is slow keeps its thread, because what it holds may belong to that thread (a connection of sqlite3, a lock), and gives back its
place: another host tool runs meanwhile. Threads are daemons of our own making: an executor's would keep the interpreter from
ending while a host tool blocks.
"""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable
from typing import TypeAlias

#: A thread that has had nothing to do for this long ends (seconds).
_IDLE_SECONDS = 5.0
#: Calls that may wait for a thread of one depth.
_MAX_WAITING = 10_000
#: Generators of one depth that may wait for their readers.
_MAX_PARKED = 1_000
#: How often a thread that waits for a place looks whether it still needs one (seconds).
LOOK_SECONDS = 0.5


class TooManyParked(Exception):
    """As many generators as may wait for their readers do so already. `limit`: how many."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


class HostThreads:
    """Runs functions on its threads.

    Args:
        size: how many run at once, per depth.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._levels: dict[int, Level] = {}

    def submit(self, depth: int, work: Work) -> bool:
        """Run `work` (which must not raise) soon; False if too much waits already."""
        level = self._levels.get(depth)
        if level is None:
            level = self._levels[depth] = Level(depth, self._size)
        return level.submit(work)

    def close(self) -> list[threading.Thread]:
        """Let the threads end; those that still run something."""
        return [thread for level in self._levels.values() for thread in level.close()]


class Level:
    """The threads of one depth. Places to run are given in the order they are claimed, to new work and to parked work alike."""

    def __init__(self, depth: int, size: int) -> None:
        self._name = f"snakepit-host-tool-{depth}"
        self._size = size
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        # The mutable state, changed under the lock.
        self._claims: collections.deque[Work | threading.Event] = collections.deque()  # new work; what resumes parked work
        self._granted: collections.deque[Work] = collections.deque()  # has a place, and no thread yet
        self._threads: set[threading.Thread] = set()
        self._idle = 0  # threads that wait for work, or are about to
        self._running = 0  # places taken: at most `size`, but for what was resumed only to end
        self._parked = 0
        self._closed = False

    def submit(self, work: Work) -> bool:
        """Run it soon; False if too much waits already."""
        with self._lock:
            if self._closed or len(self._claims) >= _MAX_WAITING:
                return False
            self._claims.append(work)
            self._grant()
        return True

    def park(self) -> None:
        """On a thread, by its work: somebody else may run while it waits. `resume` must follow.

        Raises:
            TooManyParked: then it keeps its place, and no `resume` follows.
        """
        with self._lock:
            if self._parked >= _MAX_PARKED:
                raise TooManyParked(_MAX_PARKED)
            self._parked += 1
            self._running -= 1
            self._grant()

    def resume(self, is_over: Callable[[], bool]) -> None:
        """On a thread, by its work: go on, once there is a place. What is over gets one at once: it only ends."""
        place = threading.Event()
        with self._lock:
            self._parked -= 1
            self._claims.append(place)
            self._grant()
        while not place.wait(LOOK_SECONDS):
            if is_over():
                with self._lock:
                    if not place.is_set():
                        self._claims.remove(place)
                        self._running += 1
                return

    def close(self) -> list[threading.Thread]:
        """Let the threads end; those there are."""
        with self._lock:
            self._closed = True
            self._news.notify_all()
            return list(self._threads)

    def _grant(self) -> None:
        while self._claims and self._running < self._size:
            claim = self._claims.popleft()
            self._running += 1
            if isinstance(claim, threading.Event):
                claim.set()
                continue
            self._granted.append(claim)
            if self._idle >= len(self._granted):
                self._news.notify()
            else:
                thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
                self._threads.add(thread)
                self._idle += 1
                thread.start()

    def _serve(self) -> None:
        while self._run_next():
            pass

    def _run_next(self) -> bool:
        """In a function of its own: else the work, and what it holds, would stay alive until the next comes."""
        with self._lock:
            while not self._granted:
                surplus = self._idle > self._size  # many were parked, and have ended
                if surplus or self._closed or not self._news.wait(_IDLE_SECONDS):
                    if self._granted:  # in the moment in which the wait ended
                        break
                    self._idle -= 1
                    self._threads.discard(threading.current_thread())
                    return False
            work = self._granted.popleft()
            self._idle -= 1
        work(self)
        with self._lock:
            self._running -= 1
            self._idle += 1
            self._grant()
        return True


#: What a thread is to do; the level is its own.
Work: TypeAlias = Callable[[Level], None]
