"""Pools inside this process: quick, patched like other code, and gone when they are closed."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from typing import Any

import pytest

import snakepit
from snakepit.testing import AsyncMemoryPool, MemoryPool, TurnedClock, kill
from snakepit_bridge import BaseAdapter, tool
from snakepit_bridge._runtime.link import Link

SOURCE = {"rate": 2}
MADE: list[Tools] = []
ENDED: list[str] = []


class Tools(BaseAdapter):
    """Uses what tests patch."""

    def __init__(self) -> None:
        self.cleaned = False
        MADE.append(self)

    @tool
    def convert(self, amount: int) -> int:
        return amount * SOURCE["rate"]

    @tool
    def thread(self) -> str:
        return threading.current_thread().name

    @tool
    def count(self, n: int):  # type: ignore[no-untyped-def]
        for number in range(n):
            yield {"n": number}

    @tool
    def work(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.002)

    @tool
    def leave(self) -> None:
        raise SystemExit(3)

    def cleanup(self) -> None:
        self.cleaned = True


class SlowToLeave(BaseAdapter):
    """Its end hook outlasts every bound."""

    @tool
    def enter(self) -> str:
        return self.session.id

    def on_session_end(self, session: Any) -> None:
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            try:
                time.sleep(0.01)
            except BaseException:  # it does not listen
                continue
        ENDED.append(session.id)


class Broken(BaseAdapter):
    """Cannot be initialized."""

    def initialize(self) -> None:
        raise OSError("no licence")

    @tool
    def nothing(self) -> None: ...


class Async(BaseAdapter):
    """Sync and async tools beside each other."""

    concurrency = 4

    @tool
    async def meet(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds

    @tool
    def block(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith(("snakepit-memory", "snakepit-tool"))}


def _gone(seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while _threads() and time.monotonic() < until:
        time.sleep(0.01)
    return not _threads()


def test_patches_of_a_test_reach_the_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tools are the very functions of this module, in this process."""
    with MemoryPool(Tools, size=1) as pool:
        assert pool.execute("convert", {"amount": 4}) == 8
        monkeypatch.setitem(SOURCE, "rate", 10)
        assert pool.execute("convert", {"amount": 4}) == 40
        assert pool.execute("thread").startswith("snakepit-tool-")
        assert pool.stats().protocol == "memory"
        info = pool.workers()[0].info()
        assert (info.protocol, info.codec) == ("memory", "msgpack")


def test_nothing_is_left_behind() -> None:
    """Its threads end with it, the adapter was cleaned up, and its channels can be collected."""
    links: list[weakref.ref[Any]] = []
    made = len(MADE)
    gc.collect()
    before = {id(item) for item in gc.get_objects() if type(item) is Link}
    with MemoryPool(Tools, size=2) as pool:
        assert sum(chunk["n"] for chunk in pool.stream("count", {"n": 50}).values()) == 1225
        links += [weakref.ref(item) for item in gc.get_objects() if type(item) is Link and id(item) not in before]
        assert links
    assert _gone(), _threads()
    assert all(tools.cleaned for tools in MADE[made:])
    gc.collect()
    assert [ref() for ref in links if ref() is not None] == []


def test_a_killed_worker_is_replaced() -> None:
    """Its call fails as that of a killed process does, its thread is interrupted, and another worker serves."""
    with MemoryPool(Tools, size=1) as pool:
        pool.start()
        future = pool.submit("work", {"seconds": 30.0})
        while pool.stats().running == 0:
            time.sleep(0.001)
        kill(pool.workers()[0])
        with pytest.raises(snakepit.WorkerCrashed, match="while it ran 'work'"):
            future.result(5)
        assert pool.execute("convert", {"amount": 1}) == 2
        assert pool.stats().restarts == 1
    assert _gone(), _threads()


def test_a_tool_that_exits_ends_its_call_alone() -> None:
    """Not the worker, and not the process, which is the test's."""
    with MemoryPool(Tools, size=1) as pool:
        with pytest.raises(snakepit.ToolError, match="SystemExit"):
            pool.execute("leave")
        assert pool.execute("convert", {"amount": 1}) == 2
        assert pool.stats().restarts == 0


