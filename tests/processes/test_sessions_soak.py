"""Ten thousand sessions over four workers, with random calls, expiries, ends and fifty kills: no state crosses, nothing is kept."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
from typing import Any

import psutil
import pytest

import snakepit

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing"), pytest.mark.timeout(240)]

SESSIONS, KILLS, AT_ONCE = 10_000, 50, 200

#: What the host may have grown by after all sessions have ended (bytes): caches and arenas, 5 to 7 MiB after 10,000 sessions as after
#: 20,000; not sessions, of which 1 KiB each would be 10 MiB.
MAY_GROW = 8 * 1024 * 1024


class _Soak:
    """What happened, counted; and what each session's state must be."""

    def __init__(self, pool: snakepit.AsyncPool, dice: random.Random) -> None:
        self.pool = pool
        self.dice = dice
        self.served = self.lost = self.crashed = self.expired = 0

    async def run(self, numbers: range) -> None:
        """That many sessions, some at once; as many tasks whatever their number, so that only sessions can make memory grow."""
        left = iter(numbers)

        async def some() -> None:
            for number in left:
                await self.converse(number)

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))

    async def converse(self, number: int) -> None:
        """One session's whole life."""
        ttl = 0.05 if number % 20 == 0 else 600.0
        session = self.pool.session(f"soak-{number}", ttl=ttl)
        await session.open()
        expected, pid = 0, None
        for _ in range(self.dice.randrange(2, 6)):
            if ttl < 1 and self.dice.random() < 0.5:
                await asyncio.sleep(0.1)
            try:
                found = await session.execute("count")
            except snakepit.SessionEnded:
                assert ttl < 1, "a session ended by itself"
                self.expired += 1
                return
            except snakepit.SessionLost as error:
                assert error.details["session_id"] == session.id
                self.lost += 1
                await session.rebind()
                expected, pid = 0, None
            except snakepit.WorkerCrashed:
                self.crashed += 1  # the call ran when the worker was killed; the next says that the session is lost
            else:
                expected += 1
                assert found == {"count": expected, "pid": pid or found["pid"], "session": session.id}
                pid = found["pid"]
                self.served += 1
        if self.dice.random() < 0.9:
            await session.end()

    async def kill_workers(self, done: asyncio.Event, limit: int = KILLS) -> int:
        """Kill a random worker again and again; how many."""
        kills = 0
        while kills < limit and not done.is_set():
            ready = [handle for handle in self.pool.workers() if handle.info().state == "ready"]
            if len(ready) > 1:
                with contextlib.suppress(ProcessLookupError):  # it has just died of the last one
                    os.kill(self.dice.choice(ready).pid or 0, signal.SIGKILL)
                    kills += 1
            await asyncio.sleep(0.02)
        return kills


class _SnapshotSoak(_Soak):
    """Sessions that go wherever there is room, with what their last call left: no call is lost but one whose worker is killed."""

    moved = 0

    async def converse(self, number: int) -> None:
        """One session's whole life, with other calls of it that keep its worker busy."""
        expected = 0
        async with self.pool.session(f"soak-{number}") as session:
            for _ in range(self.dice.randrange(2, 6)):
                facts: list[dict[str, Any]] = []
                busy = session.submit("has_session") if self.dice.random() < 0.3 else None
                await asyncio.sleep(0)  # it goes first: a later call that moves the session would leave behind what this one does
                try:
                    found = await session.execute("count", on_metadata=facts.append)
                except snakepit.WorkerCrashed:
                    self.crashed += 1
                else:
                    expected += 1
                    assert found["count"] == expected
                    self.served += 1
                    self.moved += "session_moved" in facts[0]
                if busy is not None:
                    await asyncio.wait([busy])
                    self.crashed += busy.exception() is not None


async def _rss_after_ends(pool: snakepit.AsyncPool) -> int:
    for info in await pool.sessions():
        await pool.end_session(info.id)
    assert await pool.sessions() == ()
    gc.collect()
    return int(psutil.Process().memory_info().rss)


async def test_ten_thousand_sessions() -> None:
    """Every call lands on its session's worker or says `SessionLost`; when all have ended, memory is what it was."""
    options: Any = {"size": 4, "affinity": "strict_queue", "max_restarts": 1_000, "worker_output": "discard"}
    async with snakepit.AsyncPool("session_tools:SessionTools", **options) as pool:
        warm = _Soak(pool, random.Random(1))
        await warm.run(range(1_000))
        before = await _rss_after_ends(pool)

        soak, done = _Soak(pool, random.Random(2)), asyncio.Event()
        killer = asyncio.create_task(soak.kill_workers(done))
        await soak.run(range(SESSIONS))
        done.set()
        kills = await killer
        after = await _rss_after_ends(pool)

        assert kills == KILLS, f"only {kills} kills before the sessions were through"
        assert soak.lost > 0
        assert soak.expired > 0
        assert soak.served > 2 * SESSIONS
        assert after - before < MAY_GROW, f"the host grew by {(after - before) / 2**20:.1f} MiB"


async def test_a_thousand_sessions_that_move() -> None:
    """With `hint` and snapshots, each call finds what the last that ended had left, wherever it runs and whoever is killed."""
    options: Any = {"size": 4, "max_restarts": 1_000, "worker_output": "discard"}
    async with snakepit.AsyncPool("session_tools:SnapshotTools", **options) as pool:
        soak, done = _SnapshotSoak(pool, random.Random(3)), asyncio.Event()
        killer = asyncio.create_task(soak.kill_workers(done, 10))
        await soak.run(range(1_000))
        done.set()
        assert await killer == 10
        assert await pool.sessions() == ()
        assert soak.served > 2_000
        assert soak.moved > 100
        assert soak.crashed < 200
