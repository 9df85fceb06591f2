"""The way to a session store: at once where it is memory, on a thread of its own where it does I/O. Nothing blocks the loop.

Each request gets an answer in bounded time, whatever the store and the user's code do: an error by name, if nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from snakepit._pool.in_thread import as_exception
from snakepit._sessions.store import SessionStore
from snakepit.errors import SessionStoreError
from snakepit.telemetry.logs import library_logger

T = TypeVar("T")
R = TypeVar("R")

_log = library_logger("snakepit.sessions")

#: Requests that may wait for a store at once.
_MAX_WAITING = 10_000
#: How long a request waits for the store (seconds): longer than one step of SQLite or Redis waits for another host.
_ANSWER_SECONDS = 10.0
#: How long the pool's end waits for the store's thread (seconds).
_CLOSE_SECONDS = 5.0
#: How much of the user's code may run at once, each on a thread of its own. A change that changes a session counts again.
_MAX_ELSEWHERE = 100


class _Request:
    """Something asked on another thread. `then` is called once, on the loop: with the answer, or because nobody waits any more."""

    __slots__ = ("ask", "over", "then", "timer")

    def __init__(self, ask: Callable[[], Any], then: Callable[[Any, Exception | None], None]) -> None:
        self.ask = ask
        self.then = then
        self.timer: asyncio.TimerHandle | None = None
        self.over = False


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
        self._requests: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._open: set[_Request] = set()
        self._elsewhere = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._thread_ended = asyncio.Event()

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

    async def noted(self, request: Callable[[], T], note: Callable[[T], R]) -> R:
        """Ask and wait for what `note`, called with the answer when it comes, makes of it; raises what the store raises.

        Args:
            note: called on the loop's thread, also when the caller has left meanwhile.
        """
        if not self.blocking:
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

    async def run(self, ask: Callable[[], T], what: str) -> T:
        """Run the user's code on a thread of its own, where it may take long and may ask the pool; the pool's end does not wait for it.

        Args:
            what: names it in messages.

        Raises:
            SessionStoreError: too much of it runs already, or the pool is closed.
        """
        for _ in range(int(_ANSWER_SECONDS / 0.01)):
            if self._elsewhere < _MAX_ELSEWHERE:
                break
            await asyncio.sleep(0.01)
        else:
            hint = f"does `{what}` change a session, which runs it again?"
            raise SessionStoreError(f"{_MAX_ELSEWHERE} changes of sessions have run for {_ANSWER_SECONDS:.0f} s", hint=hint)
        future: asyncio.Future[T] = self._loop.create_future()
        request = _Request(ask, _settling(future))
        self._open.add(request)
        self._elsewhere += 1

        def work() -> None:
            self._run(request, what)
            self._post(self._left_elsewhere)

        threading.Thread(target=work, name="snakepit-sessions-change", daemon=True).start()
        return await future

    async def close(self) -> None:
        """End the thread and close the store, if it is ours, when what waits has been asked. Bounded: a stuck store is left behind."""
        self._closed = True
        if not self.blocking:
            self._end_waiting()
            if self._owned:
                self.store.close()
            return
        self._requests.put(None)
        if self._thread is None and self._owned:
            self._start_thread()
        if self._thread is not None:
            try:
                await asyncio.wait_for(self._thread_ended.wait(), _CLOSE_SECONDS)
            except TimeoutError:
                _log.warning("the session store does not answer: it is left to its thread, which closes it as soon as it can")
        self._end_waiting()

    # Inside -----------------------------------------------------------------------------------------------------------------

    def _ask_on_thread(self, ask: Callable[[], Any], then: Callable[[Any, Exception | None], None]) -> None:
        request = _Request(ask, then)
        self._open.add(request)
        refusal = None
        if self._closed:
            refusal = SessionStoreError("the pool is closed, and its session store with it")
        elif self._requests.qsize() >= _MAX_WAITING:
            refusal = SessionStoreError(f"{_MAX_WAITING} requests wait for the session store", hint="it does not answer, or too slowly")
        if refusal is not None:
            self._loop.call_soon(self._finish, request, None, refusal)
            return
        if self._thread is None:
            self._start_thread()
        request.timer = self._loop.call_later(_ANSWER_SECONDS, self._give_up, request)
        self._requests.put(request)

    def _start_thread(self) -> None:
        self._thread = threading.Thread(target=self._serve, name="snakepit-sessions", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while (request := self._requests.get()) is not None:
            if not request.over:  # else nobody waits any more, and others do
                self._run(request, "the session store")
        try:
            if self._owned:
                self.store.close()
        except Exception as error:
            _log.warning("the session store could not be closed: %s", error)
        finally:
            self._post(self._thread_ended.set)

    def _run(self, request: _Request, what: str) -> None:
        answer, problem = None, None
        try:
            answer = request.ask()
        except BaseException as error:  # also SystemExit: it must end neither this thread nor the loop
            problem = as_exception(error, what)
        self._post(self._finish, request, answer, problem)

    def _post(self, function: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has been closed under an open pool
            self._loop.call_soon_threadsafe(function, *args)

    def _finish(self, request: _Request, answer: Any, problem: Exception | None) -> None:
        if request.over:
            return
        request.over = True
        self._open.discard(request)
        if request.timer is not None:
            request.timer.cancel()
        request.then(answer, problem)

    def _give_up(self, request: _Request) -> None:
        hint = "its disk or server is too slow, or another host holds it; what was asked of it may still happen"
        self._finish(request, None, SessionStoreError(f"the session store has not answered for {_ANSWER_SECONDS:.0f} s", hint=hint))

    def _end_waiting(self) -> None:
        for request in list(self._open):
            self._finish(request, None, SessionStoreError("the pool was closed before the session store answered"))

    def _left_elsewhere(self) -> None:
        self._elsewhere -= 1


def _settling(future: asyncio.Future[Any]) -> Callable[[Any, Exception | None], None]:
    def settle(answer: Any, problem: Exception | None) -> None:
        if not future.done():
            future.set_exception(problem) if problem is not None else future.set_result(answer)

    return settle


def _as_it_is(answer: T) -> T:
    return answer
