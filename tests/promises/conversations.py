"""Conversations with a worker, frame by frame the same in each run: one for every kind of frame."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import snakepit

TIMEOUT = 20.0


@dataclasses.dataclass
class Ends:
    """How the calls of one conversation ended: each exactly once, or it is not over."""

    right: int = 0
    crashed: int = 0
    wrong: list[Any] = dataclasses.field(default_factory=list)

    async def of(self, call: Awaitable[Any], expected: Any) -> None:
        """One call that gives one result."""
        try:
            found = await call
        except snakepit.WorkerCrashed:
            self.crashed += 1
            return
        self.right += 1
        if found != expected:
            self.wrong.append(found)

    async def of_stream(self, stream: Any, expected: list[Any]) -> None:
        """One that streams: all of it, or its beginning and the error."""
        found: list[Any] = []
        try:
            async for item in stream.values():
                found.append(item)
                await asyncio.sleep(0)
        except snakepit.WorkerCrashed:
            self.crashed += 1
            expected = expected[: len(found)]
        else:
            self.right += 1
        if found != expected:
            self.wrong.append(found)


async def unary(pool: snakepit.AsyncPool, ends: Ends) -> None:
    await ends.of(pool.execute("square", {"n": 5}, timeout=TIMEOUT), 25)


async def stream(pool: snakepit.AsyncPool, ends: Ends) -> None:
    await ends.of_stream(pool.stream("count", {"n": 3, "pause": 0.01}, timeout=TIMEOUT), [0, 1, 2])


async def progress(pool: snakepit.AsyncPool, ends: Ends) -> None:
    await ends.of(pool.execute("report", {"n": 3}, timeout=TIMEOUT, on_progress=lambda _: None), 3)


async def host_tool(pool: snakepit.AsyncPool, ends: Ends) -> None:
    await ends.of(pool.execute("ask", {"n": 4}, timeout=TIMEOUT), 8)
    await ends.of(pool.execute("ask_rows", {"n": 2}, timeout=TIMEOUT), [0, 1])


async def session(pool: snakepit.AsyncPool, ends: Ends) -> None:
    for number in (1, 2):
        await ends.of(pool.execute("remember", {"n": number}, session_id="s", timeout=TIMEOUT), number)
    await pool.end_session("s")


async def cancel(pool: snakepit.AsyncPool, ends: Ends) -> None:
    async with pool.stream("count", {"n": 1000, "pause": 0.01}, timeout=TIMEOUT) as chunks:
        try:
            async for item in chunks.values():
                if item == 1:
                    ends.right += 1
                    break
        except snakepit.WorkerCrashed:
            ends.crashed += 1
    await ends.of(pool.execute("square", {"n": 2}, timeout=TIMEOUT), 4)


CONVERSATIONS: dict[str, Callable[[snakepit.AsyncPool, Ends], Awaitable[None]]] = {
    function.__name__: function for function in (unary, stream, progress, host_tool, session, cancel)
}
CALLS = {"unary": 1, "stream": 1, "progress": 1, "host_tool": 2, "session": 2, "cancel": 2}
