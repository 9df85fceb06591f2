"""Tools of an adapter that was written for Snakepit."""

import os
import time

from snakepit_bridge import telemetry
from snakepit_bridge.base_adapter import BaseAdapter, StreamChunk, tool


class Adapter(BaseAdapter):
    made = 0

    def __init__(self):
        type(self).made += 1

    @tool(description="How often an instance was made")
    def instances(self) -> int:
        return self.made

    @tool
    def give(self, kind: str):
        import datetime

        import numpy

        return {
            "none": None,
            "true": True,
            "five": 5,
            "half": 0.5,
            "huge": 2**70,
            "text": "grüße",
            "bytes": b"\x00\xff",
            "tuple": (1, 2),
            "set": {3, 1},
            "array": numpy.arange(3),
            "map": {"a": (1, {2}), "when": datetime.date(2026, 1, 2), "odd": object()},
            "nan": float("nan"),
        }[kind]

    @tool
    def fail(self):
        raise KeyError("nothing here")

    @tool
    def leave(self):
        raise SystemExit(3)

    @tool
    def size(self, data: bytes, factor: int = 1) -> int:
        return len(data) * factor

    @tool
    def remember(self, value):
        self.session.state["value"] = value
        return self.session.id

    @tool
    def recall(self):
        return self.session.state.get("value")

    @tool
    def shown(self, value):
        return f"{type(value).__name__} {value!r}"

    @tool
    def ask(self, name: str, a, b):
        return self.host_tools[name](a, b=b)

    @tool
    def offered(self):
        return sorted(self.host_tools)

    @tool
    def sleep(self, seconds: float):
        time.sleep(seconds)
        return "slept"

    @tool
    def pid(self) -> int:
        return os.getpid()

    @tool(supports_streaming=True)
    def chunks(self, count: int):
        for number in range(count):
            yield {"n": number}

    @tool(supports_streaming=True)
    def odd_chunks(self):
        yield b"\x00raw"
        yield "text"
        yield None
        yield [1, 2]
        yield {object}
        yield StreamChunk({"last": 1}, is_final=True, metadata={"kind": "best"})

    @tool(supports_streaming=True)
    def broken(self, length: int = 0, char: str = ""):
        yield {"n": 0}
        raise ValueError("in the middle" + length * char)

    @tool
    def in_c(self):
        """One call that comes back to Python after many seconds: until then no handler runs."""
        import hashlib

        return hashlib.pbkdf2_hmac("sha256", b"a", b"b", 100_000_000).hex()

    @tool(supports_streaming=True)
    def stuck(self):
        yield {"n": 0}
        time.sleep(600)

    @tool
    def emit(self):
        telemetry.emit("tool.result_size", {"bytes": 12, "ratio": 0.5}, {"tool": "emit"})
        telemetry.emit("python.gc.completed", {"count": 1})
