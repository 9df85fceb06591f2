"""Adapters that write down what is done to them, a line each, into the file that the environment names."""

import asyncio
import os
import threading

from snakepit_bridge import BaseAdapter, tool


def note(*words):
    with open(os.environ["LIFE_LOG"], "a", encoding="utf-8") as log:  # noqa: PTH123
        log.write(" ".join(map(str, words)) + "\n")


class Life(BaseAdapter):
    """Sync hooks, one object for the worker's life."""

    def __init__(self):
        note("init")
        self.calls = 0

    def initialize(self):
        note("initialize", threading.current_thread() is threading.main_thread())

    def cleanup(self):
        note("cleanup", self.calls)

    @tool
    def count(self):
        self.calls += 1
        return self.calls

    @tool
    def fail(self):
        self.calls += 1
        raise ValueError("no")

    @tool
    def numbers(self, n: int):
        for _ in range(n):
            self.calls += 1
            yield {"calls": self.calls}


class Request(Life):
    """A fresh object for each call."""

    lifecycle = "request"


class AsyncLife(BaseAdapter):
    """Async hooks, which share the loop of the tools."""

    async def initialize(self):
        await asyncio.sleep(0)
        self.loop = asyncio.get_running_loop()
        self.calls = 0
        note("initialize")

    async def cleanup(self):
        await asyncio.sleep(0)
        note("cleanup", self.calls, asyncio.get_running_loop() is self.loop)

    @tool
    def count(self):
        self.calls += 1
        return self.calls

    @tool
    async def same_loop(self):
        return asyncio.get_running_loop() is self.loop


class AsyncRequest(AsyncLife):
    lifecycle = "request"

    @tool
    async def numbers(self, n: int):
        for _ in range(n):
            self.calls += 1
            yield {"calls": self.calls}

    @tool
    def generator(self, n: int):
        yield from ({"i": i} for i in range(n))

    @tool
    async def fail(self):
        self.calls += 1
        raise ValueError("no")

    @tool
    def own_loop(self):
        return asyncio.run(asyncio.sleep(0, "done"))


class Mixed(BaseAdapter):
    """Only `cleanup` is async: the loop is there for it."""

    @tool
    def ping(self):
        return "pong"

    async def cleanup(self):
        await asyncio.sleep(0)
        note("cleanup")


class BadCleanup(Life):
    def cleanup(self):
        note("cleanup")
        raise ValueError("cannot clean up")


class BadInit(Life):
    def __init__(self):
        raise OSError("no model here")


class BadInitialize(Life):
    async def initialize(self):
        raise LookupError("no licence")


class Exits(Life):
    def initialize(self):
        raise SystemExit("set MODEL_DIR first")


class BadPerCall(Life):
    """Its hooks fail, call by call."""

    lifecycle = "request"

    def initialize(self):
        note("initialize")
        if os.path.exists(os.environ["LIFE_LOG"] + ".fail"):  # noqa: PTH110
            raise LookupError("no licence")

    def cleanup(self):
        note("cleanup")
        raise ValueError("cannot clean up")


class NoHooks:
    """Not even a BaseAdapter."""

    @tool
    def ping(self):
        return "pong"
