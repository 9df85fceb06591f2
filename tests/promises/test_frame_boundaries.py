"""A worker may die at every frame of a conversation: its calls end once, other calls never notice, and the pool is whole again."""

from __future__ import annotations

import asyncio
import itertools
import os
import pathlib
import signal
from collections.abc import Iterator
from typing import Any, Protocol

import pytest

import snakepit
from conversations import CALLS, CONVERSATIONS, Ends
from fault_scenes import double, pool_with, rows
from promise_figures import measured, often
from snakepit._api.base import WorkerHandle
from snakepit._channel import frame_trace
from snakepit._channel.connection import Connection
from snakepit.testing import Fault, Faults, Passed, TurnedClock
from snakepit_bridge.wire.codecs import Codec

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

SIZE = 2


class Watcher(Protocol):
    """Who wants to know of a conversation."""

    def begin(self, worker: WorkerHandle) -> None:
        """This worker will hold it."""

    def end(self) -> None:
        """It is over."""


async def held(pool: snakepit.AsyncPool, name: str, nap: float, watcher: Watcher) -> Ends:
    """Hold a conversation while another worker runs a long call; how its calls ended."""
    await whole(pool)
    ends, other = Ends(), asyncio.ensure_future(pool.execute("nap", {"seconds": nap}, timeout=120))
    busy: list[str] = []
    while not busy:
        await asyncio.sleep(0.001)
        busy = [handle.id for handle in pool.workers() if handle.info().running]
    (free,) = [handle for handle in pool.workers() if handle.id not in busy]
    watcher.begin(free)
    await CONVERSATIONS[name](pool, ends)
    watcher.end()
    assert not other.done(), "it was to outlast the conversation"
    assert await other == nap, "a call on another worker"
    await whole(pool)
    assert await asyncio.gather(*(pool.execute("square", {"n": n}, timeout=20) for n in range(4))) == [0, 1, 4, 9]
    assert ends.wrong == []
    assert ends.right + ends.crashed == CALLS[name]
    return ends


async def whole(pool: snakepit.AsyncPool) -> None:
    """Wait until all workers serve."""
    async with asyncio.timeout(20):
        while pool.stats().workers_ready < SIZE:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.005)


# On the memory channel ------------------------------------------------------------------------------------------------------------


class Recorder:
    """Keeps the frames of a conversation, without signs of life."""

    def __init__(self, faults: Faults) -> None:
        self.frames: list[Passed] = []
        self._faults = faults

    def begin(self, worker: WorkerHandle) -> None:
        self._worker, self._before = worker.id, len(self._faults.passed)

    def end(self) -> None:
        came = self._faults.passed[self._before :]
        self.frames = [item for item in came if item.worker == self._worker and item.kind not in ("PING", "PONG")]


def in_memory(name: str, faults: Faults) -> tuple[Ends, list[Passed]]:
    """A conversation on the memory channel, under the turned clock: its ends and its frames."""
    recorder = Recorder(faults)

    async def main() -> Ends:
        async with pool_with(faults, size=SIZE) as pool:
            return await held(pool, name, 60.0, recorder)

    with TurnedClock() as clock:
        return clock.run(main()), recorder.frames


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_worker_may_die_at_every_frame(name: str) -> None:
    """On the memory channel, before and behind each frame of either direction; a result that has arrived is the call's end."""
    quiet = Faults()
    ends, frames = in_memory(name, quiet)
    assert ends.crashed == 0
    crashed = 0
    for frame, kind in itertools.product(frames, ("kill", "kill_after")):
        faults = Faults.script([Fault(kind, frame.frame, frame.direction, worker=frame.worker)])
        ends, _ = in_memory(name, faults)
        assert [item.kind for item in faults.done] == [kind], f"{frame}: it did not come by"
        crashed += ends.crashed
        if kind == "kill_after" and frame == [item for item in frames if item.kind == "RESULT"][-1]:
            assert ends.crashed == 0, "the last result had arrived"
    assert crashed
    measured.append(f"killed in memory at each of {len(frames)} frames of {name!r}, before and behind: {crashed} calls crashed")


# With processes -------------------------------------------------------------------------------------------------------------------


class Killer:
    """Kills one worker right after its channel's frame number `at` has arrived, or has been sent."""

    def __init__(self, direction: str, at: int) -> None:
        self.direction = direction
        self.at = at
        self.victim = self.seen = 0
        self.killed = False

    def begin(self, worker: WorkerHandle) -> None:
        self.victim = worker.pid or 0

    def end(self) -> None:
        self.victim = 0

    def saw(self, pid: int) -> None:
        """A frame of a worker's; 0: one that has not said yet which it is (a signal to 0 is for this very process)."""
        if pid and pid == self.victim:
            self.seen += 1
            if self.seen > self.at:
                self.victim, self.killed = 0, True
                os.kill(pid, signal.SIGKILL)


def watched(killer: Killer) -> type[Connection]:
    """A connection whose frames the killer sees one by one."""

    class Watched(Connection):
        def __init__(self, carrier: Any, codec: Codec, *rest: Any) -> None:
            super().__init__(carrier, codec, *rest)
            self._codec, self._pid = codec, 0

        def receive(self, message: bytes) -> bool:
            for frame in self._codec.decode(message):
                if not self._pid:
                    self._pid = frame[2]["pid"]
                if not super().receive(self._codec.array([self._codec.encode(frame)])):
                    return False
                if killer.direction == "to_host":
                    killer.saw(self._pid)
            return True

        def next_message(self) -> bytes | None:
            message = super().next_message()
            if message is not None and killer.direction == "to_worker":
                for _ in self._codec.decode(message):
                    asyncio.get_running_loop().call_soon(killer.saw, self._pid)  # once it is written
            return message

    return Watched


async def with_processes(protocol: str, name: str, killer: Killer) -> Ends:
    """A conversation with real workers, which the killer counts from where it begins."""
    tools = f"{pathlib.Path(__file__).with_name('fault_tools.py')}:Tools"
    settings: dict[str, Any] = {"size": SIZE, "protocol": protocol, "heartbeat": False, "max_restarts": 100, "worker_output": "discard"}
    async with snakepit.AsyncPool(tools, **settings) as pool:
        pool.register_tool(double)
        pool.register_tool(rows)
        return await held(pool, name, 0.5, killer)


@pytest.mark.parametrize("protocol", ["msgpack", "grpc"])
@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_process_may_be_killed_at_every_frame(protocol: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL right after each frame that has arrived, and each that was sent, until the conversation is over before it comes to that."""
    kills = 0
    for direction in ("to_host", "to_worker"):
        for at in boundaries():
            killer = Killer(direction, at)
            monkeypatch.setattr(frame_trace, "Connection", watched(killer))
            ends = asyncio.run(with_processes(protocol, name, killer))
            if not killer.killed:
                assert ends.crashed == 0
                break
            kills += 1
    assert kills
    measured.append(f"{name!r} over {protocol}: killed at {kills} frames")


def boundaries() -> Iterator[int]:
    """Each in full; else the first."""
    return iter(range(often(10_000, 1)))
