"""Adapters for the thread profile: several calls at once in one worker."""

from __future__ import annotations

import asyncio
import contextvars
import mmap
import os
import pathlib
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pool_tools import BLOCKS, mark, wait_for
from snakepit_bridge.base_adapter import BaseAdapter, tool
from snakepit_bridge.base_adapter_threaded import ThreadSafeAdapter, thread_safe_method

_left = contextvars.ContextVar("left", default="")


class _Common(BaseAdapter):
    """What all of them can do."""

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def nap(self, seconds: float, value: Any = None) -> Any:
        time.sleep(seconds)
        return value

    @tool
    def fail(self, message: str) -> None:
        raise ValueError(message)


class Plain(_Common):
    """Does not say whether it is thread-safe."""


class ThreadTools(_Common, ThreadSafeAdapter):
    """Says that it is."""

    def initialize(self) -> None:
        self.running = self.most = 0
        self.total = 0
        self.made: list[str] = []

    @tool
    def meet(self, folder: str, name: str, others: list[str]) -> str:
        """Return once all the others run too."""
        mark(folder, name)
        for other in others:
            wait_for(folder, other)
        return threading.current_thread().name

    @tool
    def crowd(self, seconds: float) -> int:
        """How many calls have been in here at once, at most."""
        with self.acquire_lock():
            self.running += 1
            self.most = max(self.most, self.running)
        time.sleep(seconds)
        with self.acquire_lock():
            self.running -= 1
        return self.most

    @tool
    def who(self, token: str, rounds: int) -> dict[str, Any]:
        """What belongs to the call, asked again and again while others run: it must never change."""
        first = (self.context.call_id, self.session.id, self.context.tool)
        assert self.session.metadata.get("token") == token, "another session's metadata"
        assert _left.get() == "", "a context variable of another call"
        _left.set(token)
        for step in range(rounds):
            assert (self.context.call_id, self.session.id, self.context.tool) == first, "another call's context"
            assert self.session.state.setdefault("token", token) == token, "another session's state"
            assert _left.get() == token
            self.progress(step + 1, rounds, token=token)
            time.sleep(random.choice([0, 0, 0.0005]))
        return {"token": token, "session": first[1]}

    @tool
    def who_streams(self, token: str, rounds: int) -> Iterator[dict[str, Any]]:
        for step in range(rounds):
            assert self.session.state.setdefault("token", token) == token
            self.progress(step, rounds, token=token)
            yield {"token": token, "step": step, "session": self.session.id}
            time.sleep(random.choice([0, 0.0005]))

    @tool
    def numbers(self, count: int) -> Iterator[int]:
        yield from range(count)
        return count

    @tool
    def counted(self, path: str, count: int) -> Iterator[int]:
        """How many have been made stands in the first bytes of a file."""
        with pathlib.Path(path).open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            for number in range(1, count + 1):
                shared[:8] = number.to_bytes(8, "little")
                yield number

    @tool
    def spin(self, seconds: float, value: int) -> int:
        """Compute for a while, in code that never asks whether it is cancelled."""
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return value

    @tool
    def hold(self, folder: str, kind: str) -> None:
        """Run for ever, and say that it was left."""
        try:
            mark(folder, "started")
            while True:
                if kind == "sleeping loop":
                    time.sleep(0.01)
                elif kind == "reporting loop":
                    self.progress(1)
                elif kind in BLOCKS:
                    BLOCKS[kind]()
        finally:
            mark(folder, "left")

    @tool
    def hold_stream(self, folder: str) -> Iterator[int]:
        try:
            yield from range(1_000_000_000)
        finally:
            mark(folder, "left")

    @tool
    def block(self, folder: str) -> None:
        """One call into C that takes long."""
        mark(folder, "started")
        time.sleep(60)

    @tool
    def until(self, folder: str, name: str) -> str:
        mark(folder, "waits")
        wait_for(folder, name)
        return name

    @tool
    def fork(self) -> int:
        """The child comes back out of the tool, and must not go on as a second worker."""
        child = os.fork()
        if child == 0:
            return -1
        return os.waitpid(child, 0)[1]

    @tool
    def ask(self, name: str, value: Any) -> list[Any]:
        return [self.host_tools[name](value) for _ in range(5)]

    @tool
    def ask_rows(self, name: str, value: Any) -> list[Any]:
        return list(self.host_tools[name](value))

    # the helpers

    @tool
    def remember(self, folder: str, name: str, others: list[str]) -> list[Any]:
        """Keep something in this thread's own state, while others do the same in theirs."""
        own = self.get_thread_local("names", list)
        own.append(name)
        self.set_thread_local("last", name)
        self.thread_local.attribute = name
        mark(folder, name)
        for other in others:
            wait_for(folder, other)
        found = [own, self.get_thread_local("last"), self.thread_local.attribute]
        self.clear_thread_local("last")
        return [*found, self.get_thread_local("last")]

    @tool
    @thread_safe_method
    def add_below(self, n: int) -> int:
        """Would lose additions if two threads were in here."""
        total = self.total
        time.sleep(0.0005)
        self.total = total + n
        return self.total

    @thread_safe_method
    @tool(description="The same, decorated the other way round")
    def add_above(self, n: int) -> int:
        return self.add_below(n)

    @tool
    @thread_safe_method
    def add_stream(self, count: int) -> Iterator[int]:
        for _ in range(count):
            total = self.total
            time.sleep(0.0005)
            self.total = total + 1
            yield self.total
        return "added"

    @tool
    def hold_lock(self, folder: str) -> None:
        with self.acquire_lock():
            mark(folder, "locked")
            wait_for(folder, "release")

    @tool
    def want_lock(self, folder: str) -> None:
        try:
            mark(folder, "wants")
            with self.acquire_lock():
                mark(folder, "got")
        finally:
            mark(folder, "gave up")

    @tool
    @thread_safe_method
    def locked_stream(self, folder: str) -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            mark(folder, "closed")


