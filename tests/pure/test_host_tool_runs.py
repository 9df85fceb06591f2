"""One call of a host tool over a channel that can be told to fail: exactly one answer, exactly one end, no thread that stays."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest

from pool_fakes import host_call_context, masking
from snakepit._channel.connection import Connection
from snakepit._pool.host_tools.run import AsyncRun, Run
from snakepit._pool.host_tools.thread_run import ThreadRun
from snakepit._pool.host_tools.threads import HostThreads
from snakepit_bridge.wire.answering import Outflow
from snakepit_bridge.wire.codecs import JsonCodec
from snakepit_bridge.wire.frames import Window
from snakepit_bridge.wire.outbox import Outbox

_WINDOW = Window(1024, 1_000_000)


class Channel:
    """Takes so many items, and remembers the answers; `fails` is raised instead of a result's being sent."""

    def __init__(self, room: int = 10_000, fails: BaseException | None = None, breaks: bool = False, window: Window = _WINDOW) -> None:
        self.room = room
        self.window = window
        self.fails = fails
        self.breaks = breaks
        self.items: list[bytes] = []
        self.answers: list[Any] = []

    def outflow(self, call_id: int) -> Outflow:
        return Outflow(call_id, self.window, Outbox(JsonCodec()))

    def encode(self, value: Any) -> bytes:
        return repr(value).encode()

    def offer(self, _outflow: Outflow, item: bytes) -> bool:
        if len(self.items) >= self.room:
            return False
        self.items.append(item)
        return True

    def answer(self, _call_id: int, value: Any, metadata: dict[str, Any]) -> None:
        if self.fails is not None:
            raise self.fails
        self.answers.append((value, metadata["streamed"]))

    def answer_error(self, _call_id: int, info: dict[str, Any]) -> None:
        if self.breaks:
            raise RuntimeError("the channel is broken")
        self.answers.append(info["code"])


class Stage:
    """Runs one function on a channel; `ended` are the runs that said so."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.ended: list[Run] = []
        self.over = asyncio.Event()
        self.masking = masking()
        self.threads = HostThreads(1)

    def begin(self, function: Callable[[], Any], kind: type[Run]) -> Run:
        run = kind(cast("Connection", self.channel), 7, 1, host_call_context(), function, self.masking, self._ended)
        if isinstance(run, AsyncRun):
            run.start()
        elif isinstance(run, ThreadRun):
            assert self.threads.submit(1, run.work())
        return run

    def _ended(self, run: Run) -> None:
        self.ended.append(run)
        self.over.set()

    async def end(self) -> None:
        """Until the run has ended, and its threads."""
        async with asyncio.timeout(5):
            await self.over.wait()
        assert len(self.ended) == 1
        for thread in self.threads.close():
            await asyncio.to_thread(thread.join, 5)
            assert not thread.is_alive()


def function() -> int:
    return 5


async def coroutine() -> int:
    return 5


def generator() -> Iterator[int]:
    yield from range(200)


async def async_generator() -> AsyncIterator[int]:
    for number in range(200):
        yield number


KINDS = [(function, ThreadRun), (generator, ThreadRun), (coroutine, AsyncRun), (async_generator, AsyncRun)]


@pytest.mark.parametrize(("target", "kind"), KINDS)
async def test_one_answer_and_one_end(target: Callable[[], Any], kind: type[Run]) -> None:
    """A result, or the end of a stream behind its items."""
    stage = Stage(Channel())
    stage.begin(target, kind)
    await stage.end()
    streams = target in (generator, async_generator)
    assert stage.channel.answers == [(None, True) if streams else (5, False)]
    assert stage.channel.items == ([repr(number).encode() for number in range(200)] if streams else [])


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), ValueError("no")])
@pytest.mark.parametrize(("target", "kind"), KINDS)
async def test_a_result_that_cannot_be_sent(target: Callable[[], Any], kind: type[Run], fault: BaseException) -> None:
    """Whatever is raised meanwhile, on the loop's own thread: an error is answered instead."""
    stage = Stage(Channel(fails=fault))
    stage.begin(target, kind)
    await stage.end()
    assert stage.channel.answers == ["host_tool_error"]


