"""Tools whose calls are recorded: each ends in another way."""

import os
import time

from snakepit_bridge import BaseAdapter, StreamChunk, tool


class Recorded(BaseAdapter):
    """One tool for each way to end."""

    @tool
    def train(self, n: int, api_key: str = ""):
        for number in range(n):
            time.sleep(0.05)
            yield {"n": number, "key": api_key, "raw": b"ab"}
        yield "bare"
        yield StreamChunk({"x": 1}, metadata={"m": [1, 2]})
        return {"done": n}

    @tool
    def marked(self):
        yield {"n": 0}
        yield StreamChunk({"n": 1}, is_final=True, metadata={"own": True})

    @tool
    def fail(self):
        yield {"n": 0}
        raise KeyError("no such row")

    @tool
    def die(self):
        yield {"n": 0}
        os._exit(7)

    @tool
    def add(self, a: int, b: int) -> int:
        self.progress(1, 2, message="half")
        time.sleep(0.05)
        return a + b

    @tool
    def hang(self) -> None:
        time.sleep(600)
