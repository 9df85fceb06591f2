"""A sync function, or generator, that a tool has called: it runs on one thread from its beginning to its end."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from snakepit_bridge.wire.settling import settled

from .context import CURRENT
from .endings import End, cancelled, raised
from .run import Run
from .threads import LOOK_SECONDS, Level, Work


class ThreadRun(Run):
    """Runs a function on a thread of `HostThreads`. A generator whose reader is slow lets others run meanwhile."""

    def work(self) -> Work:
        """What the thread is to do: the function in a context of its own."""
        context = contextvars.copy_context()
        return lambda level: context.run(self._run, level)

    def _run(self, level: Level) -> None:
        CURRENT.set(self.context)
        try:
            with self._masking.span(self.context):
                self._check()
                value = self._function()
                streamed = inspect.isgenerator(value)
                if streamed:
                    self._send_all(value, level)
            end = End(streamed=True) if streamed else self._result(settled(value, forgiving=True))
        except _NobodyWaits:
            end = cancelled()
        except BaseException as error:
            end = raised(error)
        self._post(self._return, end)

    def _send_all(self, items: Iterator[Any], level: Level) -> None:
        try:
            for item in items:
                self._wait_for_room(level)
                encoded = self._encoded(item)
                self._room.take(len(encoded))
                self._post(self._put, encoded, self._masking.find(item))
        finally:
            items.close()  # type: ignore[attr-defined]

    def _wait_for_room(self, level: Level) -> None:
        if not self._room.is_there:
            level.park()
            try:
                while not self._room.wait(LOOK_SECONDS):
                    if self._loop.is_closed():  # and the worker has gone with it
                        self.context.mark_cancelled()
                        break
            finally:
                level.resume(lambda: self.context.cancelled)
        self._check()

    def _check(self) -> None:
        if self.context.cancelled:
            raise _NobodyWaits

    def _post(self, function: Callable[..., None], *args: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:  # the loop has been closed, and the worker has gone with it
            self.context.mark_cancelled()
            self._stop()

    def _stop(self) -> None:
        self._room.close()  # a thread that waits for room sees that it is over


class _NobodyWaits(BaseException):
    """The host tool has been cancelled."""
