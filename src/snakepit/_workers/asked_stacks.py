"""Asks a worker that is to live on where its threads are: over its channel, and only if it does not answer by a signal.

The handler of the signal needs no interpreter, so it answers for every worker; but it reads what other threads are changing, which
now and then ends the process. Lives on the pool's loop.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from .lifecycle import State

if TYPE_CHECKING:
    from snakepit_bridge.wire.frames import Stacks

    from .worker import Worker

#: How long it has to answer, until the signal is sent (seconds). A tool that computes in Python lets it in every half millisecond.
WITHIN_SECONDS = 0.1


class AskedStacks:
    """What one worker was asked, and its answers."""

    def __init__(self) -> None:
        self._tokens = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[str]] = {}

    async def of(self, worker: Worker) -> str:
        """Where its threads are; empty if it does not tell, in any way."""
        if worker.state not in (State.READY, State.DRAINING):
            return await worker.stacks()
        token = next(self._tokens)
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiting[token] = answer
        worker.connection.look(token)
        try:
            async with asyncio.timeout(WITHIN_SECONDS):
                return await answer
        except TimeoutError:
            return await worker.stacks()
        finally:
            del self._waiting[token]

    def told(self, event: Stacks) -> None:
        """It has answered."""
        waiting = self._waiting.get(event.token)
        if waiting is not None and not waiting.done():
            waiting.set_result(event.text)
