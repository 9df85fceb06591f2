"""One call of a host tool while it runs: its function in a task or on a thread, what it yields under credit, its end.

Everything here runs on the loop's thread but for what says otherwise. Ends in exactly one answer to the worker.
"""

from __future__ import annotations

import asyncio
import collections
import contextvars
import inspect
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from snakepit._channel.connection import Connection
from snakepit.errors import SnakepitError
from snakepit_bridge import redaction
from snakepit_bridge.wire.plain import Unserialisable, find_culprit

from .context import CURRENT, HostCallContext
from .masking import Masking

#: How far a host tool may yield ahead of what the channel takes, beside the window (items).
_AHEAD = 64
_MAX_TEXT = 32 * 1024


class Run:
    """Runs one function for one call.

    Args:
        call_id: the worker's number for it.
        ended: called once, on the loop's thread, when it has been answered and its function has left the loop.
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
        self.task: asyncio.Task[None] | None = None
        self._connection = connection
        self._function = function
        self._masking = masking
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._items: collections.deque[bytes] = collections.deque()
        self._room = threading.Semaphore(_AHEAD)  # for threads
        self._drained = asyncio.Event()
        self._drained.set()
        self._outflow = connection.outflow(call_id)
        self._over = False

    # Async functions ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Run an async function, or async generator function, as a task."""
        self.task = self._loop.create_task(self._run_async(), name=f"snakepit-host-tool-{self.context.tool}")
        self.task.add_done_callback(lambda _task: self._ended(self))

    async def _run_async(self) -> None:
        CURRENT.set(self.context)
        try:
            with self._span():
                value = self._function()
                if inspect.isasyncgen(value):
                    await self._send_all(value)
                    self._answer(None, streamed=True)
                else:
                    self._answer(await value, streamed=False)
        except asyncio.CancelledError:
            self._fail("cancelled", "", "the host tool was cancelled", "")
        except BaseException as error:
            self._raised(error)

    async def _send_all(self, items: AsyncIterator[Any]) -> None:
        try:
            async for item in items:
                self._put(self._encoded(item), self._masking.find(item))
                while len(self._items) >= _AHEAD and not self._over:
                    self._drained.clear()
                    await self._drained.wait()
            while self._items and not self._over:
                self._drained.clear()
                await self._drained.wait()
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    # Sync functions -------------------------------------------------------------------------------------------------------------

    def thread_work(self) -> Callable[[], None]:
        """What a thread is to do: the function in a context of its own."""
        context = contextvars.copy_context()
        return lambda: context.run(self._run_in_thread)

    def _run_in_thread(self) -> None:
        """On a thread of `HostThreads`."""
        CURRENT.set(self.context)
        try:
            with self._span():
                if self.context.cancelled:
                    raise _Left
                value = self._function()
                streamed = inspect.isgenerator(value)
                if streamed:
                    self._send_from_thread(value)
            self._post(self._end_from_thread, None if streamed else value, streamed)
        except _Left:
            self._post(self._leave)
        except BaseException as error:
            self._post(self._end_raised, error)

    def _send_from_thread(self, items: Iterator[Any]) -> None:
        try:
            for item in items:
                self._room.acquire()
                if self.context.cancelled:
                    raise _Left
                self._post(self._put, self._encoded(item), self._masking.find(item))
            for _ in range(_AHEAD):  # all of it has been taken
                self._room.acquire()
            if self.context.cancelled:
                raise _Left
        finally:
            items.close()  # type: ignore[attr-defined]

    def _end_from_thread(self, value: Any, streamed: bool) -> None:
        try:
            self._answer(value, streamed=streamed)
        except BaseException as error:
            self._raised(error)
        self._ended(self)

    def _end_raised(self, error: BaseException) -> None:
        self._raised(error)
        self._ended(self)

    def _leave(self) -> None:
        self._fail("cancelled", "", "the host tool was cancelled", "")
        self._ended(self)

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop has been closed, and the worker has gone with it
            self.context.mark_cancelled()

    # The answer -----------------------------------------------------------------------------------------------------------------

    def credit(self) -> None:
        """The worker has taken items: as many more may go."""
        while self._items and self._connection.offer(self._outflow, self._items[0]):
            self._items.popleft()
            self._room.release()
        if len(self._items) < _AHEAD // 2:
            self._drained.set()

    def cancel(self) -> None:
        """Nobody waits for it any more. A task is cancelled, a generator closed; a sync function's result is dropped."""
        if self.context.cancelled:
            return
        self.context.mark_cancelled()
        self._items.clear()
        self._room.release(2 * _AHEAD)  # a thread that waits for room sees that it is over
        if self.task is not None:
            self.task.cancel()
        self._fail("cancelled", "", "the host tool was cancelled", "")

    def _put(self, item: bytes, found: tuple[str, ...] = ()) -> None:
        """Send an item as soon as there is credit; `found` are the secrets in it."""
        self._masking.learn(found)
        if self._over:
            self._room.release()
            return
        self._items.append(item)
        self.credit()

    def _encoded(self, item: Any) -> bytes:
        try:
            return self._connection.encode(item)
        except Unserialisable as error:
            raise find_culprit(item, error) from None

    def _answer(self, value: Any, *, streamed: bool) -> None:
        if not self._over:
            self._masking.learn(self._masking.find(value))
            self._connection.answer(self.call_id, value, {"streamed": streamed})
            self._over = True

    def _raised(self, error: BaseException) -> None:
        kind = type(error)
        if isinstance(error, Unserialisable):
            what = f"its result{error.path} is a {error.type_name}: {error.reason}"
            self._fail("unserializable", "", what, "")
            return
        name = kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
        code = error.code if isinstance(error, SnakepitError) else "host_tool_error"
        below = error.__traceback__.tb_next if error.__traceback__ is not None else None
        text = "".join(traceback.format_exception(kind, error, below or error.__traceback__))
        self._fail(code, name, _text_of(error), text)

    def _fail(self, code: str, kind: str, message: str, stack: str) -> None:
        if self._over:
            return
        self._over = True
        self._items.clear()
        self._connection.answer_error(self.call_id, self._masking.masked(failure(code, message, kind=kind, stack=stack)))

    def _span(self) -> Any:
        return self._masking.span(self.context)


class _Left(BaseException):
    """Nobody waits for the host tool any more."""


def failure(code: str, message: str, *, kind: str = "", stack: str = "") -> dict[str, Any]:
    """The content of an error frame. Texts are masked and not too long to send at once."""
    texts = {"message": message, "traceback": stack}
    for key, text in texts.items():
        sendable = text.encode("utf-8", "backslashreplace").decode("utf-8")
        texts[key] = redaction.mask(sendable[-_MAX_TEXT:])
    return {"code": code, "type": kind, "chunk": None, **texts}


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:
        return f"<its text cannot be shown: {type(second).__name__}>"
