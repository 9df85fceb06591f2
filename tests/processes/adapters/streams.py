"""Streams of every shape: payloads, final chunks, metadata, reports."""

import asyncio
import collections
import dataclasses
import os
import pathlib
import threading

from snakepit_bridge import BaseAdapter, StreamChunk, tool


@dataclasses.dataclass
class Step:
    """Looks like a final chunk, without being a dict or a StreamChunk."""

    step: int
    is_final: bool = False


@dataclasses.dataclass
class Duck:
    """What other libraries' chunks look like."""

    data: object
    is_final: bool = False
    metadata: object = None


PAYLOADS = {
    "dict": {"a": 1},
    "empty dict": {},
    "ordered": collections.OrderedDict(a=1),
    "int keys": {1: "one"},
    "own metadata": {"a": 1, "_metadata": {"mine": True}},
    "odd metadata": {"a": 1, "_metadata": "text"},
    "not final": {"a": 1, "is_final": False},
    "error": {"error": "row 7 is broken", "row": 7},
    "data": {"data": [1], "raw_data": "mine"},
    "none": None,
    "int": 5,
    "text": "hello",
    "list": [1, {"is_final": True}],
    "tuple": (1, 2),
    "set": {1},
    "dataclass": Step(3),
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"\x00\xff"),
    "memoryview": memoryview(b"\x00\xff"),
    "empty bytes": b"",
    "chunk": StreamChunk({"a": 1}),
    "chunk of text": StreamChunk("hello"),
    "chunk of bytes": StreamChunk(b"\x00\xff"),
    "chunk of nothing": StreamChunk(),
    "chunk with metadata": StreamChunk({"a": 1}, metadata={"tokens": 3}),
    "chunk with both metadata": StreamChunk({"a": 1, "_metadata": {"mine": 1, "tokens": 1}}, metadata={"tokens": 3}),
    "duck": Duck({"a": 1}, metadata={"tokens": 3}),
}

FINALS = {
    "dict": {"a": 1, "is_final": True},
    "truthy": {"a": 1, "is_final": 1},
    "only": {"is_final": True},
    "with metadata": {"a": 1, "is_final": True, "_metadata": {"mine": True}},
    "chunk": StreamChunk({"a": 1}, is_final=True),
    "chunk of text": StreamChunk("bye", is_final=True),
    "chunk of bytes": StreamChunk(b"\x00\xff", is_final=True),
    "chunk of nothing": StreamChunk(is_final=True),
    "chunk with metadata": StreamChunk({"a": 1}, is_final=True, metadata={"tokens": 3}),
    "chunk that says it inside": StreamChunk({"a": 1, "is_final": True}),
    "chunk that denies it inside": StreamChunk({"a": 1, "is_final": False}, is_final=True),
    "duck": Duck({"a": 1}, is_final=True),
    "dataclass": Step(3, is_final=True),
}

RETURNS = {
    "nothing": None,
    "dict": {"loss": 3},
    "dict that is not final": {"loss": 3, "is_final": False},
    "dict with metadata": {"loss": 3, "_metadata": {"mine": 1}},
    "int": 5,
    "text": "done",
    "list": [1, 2],
    "bytes": b"\x00\xff",
    "false": False,
    "empty": {},
}


