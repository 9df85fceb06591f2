"""Runs what blocks on a thread of its own, so that the loop goes on: opening a store, asking an interpreter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T], name: str, undo: Callable[[T], object] = lambda _: None) -> T:
    """What a function gives; raises what it raises.

    Args:
        function: must be bounded by itself: nothing can interrupt it.
        name: of the thread.
        undo: called with the answer if nobody waits for it any more.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def take(answer: list[T], problem: Exception | None) -> None:
        if not future.done():
            future.set_exception(problem) if problem is not None else future.set_result(answer[0])
        elif answer:
            undo(answer[0])

    def work() -> None:
        answer: list[T] = []
        problem: Exception | None = None
        try:
            answer.append(function())
        except Exception as error:
            problem = error
        try:
            loop.call_soon_threadsafe(take, answer, problem)
        except RuntimeError:  # the loop has been closed meanwhile
            for item in answer:
                undo(item)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future
