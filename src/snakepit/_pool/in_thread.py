"""Runs what blocks on a thread of its own, so that the loop goes on: opening a store, asking an interpreter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from snakepit.errors import InvalidParameter

T = TypeVar("T")


async def in_thread(function: Callable[[], T], name: str, undo: Callable[[T], object] = lambda _: None) -> T:
    """What a function gives; raises what it raises.

    Args:
        function: must be bounded by itself: nothing can interrupt it.
        name: of the thread.
        undo: called with the answer if nobody waits for it any more; on a thread too, for it may block as well.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def take(answer: list[T], problem: Exception | None) -> None:
        if not future.done():
            future.set_exception(problem) if problem is not None else future.set_result(answer[0])
        elif answer:
            threading.Thread(target=undo, args=answer, name=f"{name}-undo", daemon=True).start()

    def work() -> None:
        answer: list[T] = []
        problem: Exception | None = None
        try:
            answer.append(function())
        except BaseException as error:  # also SystemExit: whoever waits has to be told
            problem = as_exception(error, name)
        try:
            loop.call_soon_threadsafe(take, answer, problem)
        except RuntimeError:  # the loop has been closed meanwhile
            for item in answer:
                undo(item)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await future


def as_exception(error: BaseException, what: str) -> Exception:
    """An error in a form that futures and loops carry: SystemExit would end the loop, StopIteration is refused by futures.

    Args:
        what: has raised it.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    hint = "raise an Exception where something is wrong"
    refusal = InvalidParameter(f"{what} raised {type(error).__name__}: {error}", hint=hint, field=what)
    refusal.__cause__ = error
    return refusal
