"""Tools that gateways serve in tests."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from snakepit_bridge.base_adapter import BaseAdapter, tool


class GatewayTools(BaseAdapter):
    @tool
    def add(self, a: float, b: float = 1):
        return a + b

    @tool
    def echo(self, value=None):
        return value

    @tool
    def size_of(self, data: bytes):
        return len(data)

    @tool
    def reverse(self, data: bytes):
        return data[::-1]

    @tool
    def blob(self, size: int):
        return b"x" * size

    @tool
    def nap(self, seconds: float, mark: str = ""):
        if mark:
            Path(mark).write_text(str(os.getpid()))
        time.sleep(seconds)
        return "slept"

    @tool
    def leave(self, code: int):
        os._exit(code)

    @tool
    def fail(self, text: str = "no such model"):
        raise LookupError(text)

    @tool
    def half(self):
        raise ValueError("half a pair: \ud800")

    @tool
    def repeat(self, size: int):
        return "x" * size

    @tool
    def holders(self, text: str):
        return [name for name, value in os.environ.items() if text in value]

    @tool
    def die(self, text: str):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
        os._exit(3)

    @tool
    def steps(self, count: int = 3):
        for number in range(count):
            self.progress(number + 1, count)
        return count

    @tool
    def remember(self, value: str = ""):
        if value:
            self.session.state["value"] = value
        return self.session.state.get("value")

    @tool(supports_streaming=True)
    def count(self, to: int, size: int = 0):
        for number in range(to):
            yield {"number": number, "filler": "x" * size}
        return {"counted": to}

    @tool(supports_streaming=True)
    def recorded(self, to: int, size: int, mark: str):
        with Path(mark).open("w", buffering=1) as file:
            for number in range(to):
                file.write(f"{number}\n")
                yield {"number": number, "filler": "x" * size}

    @tool(supports_streaming=True)
    def ticks(self, delay: float = 0.05):
        while True:
            yield "tick"
            time.sleep(delay)

    @tool(supports_streaming=True)
    def mixed(self):
        yield b"\x00\xff"
        yield "text"
        yield 5
        yield [1, None]
