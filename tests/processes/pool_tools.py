"""The tools that the tests of pools call, in workers. They tell how far they are by making files: `Marks` reads them."""

from __future__ import annotations

import asyncio
import ctypes
import json
import mmap
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from snakepit_bridge.base_adapter import BaseAdapter, tool


def mark(folder: str, name: str) -> None:
    """Say that this point has been reached."""
    (pathlib.Path(folder) / name).touch()


def wait_for(folder: str, name: str) -> None:
    """Wait until somebody has said so."""
    while not (pathlib.Path(folder) / name).exists():
        time.sleep(0.002)


def _busy() -> None:
    while True:
        pass


def _lock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def _condition() -> None:
    with (condition := threading.Condition()):
        condition.wait()


def _join() -> None:
    thread = threading.Thread(target=time.sleep, args=(600,), daemon=True)
    thread.start()
    thread.join()


def _weak_references() -> None:
    class Thing:
        pass

    def gone(_: Any) -> None:
        for _number in range(2000):
            pass

    while True:
        thing = Thing()
        _reference = weakref.ref(thing, gone)
        del thing


def _called_back() -> None:
    numbers = (ctypes.c_int * 2000)(*range(2000))
    pointer = ctypes.POINTER(ctypes.c_int)
    compare = ctypes.CFUNCTYPE(ctypes.c_int, pointer, pointer)(lambda a, b: (b[0] > a[0]) - (b[0] < a[0]))
    while True:
        ctypes.CDLL(None).qsort(numbers, 2000, 4, compare)


BLOCKS: dict[str, Callable[[], Any]] = {
    "sleep": lambda: time.sleep(600),
    "busy loop": _busy,
    "queue.get": lambda: queue.Queue().get(),
    "SimpleQueue.get": lambda: queue.SimpleQueue().get(),
    "subprocess.run": lambda: subprocess.run(["sleep", "600"], check=False),
    "lock": _lock,
    "event": lambda: threading.Event().wait(),
    "condition": _condition,
    "join": _join,
    "pipe": lambda: os.read(os.pipe()[0], 1),
    "callbacks of weak references": _weak_references,
    "callbacks of C code": _called_back,
}


