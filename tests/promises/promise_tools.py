"""Tools that wait in every way there is, hold a model meanwhile, and end only when they are made to."""

import asyncio
import ctypes
import logging
import os
import pathlib
import queue
import socket
import subprocess
import tempfile
import threading
import time

from snakepit_bridge import BaseAdapter, tool

LOCK = threading.Lock()
LOCK.acquire()


def mark(folder, name):
    (pathlib.Path(folder) / name).touch()


def _fifo():
    path = pathlib.Path(tempfile.mkdtemp()) / "fifo"
    os.mkfifo(path)
    end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(end, True)
    writer = os.open(path, os.O_WRONLY)  # else the read ends at once
    try:
        os.read(end, 1)
    finally:
        os.close(end)
        os.close(writer)
        path.unlink()
        path.parent.rmdir()


def _recv():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.recv(1)


def _pipe():
    read, write = os.pipe()
    try:
        os.read(read, 1)
    finally:
        os.close(read)
        os.close(write)


def _file():
    with tempfile.NamedTemporaryFile() as file:
        file.write(bytes(4 * 1024 * 1024))
        file.flush()
        while True:
            file.seek(0)
            file.read()


def _loop():
    total = 0
    while True:
        total += 1


WAYS = {
    "loop": _loop,
    "sleep": lambda: time.sleep(600),
    "recv": _recv,
    "file": _file,
    "fifo": _fifo,
    "pipe": _pipe,
    "lock": LOCK.acquire,
    "queue": lambda: queue.Queue().get(),
    "subprocess": lambda: subprocess.run(["sleep", "600"], check=True),
}


class Waiting(BaseAdapter):
    """Loads a model once."""

    def initialize(self):
        self.model = os.urandom(8).hex()

    @tool
    def loaded(self) -> str:
        return self.model

    @tool
    def wait(self, way: str, folder: str) -> None:
        mark(folder, way)
        WAYS[way]()

    @tool
    def generate(self, folder: str):
        mark(folder, "generator")
        number = 0
        while True:
            yield {"n": number}
            number += 1
            time.sleep(0.001)

    @tool
    async def coroutine(self, folder: str) -> None:
        mark(folder, "coroutine")
        await asyncio.sleep(600)


class Stubborn(BaseAdapter):
    """Ends by being killed alone."""

    @tool
    def swallow(self, folder: str) -> None:
        mark(folder, "started")
        while True:
            try:
                time.sleep(600)
            except BaseException:
                continue

    @tool
    def hold(self, folder: str) -> None:
        mark(folder, "started")
        ctypes.PyDLL(None).sleep(600)

    @tool
    def compute_in_c(self, folder: str) -> None:
        mark(folder, "started")
        sum(range(10**13))

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def stream(self, way: str, folder: str):
        yield 1
        getattr(self, way)(folder)


class _Endless(logging.Handler):
    """Writes a line for ever, under its lock: an exception is held back there, and forced at last."""

    def emit(self, record):
        mark(record.getMessage(), "started")
        time.sleep(600)


class Forced(BaseAdapter):
    """Lets itself be interrupted by force alone."""

    def initialize(self):
        self.log = logging.getLogger("forced")
        self.log.addHandler(_Endless())
        self.log.propagate = False

    @tool
    def write(self, folder: str) -> None:
        self.log.warning(folder)

    @tool
    def pid(self) -> int:
        return os.getpid()


class Logging(BaseAdapter):
    """Takes locks all the time."""

    def initialize(self):
        self.log = logging.getLogger("promise")
        self.log.addHandler(logging.FileHandler(os.devnull))
        self.log.propagate = False
        self.log.setLevel(logging.INFO)
        self.items = queue.Queue()
        self.changed = threading.Condition()

    @tool
    def work(self, folder: str) -> None:
        mark(folder, "started")
        while True:
            self.log.info("still %s", "here")
            self.items.put(1)
            self.items.get()
            with self.changed:
                self.changed.notify_all()

    @tool
    def sound(self) -> list:
        """Are the locks free, and the logger whole?"""
        free = [self.log.handlers[0].lock.acquire(timeout=1), self.items.mutex.acquire(timeout=1), self.changed.acquire(timeout=1)]
        for taken, lock in zip(free, (self.log.handlers[0].lock, self.items.mutex, self.changed), strict=True):
            if taken:
                lock.release()
        return [os.getpid(), *free]


class Racing(BaseAdapter):
    """Ends just when it is cancelled."""

    @tool
    def spend(self, number: int, seconds: float) -> int:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return number * number

    @tool
    def square(self, number: int) -> int:
        for _ in range(50):
            number += 0
        return number * number


class AsyncRacing(Racing):
    """The same on a loop."""

    @tool
    async def spend(self, number: int, seconds: float) -> int:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:  # noqa: ASYNC110 - it is to take so long
            await asyncio.sleep(0.0005)
        return number * number


class Counting(BaseAdapter):
    """What a call did shows in its result."""

    @tool
    def square(self, number: int) -> int:
        return number * number

    @tool
    def count(self, n: int):
        for number in range(n):
            yield {"n": number}

    @tool
    def wait(self, folder: str) -> None:
        mark(folder, "started")
        time.sleep(600)


class Sleeping(BaseAdapter):
    """For clients of a gateway."""

    @tool
    def nap(self, path: str):
        pathlib.Path(path).touch()
        time.sleep(60)

    @tool(supports_streaming=True)
    def ticks(self, path: str):
        yield "tick"
        pathlib.Path(path).touch()
        time.sleep(60)
