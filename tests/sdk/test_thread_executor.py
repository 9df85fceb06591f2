"""The runtime of the thread profile inside any process: no main thread, no signal handler, no socket needed."""

from __future__ import annotations

import pathlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from snakepit_bridge._runtime.executor import Executor
from snakepit_bridge._runtime.link import Link
from snakepit_bridge._runtime.loading import load
from snakepit_bridge.wire import frames
from snakepit_bridge.wire.codecs import codec_named
from snakepit_bridge.wire.host_side import HostMultiplexer

_ADAPTER = """
import asyncio, threading, time
from snakepit_bridge.base_adapter import BaseAdapter, tool

class Sync(BaseAdapter):
    @tool
    def where(self):
        return [threading.current_thread().name, threading.current_thread() is threading.main_thread()]

    @tool
    def hold(self):
        while True:
            time.sleep(0.005)

class Mixed(Sync):
    @tool
    async def later(self):
        await asyncio.sleep(0.001)
        return threading.current_thread().name
"""


class Wire:
    """Carries messages between an executor and a host's multiplexer, in this process."""

    sure = True

    def __init__(self, reference: str, threads: int) -> None:
        self.host = HostMultiplexer(codec_named("json"))
        self.events: list[Any] = []
        self._reference, self._threads = reference, threads
        self._woken, self._made, self._stopped = threading.Event(), threading.Event(), False
        self._worker = threading.Thread(target=self._work, name="some-thread")
        self._worker.start()
        assert self._made.wait(10.0)
        self.link = Link(codec_named("json"), self)
        self.executor.attach(self.link)

    def _work(self) -> None:
        self.executor = Executor(load([self._reference]), "inside", threads=self._threads)
        self.executor.set_up()
        self._made.set()
        self.executor.run(10.0)

    def wake(self) -> None:
        """A `Writer`: something waits."""
        self._woken.set()

    wake_for_chunk = wake_for_flood = wake

    def step(self) -> None:
        """Carry what waits, both ways."""
        while (message := self.host.next_message()) is not None:
            assert self.executor.receive(message) is None
        self._woken.wait(0.01)
        self._woken.clear()
        while (message := self.link.next_message()) is not None:
            self.events += self.host.receive(message)

    def wait(self, kind: Any, count: int = 1, timeout: float = 10.0) -> list[Any]:
        """The events of a kind, once there are so many."""
        deadline = time.monotonic() + timeout
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            assert time.monotonic() < deadline, self.events
            self.step()
        return found

    def close(self) -> None:
        """Drain it; its threads end."""
        self.host.drain()
        self.wait(frames.Bye)
        self._worker.join(10.0)
        assert not self._worker.is_alive()


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    before = set(sys.modules)
    (tmp_path / "inside_tools.py").write_text(_ADAPTER, encoding="utf-8")
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) == str(tmp_path / "inside_tools.py"):
            del sys.modules[name]


@pytest.mark.parametrize("adapter", ["Sync", "Mixed"])
def test_it_runs_beside_other_threads(folder: pathlib.Path, adapter: str) -> None:
    """Calls run, and are cancelled, on threads of an executor that lives on a plain thread; signals and other threads stay as they were."""
    numbers = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
    handlers = {number: signal.getsignal(number) for number in numbers}
    threads = set(threading.enumerate())
    wire = Wire(f"{folder / 'inside_tools.py'}:{adapter}", 2)
    (hello,) = wire.wait(frames.Hello)
    assert hello.info["concurrency"] == 2
    assert [text.partition(":")[0] for text in hello.info["warnings"]] == [f"class {adapter}"]
    assert {number: signal.getsignal(number) for number in numbers} == handlers
    for number in (1, 2, 3):
        wire.host.call(number, "where", {}, {"kill_after": 5.0}, frames.Window())
    results = {event.value[0] for event in wire.wait(frames.Result, 3)}
    assert results <= {"snakepit-tool-1", "snakepit-tool-2"}
    wire.host.call(4, "hold", {}, {"kill_after": 5.0}, frames.Window())
    wire.step()
    wire.host.cancel(4, "enough")
    wire.wait(frames.Failure)
    if adapter == "Mixed":
        wire.host.call(5, "later", {}, {"kill_after": 5.0}, frames.Window())
        assert wire.wait(frames.Result, 4)[-1].value == "some-thread"
    wire.close()
    deadline = time.monotonic() + 5.0
    while set(threading.enumerate()) - threads:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.005)
    assert {number: signal.getsignal(number) for number in numbers} == handlers


def test_the_process_profile_needs_the_main_thread(folder: pathlib.Path) -> None:
    """Without threads a signal interrupts tools, and Python lets only the main thread set that up: said at once, not at a cancel."""
    errors: list[BaseException] = []

    def make() -> None:
        try:
            Executor(load([f"{folder / 'inside_tools.py'}:Sync"]), "inside")
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    assert len(errors) == 1