@pytest.mark.parametrize(("target", "kind"), KINDS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_channel_that_is_broken(target: Callable[[], Any], kind: type[Run], caplog: pytest.LogCaptureFixture) -> None:
    """Nothing can be answered; the run ends all the same, and is forgotten."""
    stage = Stage(Channel(fails=RuntimeError("broken"), breaks=True))
    stage.begin(target, kind)
    await stage.end()
    assert stage.channel.answers == []
    caplog.clear()


async def test_what_cannot_be_masked_is_not_told() -> None:
    """A rule that fails on a text: the tool is answered without it."""

    def broken(_info: dict[str, Any]) -> dict[str, Any]:
        raise re.error("a rule that fails")

    def fails() -> None:
        raise ValueError("secret")

    stage = Stage(Channel())
    stage.masking.masked = broken  # type: ignore[method-assign]
    stage.begin(fails, ThreadRun)
    await stage.end()
    assert stage.channel.answers == ["host_tool_error"]


@pytest.mark.parametrize(("target", "kind"), [KINDS[1], KINDS[3]])
async def test_the_end_waits_for_the_items_before_it(target: Callable[[], Any], kind: type[Run]) -> None:
    """The function has returned; the answer comes when its last items have been taken."""
    channel = Channel(room=190)
    stage = Stage(channel)
    run = stage.begin(target, kind)
    await asyncio.sleep(0.1)
    assert (channel.answers, len(channel.items)) == ([], 190)
    channel.room = 10_000
    run.credit()
    await stage.end()
    assert channel.answers == [(None, True)]
    assert len(channel.items) == 200


@pytest.mark.parametrize(("target", "kind"), [KINDS[1], KINDS[3]])
@pytest.mark.parametrize("room", [0, 190])
async def test_a_cancel_ends_it_at_once(target: Callable[[], Any], kind: type[Run], room: int) -> None:
    """While it waits for its reader, and when it has returned and its items wait: one answer, and what comes later is dropped."""
    channel = Channel(room=room)
    stage = Stage(channel)
    run = stage.begin(target, kind)
    await asyncio.sleep(0.1)
    run.cancel()
    run.cancel()
    assert channel.answers == ["cancelled"]
    await stage.end()
    channel.room = 10_000
    run.credit()
    assert channel.answers == ["cancelled"]
    assert len(channel.items) == room


@pytest.mark.parametrize("kind", [ThreadRun, AsyncRun])
@pytest.mark.parametrize(("size", "ahead"), [(1, 64), (40_000, 3), (1_000_000, 1)])
async def test_it_is_not_far_ahead_of_its_reader(kind: type[Run], size: int, ahead: int) -> None:
    """So many items wait, or as many bytes as the window has and the item with which they are that many; then it goes on, item by item."""
    yielded = []

    def items() -> Iterator[str]:
        for number in range(70):
            yielded.append(number)
            yield "x" * size

    async def async_items() -> AsyncIterator[str]:
        for item in items():
            yield item

    channel = Channel(room=0, window=Window(1024, 100_000))
    stage = Stage(channel)
    run = stage.begin(items if kind is ThreadRun else async_items, kind)
    for taken in range(4):
        channel.room = taken
        run.credit()
        await asyncio.sleep(0.05)
        assert len(channel.items) == taken
        assert len(yielded) == min(70, taken + ahead + (kind is ThreadRun))  # a thread finds with an item in its hand that there is no room
    run.cancel()
    await stage.end()


async def test_a_task_that_is_cancelled_before_it_begins() -> None:
    """Its function is not called, and the run ends."""
    stage = Stage(Channel())
    stage.begin(coroutine, AsyncRun).cancel()
    await stage.end()
    assert stage.channel.answers == ["cancelled"]


@pytest.mark.parametrize("yields", [10, 100_000])
def test_a_loop_that_is_closed_under_a_generator(yields: int) -> None:
    """Nobody cancels it: while it works, or waits for a reader, its thread finds that the loop is closed, and ends."""
    closed, begun, go_on = threading.Event(), threading.Event(), threading.Event()

    def endless() -> Iterator[int]:
        try:
            yield from range(yields)
            begun.set()
            assert go_on.wait(5)
            while True:
                yield 0
        finally:
            closed.set()

    async def main() -> HostThreads:
        stage = Stage(Channel(room=0))
        stage.begin(endless, ThreadRun)
        await asyncio.to_thread(begun.wait, 0.1)
        return stage.threads

    threads = asyncio.run(main())
    go_on.set()
    assert closed.wait(3)
    for thread in threads.close():
        thread.join(5)
        assert not thread.is_alive()