class PoolTools(BaseAdapter):
    """Plain tools: all of them sync, so the worker has no asyncio loop."""

    @tool
    def add(self, a: int, b: int = 1) -> int:
        return a + b

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def threads(self) -> int:
        return threading.active_count()

    @tool
    def echo(self, value: Any = None) -> Any:
        return value

    @tool
    def remaining(self) -> float | None:
        return self.context.remaining

    @tool
    def fail(self, message: str = "no luck") -> None:
        raise ValueError(message)

    @tool
    def secrets_seen(self, secret: str) -> list[str]:
        """Where the host's secret can be seen by user code."""
        places = {
            "os.environ": json.dumps(dict(os.environ)),
            "os.environb": repr(os.environb),
            "sys.argv": repr(sys.argv),
            "sys.orig_argv": repr(sys.orig_argv),
            "/proc/self/cmdline": pathlib.Path("/proc/self/cmdline").read_text(encoding="utf-8"),
            "a child's environment": subprocess.run(["env"], check=True, capture_output=True, text=True).stdout,
        }
        return [place for place, text in places.items() if secret in text]

    @tool
    def settings_seen(self, variable: str = "HOME") -> dict[str, Any]:
        return {"cwd": str(pathlib.Path.cwd()), "variable": os.environ.get(variable), "executable": sys.executable, "argv": sys.argv}

    @tool
    def say(self, text: str, error: str = "") -> None:
        print(text)
        print(error, file=sys.stderr)

    @tool
    def steps(self, total: int) -> str:
        for done in range(1, total + 1):
            self.progress(done, total)
        return "done"

    @tool
    def report_and_hold(self, folder: str) -> None:
        try:
            self.progress(1, 2)
            wait_for(folder, "never")
        finally:
            mark(folder, "left")

    @tool
    def count(self, n: int, start: int = 0) -> Iterator[dict[str, int]]:
        for number in range(start, start + n):
            yield {"n": number}
        return "counted"

    @tool
    def hold_and_tidy(self, folder: str, seconds: float) -> None:
        """Its cleanup takes a while, and says so only if it ran to its end."""
        try:
            mark(folder, "started")
            time.sleep(600)
        finally:
            time.sleep(seconds)
            mark(folder, "tidied")

    @tool
    def stream_and_tidy(self, folder: str, seconds: float) -> Iterator[int]:
        try:
            yield 0
            time.sleep(600)
        finally:
            time.sleep(seconds)
            mark(folder, "tidied")

    @tool
    def hold(self, folder: str, kind: str = "sleep") -> None:
        """Block until cancelled, and say that it was left."""
        try:
            mark(folder, "started")
            BLOCKS[kind]()
        finally:
            mark(folder, "left")

    @tool
    def hold_stream(self, folder: str, chunks: int = 1, kind: str = "sleep") -> Iterator[int]:
        """Give some chunks, then block until cancelled, and say that it was left."""
        try:
            yield from range(chunks)
            mark(folder, "started")
            BLOCKS[kind]()
        finally:
            mark(folder, "left")

    @tool
    def endless(self, folder: str = "") -> Iterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
        finally:
            if folder:
                mark(folder, "left")

    @tool
    def tidy_stream(self, folder: str, seconds: float) -> Iterator[int]:
        """A stream whose cleanup takes a while."""
        try:
            while True:
                yield 0
        finally:
            time.sleep(seconds)
            mark(folder, "left")

    @tool
    def until(self, folder: str, name: str, started: str = "started") -> str:
        mark(folder, started)
        wait_for(folder, name)
        return name

    @tool
    def gap(self, folder: str, before: int, after: int) -> Iterator[int]:
        """Some chunks, a wait until the host says `go`, and some more."""
        yield from range(before)
        wait_for(folder, "go")
        yield from range(before, before + after)

    @tool
    def swallow(self, folder: str) -> None:
        """Takes no notice of being cancelled, whatever is raised in it."""
        mark(folder, "started")
        while True:
            try:
                while True:
                    time.sleep(0.01)
            except BaseException:
                mark(folder, "swallowed")

    @tool
    def counted(self, path: str, n: int, size: int) -> Iterator[bytes]:
        """Chunks of `size` bytes; how many were made stands in the first bytes of a file."""
        with pathlib.Path(path).open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
            for number in range(1, n + 1):
                shared[:8] = number.to_bytes(8, "little")
                yield bytes(size)

    @tool
    def die(self, signal_name: str = "SIGKILL") -> None:
        os.kill(os.getpid(), getattr(signal, signal_name))
        time.sleep(600)

    @tool
    def leave(self, code: int, words: str = "") -> None:
        """End the whole worker process."""
        print(words, file=sys.stderr, flush=True)
        os._exit(code)

    @tool
    def leave_after(self, folder: str, chunks: int) -> Iterator[int]:
        """Some chunks; when the host has them, the worker process ends by a segmentation fault."""
        yield from range(chunks)
        wait_for(folder, "go")
        ctypes.string_at(0)

    @tool
    def kinds(self, path: str = None, ratio: float = 1.0, items: list = (), table: dict = {}, anything=None) -> str:  # noqa: RUF013, B006
        return repr((path, ratio, list(items), table, anything))

    @tool
    def spread(self, first: int, /, *rest: int, flag: bool = False, **others: Any) -> list[Any]:
        return [first, list(rest), flag, others]

    @tool
    def timeout(self, timeout: float) -> float:
        """Has a parameter named like an option of the call."""
        return timeout


class AsyncTools(BaseAdapter):
    """Async tools, many at once."""

    concurrency = 1000

    def initialize(self) -> None:
        self.running = 0

    @tool
    async def pid(self) -> int:
        return os.getpid()

    @tool
    async def hold(self, folder: str = "") -> None:
        self.running += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.running -= 1
            if folder:
                mark(folder, "left")

    @tool
    async def held(self) -> int:
        return self.running

    @tool
    async def ticks(self, folder: str = "") -> AsyncIterator[int]:
        self.running += 1
        try:
            number = 0
            while True:
                yield number
                number += 1
                await asyncio.sleep(0)
        finally:
            self.running -= 1
            if folder:
                mark(folder, "left")

    @tool
    async def tidy(self, folder: str, seconds: float) -> None:
        """Its cleanup takes a while, and computes in between."""
        try:
            mark(folder, "started")
            await asyncio.Event().wait()
        finally:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                pass
            await asyncio.sleep(0)
            mark(folder, "left")
