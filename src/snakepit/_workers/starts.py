"""How many workers of a pool start at once: so many that the CPUs have to do, not so many that none becomes ready for long.

A start takes its turn from the launch until the worker is ready or has ended, but not for long: one that takes longer does not
compute all the time, and the next may begin. Lives on the pool's loop.
"""

from __future__ import annotations

import asyncio
import collections

from snakepit._cpus import usable_cpus

#: A start is half computing (imports), half waiting; a few beside each other keep the first one quick.
_PER_CPU, _AT_LEAST = 2, 4
#: How long one start may keep others waiting (seconds).
_TURN_SECONDS = 5.0


class Turn:
    """The right to start one worker. It ends by `over`, or by itself after a while."""

    def __init__(self, starts: Starts) -> None:
        self._starts: Starts | None = starts
        self._timer = asyncio.get_running_loop().call_later(_TURN_SECONDS, self.over)

    def over(self) -> None:
        """The worker is ready, or has ended; harmless when said again."""
        self._timer.cancel()
        starts, self._starts = self._starts, None
        if starts is not None:
            starts.ended()


class Starts:
    """Gives turns, first come, first served.

    Args:
        at_once: how many there are at one time; by default as the CPUs allow.
    """

    def __init__(self, at_once: int | None = None) -> None:
        self._free: float = at_once or max(_AT_LEAST, _PER_CPU * usable_cpus())
        self._waiting: collections.deque[asyncio.Future[Turn]] = collections.deque()

    def take(self) -> Turn | None:
        """A turn, if there is one now."""
        if self._free <= 0:
            return None
        self._free -= 1
        return Turn(self)

    async def wait(self) -> Turn:
        """A turn, as soon as there is one."""
        turn = self.take()
        if turn is not None:
            return turn
        given: asyncio.Future[Turn] = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        try:
            return await given
        except asyncio.CancelledError:
            if given.done() and not given.cancelled():
                given.result().over()
            raise

    def open(self) -> None:
        """The pool stops: let everybody through, to see that."""
        self._free = float("inf")
        self._give()

    def ended(self) -> None:
        """A turn is over."""
        self._free += 1
        self._give()

    def _give(self) -> None:
        while self._waiting and self._free > 0:
            given = self._waiting.popleft()
            if not given.done():  # else it was cancelled
                self._free -= 1
                given.set_result(Turn(self))