def test_a_sync_tool_has_its_worker_to_itself() -> None:
    """As in a process: async tools run beside each other, and while a sync one runs, nothing else does there."""
    with TurnedClock() as clock, MemoryPool(Async, size=1) as pool:
        pool.start()
        began = clock.now
        assert [future.result() for future in [pool.submit("meet", {"seconds": 3.0}) for _ in range(4)]] == [3.0] * 4
        assert clock.now - began == 3.0
        futures = [pool.submit("block", {"seconds": 2.0}) for _ in range(2)]
        clock.advance(1.0)
        assert (pool.stats().running, pool.stats().queued) == (1, 1)
        assert [future.result() for future in futures] == [2.0, 2.0]
        assert clock.now - began == 7.0


def test_the_thread_profile() -> None:
    """Several sync tools at once, in one worker."""
    with TurnedClock() as clock, MemoryPool(Tools, size=1, profile="thread", threads_per_worker=4) as pool:
        pool.start()
        began = clock.now
        assert [future.result() for future in [pool.submit("work", {"seconds": 3.0}) for _ in range(4)]] == [None] * 4
        assert clock.now - began < 3.1


def test_an_end_hook_that_does_not_end_spares_the_process(capfd: pytest.CaptureFixture[str]) -> None:
    """A worker of its own process would end; this one says so and waits."""
    with TurnedClock() as clock, MemoryPool(SlowToLeave, size=1, cancel_timeout=0.1) as pool:
        session = pool.session("s")
        assert session.execute("enter") == "s"
        session.end()
        clock.advance(1.1)
        assert pool.execute("enter", session_id="again") == "again"
    assert ENDED[0] == "s"
    assert "has not ended within 0.1 s of being interrupted: the worker waits for it" in capfd.readouterr().err


def test_an_adapter_that_cannot_be_initialized() -> None:
    """The pool says so, as every pool."""
    with pytest.raises(snakepit.AdapterError, match="OSError: no licence"):
        MemoryPool(Broken, size=1).start()
    assert _gone(), _threads()


def test_what_may_be_an_adapter() -> None:
    """What a `Pool` takes, and also what is made inside a function, as tests like to; nothing else."""
    seen: list[int] = []

    @tool
    def remember(value: int) -> int:
        seen.append(value)
        return len(seen)

    with MemoryPool([remember, Tools], size=1) as pool:
        assert pool.execute("remember", {"value": 7}) == 1
        assert pool.tools.convert(5) == 10
    assert seen == [7]
    with MemoryPool(size=1) as pool:
        assert pool.tools.ping()
    with pytest.raises(snakepit.AdapterError):
        MemoryPool(f"{__file__}:Broken", size=1).start()
    for wrong, problem in (
        ([], "an empty list"),
        (Tools(), "an object of class Tools"),
        (lambda: 1, "a lambda has no name"),
        (5, "got int"),
    ):
        with pytest.raises(snakepit.ConfigurationError, match=problem):
            MemoryPool(wrong, size=1).start()  # type: ignore[arg-type]


def test_asyncio() -> None:
    """`AsyncMemoryPool` is an `AsyncPool`."""

    async def main() -> list[int]:
        async with AsyncMemoryPool(Tools, size=1) as pool:
            assert await pool.execute("convert", {"amount": 3}) == 6
            return [chunk["n"] async for chunk in pool.stream("count", {"n": 3}) if not chunk["is_final"]]

    assert asyncio.run(main()) == [0, 1, 2]
    assert _gone(), _threads()


@pytest.mark.parametrize("kind", [MemoryPool, AsyncMemoryPool])
def test_settings_of_processes_are_refused(kind: Any) -> None:
    """By name, rather than ignored."""
    for name, value in (
        ("protocol", "json"),
        ("python", "python3"),
        ("command", ["x"]),
        ("env", {"A": "b"}),
        ("cwd", "/"),
        ("hang_timeout", 1.0),
        ("base_port", 0),
    ):
        with pytest.raises(snakepit.ConfigurationError, match=f"{name} is given") as caught:
            kind(Tools, **{name: value})
        assert caught.value.details["field"] == name
