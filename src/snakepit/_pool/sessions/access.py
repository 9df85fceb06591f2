"""The way to a session store: at once where it is memory, on a thread of its own where it does I/O. Nothing blocks the loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from snakepit._sessions.store import SessionStore
from snakepit.errors import SessionStoreError

T = TypeVar("T")
R = TypeVar("R")

#: Requests that may wait for a store at once.
_MAX_WAITING = 10_000
#: How long the pool's end waits for the store's thread (seconds).
_CLOSE_SECONDS = 5.0

_Request = tuple[Callable[[], Any], Callable[[Any, Exception | None], None]]


class StoreAccess:
    """Asks one store. Lives on one loop; `close` ends its thread.

    Answers come in the order in which the store gave them. What has to be concluded from an answer is concluded with it, by `then`
    or `note`: a task that waits for it goes on a turn of the loop later, and finds what newer answers have changed.

    Args:
        owned: close the store too.

    Attributes:
        shared: may others change what is in the store?
    """

    def __init__(self, store: SessionStore, *, owned: bool) -> None:
        self.store = store
        self.blocking = store.blocking
        self.shared = store.blocking or not owned
        self._owned = owned
        self._loop = asyncio.get_running_loop()
        self._requests: queue.Queue[_Request | None] = queue.Queue(_MAX_WAITING)
        self._thread: threading.Thread | None = None

    def ask(self, request: Callable[[], T], then: Callable[[T, Exception | None], None]) -> None:
        """Ask the store; `then(answer, error)` is called on the loop's thread: before this returns, if the store is memory."""
        if self.blocking:
            self._ask_on_thread(request, then)
            return
        try:
            answer = request()
        except Exception as error:
            then(None, error)  # type: ignore[arg-type]
        else:
            then(answer, None)

    async def answer(self, request: Callable[[], T]) -> T:
        """Ask and wait for the answer; raises what the store raises."""
        return await self.noted(request, _as_it_is)

    async def noted(self, request: Callable[[], T], note: Callable[[T], R], *, on_thread: bool = False) -> R:
        """Ask and wait for what `note`, called with the answer when it comes, makes of it; raises what the store raises.

        Args:
            note: called on the loop's thread, also when the caller has left meanwhile.
            on_thread: ask on the thread in any case: the request calls the user's code.
        """
        if not self.blocking and not on_thread:
            return note(request())
        future: asyncio.Future[R] = self._loop.create_future()

        def take(answer: T, error: Exception | None) -> None:
            result: Any = None
            if error is None:
                try:
                    result = note(answer)
                except Exception as problem:
                    error = problem
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(result)

        self._ask_on_thread(request, take)
        return await future

    async def close(self) -> None:
        """End the thread, when what waits has been asked; then close the store, if it is ours."""
        thread = self._thread
        if thread is not None:
            with contextlib.suppress(queue.Full):
                self._requests.put_nowait(None)
            for _ in range(int(_CLOSE_SECONDS / 0.01)):
                if not thread.is_alive():
                    break
                await asyncio.sleep(0.01)
        if self._owned:
            self.store.close()

    def _ask_on_thread(self, request: Callable[[], T], then: Callable[[T, Exception | None], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="snakepit-sessions", daemon=True)
            self._thread.start()
        try:
            self._requests.put_nowait((request, then))
        except queue.Full:
            error = SessionStoreError(f"{_MAX_WAITING} requests wait for the session store", hint="it does not answer, or too slowly")
            self._loop.call_soon(functools.partial(then, None, error))  # type: ignore[arg-type]

    def _serve(self) -> None:
        while (item := self._requests.get()) is not None:
            request, then = item
            answer, problem = None, None
            try:
                answer = request()
            except Exception as error:
                problem = error
            with contextlib.suppress(RuntimeError):  # the loop has been closed under an open pool
                self._loop.call_soon_threadsafe(then, answer, problem)


def _as_it_is(answer: T) -> T:
    return answer
