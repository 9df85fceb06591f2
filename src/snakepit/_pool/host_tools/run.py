"""One call of a host tool while it runs: what it yields under credit, its one answer to the worker, its end.

`AsyncRun` and `ThreadRun` run the function. Everything in `Run` happens on the loop's thread.
"""

from __future__ import annotations

import asyncio
import collections
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

from snakepit._channel.connection import Connection
from snakepit_bridge.wire.attachments import Encoded

from .context import CURRENT, HostCallContext
from .endings import End, cancelled, described, failure, raised
from .masking import Masking
from .room import Room


class Run:
    """Runs one function for one call.

    Args:
        call_id: the worker's number for it; parent: the tool's own call.
        function: with its arguments.
        ended: called once, on the loop's thread, when it has been answered and its function has returned.
    """

    def __init__(
        self,
        connection: Connection,
        call_id: int,
        parent: int,
        context: HostCallContext,
        function: Callable[[], Any],
        masking: Masking,
        ended: Callable[[Run], None],
    ) -> None:
        self.call_id = call_id
        self.parent = parent
        self.context = context
        self._connection = connection
        self._function = function
        self._masking = masking
        self._told_ended = ended
        self._loop = asyncio.get_running_loop()
        self._outflow = connection.outflow(call_id)
        self._room = Room(self._outflow.window.bytes)
        # The mutable state.
        self._items: collections.deque[Encoded] = collections.deque()  # yielded, and not taken for want of credit
        self._last: End | None = None  # how it ends, once those have been taken
        self._answered = False
        self._returned = False

    def credit(self) -> None:
        """The worker has taken items: as many more may go."""
        while self._items and self._connection.offer(self._outflow, self._items[0]):
            self._room.give_back(len(self._items.popleft()))
            self._item_left()
        if self._last is not None and not self._items:
            self._answer(self._last)

    def cancel(self) -> None:
        """Nobody waits for it any more. A task is cancelled, a generator closed; a sync function's result is dropped."""
        if not self.context.cancelled:
            self.context.mark_cancelled()
            self._stop()
            self._answer(cancelled())

    def _stop(self) -> None:
        """Stop the function, as far as that can be."""

    def _item_left(self) -> None:
        """There is more room than before."""

    def _put(self, item: Encoded, found: tuple[str, ...]) -> None:
        """Send an item, which has taken its room, as soon as there is credit; `found` are the secrets in it."""
        self._masking.learn(found)
        if not self._answered:
            self._items.append(item)
            self.credit()

    def _encoded(self, item: Any) -> Encoded:
        """From any thread."""
        return self._connection.encode(item)

    def _return(self, end: End) -> None:
        """The function has returned, or raised. What it has yielded goes first."""
        try:
            if self._items:
                self._last = end
            else:
                self._answer(end)
        finally:
            self._returned = True
            self._settle()

    def _answer(self, end: End) -> None:
        if self._answered:
            return
        self._answered = True
        self._items.clear()
        self._room.close()
        self._item_left()
        self._last = None
        try:
            self._send(end)
        finally:
            self._settle()

    def _send(self, end: End) -> None:
        info = end.failure
        if info is None:
            try:
                self._masking.learn(end.found)
                self._connection.answer(self.call_id, end.value, {"streamed": end.streamed})
            except BaseException as error:  # encoding a value may run code of its own
                info = described(error)
        if info is not None:
            try:
                info = self._masking.masked(info)
            except Exception:  # a rule of the pool's own, perhaps; the tool waits all the same
                info = failure("host_tool_error", "the host tool failed, and what it said cannot be masked")
            self._connection.answer_error(self.call_id, info)

    def _settle(self) -> None:
        if self._returned and self._answered:
            self._told_ended(self)

    def _result(self, value: Any) -> End:
        """What the function has returned; from any thread."""
        return End(value, found=self._masking.find(value))


class AsyncRun(Run):
    """Runs an async function, or async generator function, as a task of the loop."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.task: asyncio.Task[None] | None = None
        self._drained = asyncio.Event()

    def start(self) -> None:
        """Run it."""
        self.task = self._loop.create_task(self._run(), name=f"snakepit-host-tool-{self.context.tool}")
        self.task.add_done_callback(self._task_done)

    async def _run(self) -> None:
        CURRENT.set(self.context)
        try:
            with self._masking.span(self.context):
                value = self._function()
                if inspect.isasyncgen(value):
                    await self._send_all(value)
                    end = End(streamed=True)
                else:
                    end = self._result(await value)
        except asyncio.CancelledError:
            end = cancelled()
        except BaseException as error:  # all of them: a loop ends when a task of it raises SystemExit
            end = raised(error)
        self._return(end)

    async def _send_all(self, items: AsyncIterator[Any]) -> None:
        try:
            async for item in items:
                encoded = self._encoded(item)
                self._room.take(len(encoded))
                self._put(encoded, self._masking.find(item))
                while not self._room.is_there:
                    self._drained.clear()
                    await self._drained.wait()
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    def _task_done(self, _task: asyncio.Task[None]) -> None:
        if not self._returned:  # cancelled before it began
            self._return(cancelled())

    def _item_left(self) -> None:
        self._drained.set()

    def _stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
