"""Scenes for channels on which things go wrong: every kind of call there is, each of which knows what its right end is."""

from __future__ import annotations

import asyncio
import collections
import random
from collections.abc import Awaitable, Callable
from typing import Any

import snakepit
from fault_tools import Tools
from snakepit.testing import AsyncMemoryPool, Faults, TurnedClock

#: Bounds of a scene (seconds of turned time).
CLOSE, CANCEL, START = 3.0, 1.0, 5.0


def double(n: int) -> int:
    return 2 * n


def rows(n: int):
    yield from range(n)


class Caller:
    """Makes one call, and says how it ended. Raises AssertionError if that is not one of the ends it may have."""

    def __init__(self, pool: snakepit.AsyncPool, number: int, dice: random.Random, clock: TurnedClock) -> None:
        self._pool = pool
        self._n = number
        self._dice = dice
        self._clock = clock
        self._timeout = dice.choice([3.0, 8.0])
        self._got: list[Any] = []

    async def call(self, kind: str) -> str:
        began, right = self._clock.now, True
        deed: Callable[[], Awaitable[bool]] = getattr(self, kind)
        try:
            right, end = await deed(), kind
        except snakepit.SnakepitError as error:
            right, end = self._got == list(range(len(self._got))), type(error).__name__
        took = self._clock.now - began
        assert right, f"{kind} of {self._n}: wrong, {end}: {self._got}"
        assert took <= self._timeout + 1e-6, f"{kind} of {self._n}: {end} after {took:g} s of {self._timeout:g} s"
        return end

    async def square(self) -> bool:
        return await self._pool.execute("square", {"n": self._n}, timeout=self._timeout) == self._n**2

    async def nap(self) -> bool:
        seconds = self._dice.choice([0.5, 2.5, 6.0])
        return await self._pool.execute("nap", {"seconds": seconds}, timeout=self._timeout) == seconds

    async def count(self) -> bool:
        stream = self._pool.stream("count", {"n": self._n, "pause": 0.1}, timeout=self._timeout)
        self._got.extend([item async for item in stream.values()])
        return self._got == list(range(self._n)) and stream.result == self._n

    async def leave(self) -> bool:
        async with self._pool.stream("count", {"n": 50, "pause": 0.1}, timeout=self._timeout) as stream:
            async for item in stream.values():
                self._got.append(item)
                if len(self._got) == 3:
                    break
        return self._got == [0, 1, 2]

    async def report(self) -> bool:
        return await self._pool.execute("report", {"n": self._n}, timeout=self._timeout) == self._n

    async def ask(self) -> bool:
        return await self._pool.execute("ask", {"n": self._n}, timeout=self._timeout) == 2 * self._n

    async def ask_rows(self) -> bool:
        return await self._pool.execute("ask_rows", {"n": self._n}, timeout=self._timeout) == list(range(self._n))

    async def remember(self) -> bool:
        session = f"session-{self._n % 2}"
        return await self._pool.execute("remember", {"n": self._n}, session_id=session, timeout=self._timeout) == self._n

    async def cancel(self) -> bool:
        call = asyncio.ensure_future(self._pool.execute("nap", {"seconds": 2.0}, timeout=self._timeout))
        await asyncio.sleep(self._dice.choice([0.0, 0.01, 1.0]))
        call.cancel()
        await asyncio.wait([call])
        if not call.cancelled():
            call.result()
        return True


KINDS = ["square", "nap", "count", "leave", "report", "ask", "ask_rows", "remember", "cancel"]


def pool_with(faults: Faults, **settings: Any) -> AsyncMemoryPool:
    """A pool of `fault_tools`."""
    bounds: dict[str, Any] = {"start_timeout": START, "close_timeout": CLOSE, "cancel_timeout": CANCEL, "max_restarts": 1000}
    pool = AsyncMemoryPool(Tools, faults=faults, **{**bounds, **settings})
    pool.register_tool(double)
    pool.register_tool(rows)
    return pool


async def scene(seed: int, faults: Faults, clock: TurnedClock) -> collections.Counter[str]:
    """Six calls at once on two workers, then the end of the pool: how they ended."""
    dice, pool, ends = random.Random(seed), pool_with(faults, size=2), collections.Counter[str]()
    try:
        await pool.start()
        ends.update(await asyncio.gather(*(Caller(pool, number, dice, clock).call(dice.choice(KINDS)) for number in range(6))))
    except snakepit.PoolStartFailed as error:
        ends[type(error).__name__] += 1
    finally:
        began = clock.now
        await pool.close()
        assert clock.now - began <= CLOSE + 2.0, f"closing took {clock.now - began:g} s"
    return ends


def play(seed: int) -> tuple[collections.Counter[str], Faults]:
    """The scene of a seed: how its calls ended, and what went wrong. The seed is all that is random about it."""
    faults = Faults(seed=seed, rate=0.05)
    with TurnedClock(seed=seed) as clock:
        try:
            return clock.run(scene(seed, faults, clock)), faults
        except BaseException as error:
            error.add_note(f"what came by:\n{faults}")
            raise
