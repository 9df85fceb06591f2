"""The tools of the contract suite. Reads on Python 3.8, and needs nothing but the SDK: it runs on every interpreter there is."""

import asyncio
import dataclasses
import os
import pathlib
import sys
import time

from snakepit_bridge import BaseAdapter, StreamChunk, tool


def mark(folder, name):
    (pathlib.Path(folder) / name).touch()


@dataclasses.dataclass(frozen=True)
class Point:
    x: int


class Contract(BaseAdapter):
    """Sync tools only: the main thread waits on a queue."""

    @tool
    def echo(self, value=None):
        return value

    @tool
    def kind(self, value=None):
        return [type(value).__name__, repr(value)]

    @tool
    def add(self, a: int, b: int = 2) -> int:
        return a + b

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool
    def python(self) -> list:
        return list(sys.version_info[:2])

    @tool
    def count(self, n: int, size: int = 0):
        for number in range(n):
            yield {"n": number, "pad": "x" * size} if size else {"n": number}

    @tool
    def yields(self, values: list, result=None):
        yield from values
        return result

    @tool
    def own_final(self):
        yield {"n": 0, "is_final": False}
        yield {"n": 1, "is_final": True}

    @tool
    def with_metadata(self):
        yield StreamChunk({"n": 0}, metadata={"source": "here"})
        yield StreamChunk({"n": 1}, is_final=True, metadata={"source": "there"})

    @tool
    def ahead(self, path: str, n: int, size: int):
        for number in range(n):
            new = pathlib.Path(path + ".new")
            new.write_text(str(number + 1))
            new.replace(path)
            yield {"n": number, "data": b"x" * size}

    @tool
    def endless(self, folder: str):
        try:
            number = 0
            while True:
                yield {"n": number}
                number += 1
                time.sleep(0.001)
        finally:
            mark(folder, "left")

    @tool
    def work(self, folder: str, seconds: float = 600.0) -> str:
        """Works in small steps, as a loop over data does."""
        mark(folder, "started")
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                time.sleep(0.002)
            return "done"
        finally:
            mark(folder, "left")

    @tool
    def steps(self, total: int) -> int:
        for done in range(total + 1):
            self.progress(done, total, message=f"step {done}")
            time.sleep(0.02)
        return total

    @tool
    def fail(self, message: str):
        raise ValueError(message)

    @tool
    def fail_later(self, after: int):
        for number in range(after):
            yield {"n": number}
        raise KeyError("late")

    @tool
    def unsendable(self):
        return {"deep": [1, {2: object()}]}

    @tool
    def unkeyable(self):
        return {"deep": [{(Point(1),): 1}]}

    @tool
    def nested(self, levels: int):
        """As JSON writes them: three of its levels each."""
        value = None
        for _ in range(levels):
            value = {1: value}
        return value

    @tool
    def remember(self, value=None):
        seen = self.session.state.setdefault("seen", [])
        seen.append(value)
        return [self.session.id, dict(self.session.metadata), seen]

    @tool
    def told(self):
        return self.session.metadata["value"]

    @tool
    def ask(self, name: str, args: list):
        return self.host_tools[name](*args)

    @tool
    def ask_stream(self, name: str, args: list):
        for item in self.host_tools[name](*args):
            yield {"item": item}

    @tool
    def blob(self, blob: bytes, label: str = "") -> list:
        return [type(blob).__name__, len(blob), sum(blob), label]


class AsyncContract(Contract):
    """The same in a worker whose main thread lives in an asyncio loop, because one tool is async."""

    @tool
    async def sleep(self, seconds: float) -> float:
        await asyncio.sleep(seconds)
        return seconds