class ThreadSessions(_Common, ThreadSafeAdapter):
    """Counts what its hooks see."""

    @staticmethod
    def on_session_start(session: Any) -> None:
        time.sleep(0.05)
        session.state["starts"] = session.state.get("starts", 0) + 1

    def on_session_end(self, session: Any) -> None:
        folder = session.metadata.get("folder")
        if folder:
            mark(folder, f"ended-while-{session.state.get('running', 0)}-run")

    def snapshot(self, session: Any) -> Any:
        seen = len(session.state.get("seen", ()))
        time.sleep(random.uniform(0.0, 0.01))  # another call's, begun later, could overtake it
        return {"seen": seen}

    def restore(self, session: Any, data: Any) -> None:
        session.state["restored"] = data["seen"]

    @tool
    def starts(self) -> int:
        return self.session.state["starts"]

    @tool
    def see(self, item: int) -> int:
        self.session.state.setdefault("seen", []).append(item)
        return item

    @tool
    def die(self) -> None:
        os.kill(os.getpid(), 9)

    @tool
    def restored(self) -> int:
        return self.session.state["restored"]

    @tool
    def stay(self, folder: str) -> None:
        self.session.state["running"] = 1
        try:
            mark(folder, "stays")
            while True:
                time.sleep(0.01)
        finally:
            time.sleep(0.1)
            self.session.state["running"] = 0


class Fresh(BaseAdapter):
    """A fresh instance for each call."""

    lifecycle = "request"

    def initialize(self) -> None:
        self.seen: list[int] = []

    def cleanup(self) -> None:
        assert len(self.seen) == 1

    @tool
    def see(self, value: int) -> list[int]:
        time.sleep(0.01)
        self.seen.append(value)
        return self.seen


class Mixed(ThreadSafeAdapter):
    """Async tools on the worker's loop, sync ones on its threads, and hooks that are async."""

    async def on_session_start(self, session: Any) -> None:
        await asyncio.sleep(0.01)
        session.state["starts"] = session.state.get("starts", 0) + 1

    @tool
    async def loop_thread(self) -> str:
        return threading.current_thread().name

    @tool
    def thread(self) -> str:
        return threading.current_thread().name

    @tool
    def nap(self, seconds: float, value: Any = None) -> Any:
        time.sleep(seconds)
        return value

    @tool
    async def nap_later(self, seconds: float, value: Any = None) -> Any:
        await asyncio.sleep(seconds)
        return value

    @tool
    async def ticks(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    @tool
    def in_session(self) -> list[Any]:
        return [self.session.id, self.session.state["starts"], threading.current_thread().name]

    @tool
    async def in_session_later(self) -> list[Any]:
        return [self.session.id, self.session.state["starts"], threading.current_thread().name]

    @tool
    def hold(self, folder: str) -> None:
        try:
            mark(folder, "started")
            while True:
                time.sleep(0.01)
        finally:
            mark(folder, "left")

    @tool
    def stops(self) -> None:
        raise StopIteration("odd")

    @tool
    def runs_a_loop(self) -> int:
        return asyncio.run(self._three())

    @staticmethod
    async def _three() -> int:
        await asyncio.sleep(0)
        return 3


class Unlocked(BaseAdapter):
    """Uses a decorator that it has no lock for."""

    thread_safe = True

    @tool
    @thread_safe_method
    def work(self) -> None: ...
