"""How a pool stops taking calls: it lets those that it has end, for a while, and cuts off the rest. Used by the engine, on its loop."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
from collections.abc import Callable

from snakepit.errors import PoolClosed, SnakepitError

from . import failures
from .call import Call, cancel_each
from .ledger import Ledger


@dataclasses.dataclass(frozen=True, slots=True)
class Drained:
    """How a pool's draining went; true if every call ended by itself.

    Attributes:
        cut_off: calls that had not ended in time, or that a `close` meanwhile cut off.
    """

    cut_off: int = 0

    @property
    def complete(self) -> bool:
        """Did every call end by itself?"""
        return self.cut_off == 0

    def __bool__(self) -> bool:
        return self.complete


class Draining:
    """Which calls a pool still takes, and the end of those that it has.

    Args:
        run_id: names this run of the pool in `Call.ancestors`.
        cancel: ends a call for its caller now: (call, reason, error).

    Attributes:
        begun: it takes no new calls any more.
        loop: where it is to be used.
    """

    def __init__(self, ledger: Ledger, run_id: str, cancel: Callable[[Call, str, SnakepitError], None]) -> None:
        self._ledger = ledger
        self._run_id = run_id
        self._cancel = cancel
        self._cut_off = 0
        self.begun = False
        self.loop = asyncio.get_running_loop()

    def refuses(self, ancestors: tuple[tuple[str, int], ...]) -> bool:
        """Is a call of these ancestors refused? One that a running call of this pool needs for its own end is not."""
        return self.begun and all(run != self._run_id for run, _ in ancestors)

    async def run(self, timeout: float | None) -> Drained:
        """Take no new calls, and wait until those that there are have ended; cut off what has not within `timeout` seconds."""
        self.begun = True
        before = self._cut_off
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._ledger.calls_ended(unary_only=False)
        self.cut_off("the pool was drained", lambda call: failures.drained_under(call, timeout))
        return Drained(self._cut_off - before)

    def run_from_elsewhere(self, timeout: float) -> concurrent.futures.Future[Drained] | None:
        """`run` from any thread; None if its loop has ended."""
        running = self.run(timeout)
        try:
            return asyncio.run_coroutine_threadsafe(running, self.loop)
        except RuntimeError:
            running.close()
            return None

    def cut_off_from_elsewhere(self) -> None:
        """The pool is being closed, and there is no more patience with what runs: from any thread; returns at once."""
        with contextlib.suppress(RuntimeError):  # its loop has ended, and every call with it
            self.loop.call_soon_threadsafe(self.cut_off, "the pool was closed", failures.closed_under)

    def cut_off(self, reason: str, error: Callable[[Call], PoolClosed]) -> None:
        """End every call that is open, now."""

        def end(call: Call) -> None:
            self._cut_off += call.count
            self._cancel(call, reason, error(call))

        cancel_each(self._ledger.open_calls, end)