class Streams(BaseAdapter):
    concurrency = 2

    def __init__(self):
        self.events = []
        self.gate = threading.Event()

    @tool
    def ok(self):
        return "ok"

    @tool
    def pid(self):
        return os.getpid()

    @tool
    def take_events(self):
        events, self.events = self.events, []
        return events

    @tool
    def payload(self, name: str):
        yield PAYLOADS[name]

    @tool
    async def payload_async(self, name: str):
        yield PAYLOADS[name]

    @tool
    def final(self, name: str):
        yield {"before": 1}
        yield FINALS[name]
        self.events.append("resumed")

    @tool
    async def final_async(self, name: str):
        yield {"before": 1}
        yield FINALS[name]
        self.events.append("resumed")

    @tool
    def returning(self, name: str):
        yield {"i": 0}
        return RETURNS[name]

    @tool
    def final_and_return(self):
        yield {"i": 0, "is_final": True}
        return {"loss": 3}

    @tool
    def goes_on(self, n: int):
        try:
            yield {"i": 0}
            yield {"i": 1, "is_final": True}
            for i in range(2, n):
                self.events.append(i)
                yield {"i": i}
        except GeneratorExit:
            self.events.append("closed")
            raise

    @tool
    async def goes_on_async(self, n: int):
        try:
            yield {"i": 0}
            yield {"i": 1, "is_final": True}
            for i in range(2, n):
                self.events.append(i)
                yield {"i": i}
        except GeneratorExit:
            self.events.append("closed")
            raise

    @tool
    def errors_as_data(self, n: int):
        for i in range(n):
            yield {"i": i, "error": "row %d" % i} if i % 2 else {"i": i}  # noqa: UP031

    @tool
    def nothing(self):
        yield from ()

    @tool
    async def nothing_async(self):
        for item in ():
            yield item

    @tool
    def count(self, n: int):
        for i in range(n):
            yield {"i": i}

    @tool
    def same_dict(self, n: int):
        """Yields one dict again and again, changed."""
        state = {}
        for i in range(n):
            state["i"] = i
            yield state
            state["after"] = "too late"

    @tool
    def sizes(self, sizes: list):
        for size in sizes:
            yield {"blob": b"x" * size}

    # Reports

    @tool
    def report_and_yield(self, n: int):
        for i in range(n):
            self.progress(i + 1, n, note="working")
            yield {"i": i}
        return "done"

    @tool
    async def report_and_yield_async(self, n: int):
        for i in range(n):
            self.progress(i + 1, n, note="working")
            yield {"i": i}

    @tool
    def report_only(self, n: int, mark: str):
        """Never blocks: it gets to its end although nobody reads."""
        for i in range(n):
            self.progress(i + 1, n)
        pathlib.Path(mark).touch()
        return "done"
        yield

    @tool
    async def report_only_async(self, n: int, mark: str):
        for i in range(n):
            self.progress(i + 1, n)
        pathlib.Path(mark).touch()  # noqa: ASYNC240
        return
        yield

    @tool
    def report_flood(self, n: int):
        for i in range(n):
            self.progress(i + 1, n)
        return "done"

    @tool
    async def report_flood_async(self, n: int):
        for i in range(n):
            self.progress(i + 1, n)
        await asyncio.sleep(0)
        return "done"

    @tool
    def report(self, done: float, total: object, info: dict):
        self.progress(done, total, **info)
        return "done"

    @tool
    def report_and_wait(self, done: float):
        """Reports, then waits until `open` is touched: the report has to arrive meanwhile."""
        self.progress(done, 10)
        while not self.gate.wait(0.001):
            self.context.check()
        return "done"

    @tool
    def report_in_stream(self, info: dict):
        self.progress(1, 2, **info)
        yield {"i": 0}

    @tool
    def report_what_cannot_travel(self):
        self.progress(1, 2, thing={"deep": [{object(): 1}]})
        return "done"

    @tool
    def report_in_stream_what_cannot_travel(self):
        yield {"i": 0}
        self.progress(1, 2, thing={"deep": [{object(): 1}]})

    @tool
    def report_after_the_end(self):
        """Another thread goes on reporting on a call that is over."""
        context = self.context
        thread = threading.Thread(target=self._late, args=(context,))
        self.late = thread
        thread.start()
        return "done"

    def _late(self, context):
        self.gate.wait(10)
        for i in range(1000):
            context.progress(i, 1000)
        self.events.append("late")

    @tool
    def let_go(self):
        self.gate.set()
        self.late.join(10)
        self.gate.clear()
