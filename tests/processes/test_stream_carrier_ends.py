"""Nobody writes to a socket that is being closed: uvloop would raise in the middle of the pool's own work, where asyncio is silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from snakepit._channel.stream_carrier import StreamCarrier
from snakepit.errors import ChannelError


class _Ends:
    """Much waits to be written; what happens at the end is kept."""

    def __init__(self) -> None:
        self.written = 0
        self.reasons: list[str] = []

    def next_message(self) -> bytes | None:
        self.written += 1
        return b"\x90" if self.written < 100 else None

    def receive(self, message: bytes) -> bool:
        return bool(message)

    def closed(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Coroutine[Any, Any, None]]], None]:
    """Runs a test on a loop of its own, of either kind."""

    def play(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=pytest.importorskip("uvloop").new_event_loop if request.param == "uvloop" else None) as runner:
            runner.run(asyncio.wait_for(test(), 20))

    return play


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[StreamCarrier, socket.socket]]:
    """A carrier, and the worker's end of its socket."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    carrier = StreamCarrier(asyncio.get_running_loop())
    await carrier.open(ours, ours)
    try:
        yield carrier, theirs
    finally:
        await carrier.close()
        theirs.close()


def test_begun_when_the_worker_has_left(run: Callable[..., None]) -> None:
    """It cannot become ready: that is a failed start, and no failure of whoever starts workers."""

    async def play() -> None:
        async with opened() as (carrier, theirs):
            theirs.close()
            await asyncio.wait([carrier._lost], timeout=10)
            with pytest.raises(ChannelError, match="the worker closed the channel"):
                carrier.begin("msgpack")

    run(play)


def test_begun_while_it_is_being_closed(run: Callable[..., None]) -> None:
    """A pool closes while its workers start."""

    async def play() -> None:
        async with opened() as (carrier, _):
            closing = asyncio.ensure_future(carrier.close())
            await asyncio.sleep(0)
            with pytest.raises(ChannelError, match="was closed before it was used"):
                carrier.begin("msgpack")
            await closing

    run(play)


def test_woken_when_it_was_broken_off(run: Callable[..., None]) -> None:
    """What waits stays where it is, and the end is told once, with its reason."""

    async def play() -> None:
        async with opened() as (carrier, _):
            ends: Any = _Ends()
            carrier.start(ends, asyncio.create_task, "worker-1")
            carrier.break_off("the worker broke the protocol")
            carrier.wake()
            assert ends.written == 0
            await asyncio.wait([carrier._lost], timeout=10)
            carrier.wake()
            assert (ends.written, ends.reasons) == (0, ["the worker broke the protocol"])

    run(play)
