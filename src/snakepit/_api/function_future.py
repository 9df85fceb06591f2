"""`FunctionFuture`: what an executor's `submit` gives; and how what comes from a worker is read."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pickle
import threading
from collections.abc import Callable
from typing import Any

from snakepit.errors import ToolError
from snakepit_bridge.wire.work import Work

from .future import CallFuture

#: The tool that runs functions.
TOOL = "call_function"


class RemoteTraceback(Exception):
    """The traceback of an error in a worker, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


class Broken(Exception):
    """The initializer has failed in a worker; its traceback as text."""


class FunctionFuture(concurrent.futures.Future[Any]):
    """The result of a function to come. `cancel` succeeds until a worker begins with it, or, where the executor says so, until it ends.

    Args:
        number: functions are given to the pool by it.
        work: what is sent.
        withdraw: takes it back, if that can be; told of it by `cancel`.
        check_wait: told for how long a result is to be waited for (seconds); raises where it could never arrive: in a forked child, or on
            the executor's own thread.
    """

    def __init__(
        self, number: int, work: Work, withdraw: Callable[[list[FunctionFuture]], None], check_wait: Callable[[float | None], None]
    ) -> None:
        super().__init__()
        self.number = number
        self.work: Work | None = work
        self.call: CallFuture | None = None  # while the pool has it
        self.withdrawn = False  # its call has been cancelled, for no worker had begun with it
        self._withdraw: Callable[[list[FunctionFuture]], None] | None = withdraw
        self._check_wait = check_wait
        self._first_cancel = threading.Lock()

    def __lt__(self, other: FunctionFuture) -> bool:
        return self.number < other.number

    def result(self, timeout: float | None = None) -> Any:
        """What the function gave; raises what it raised, or `TimeoutError` after `timeout` seconds of waiting."""
        if not self.done():
            self._check_wait(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """What the function raised, or None; `TimeoutError` after `timeout` seconds of waiting."""
        if not self.done():
            self._check_wait(timeout)
        return super().exception(timeout)

    def running(self) -> bool:
        """Has a worker begun with it, and not ended?"""
        call = self.call
        return not self.done() and call is not None and call.running()

    def __repr__(self) -> str:
        text = super().__repr__()
        return text.replace("state=pending", "state=running") if self.running() else text

    def cancel(self) -> bool:
        """Cancel it if no worker has begun with it. False if it runs or has ended."""
        withdraw = self._withdraw
        if withdraw is not None and not self.done():
            withdraw([self])
        return self.cancelled()

    def be_cancelled(self) -> None:
        """It runs nowhere, and will not."""
        if super().cancel() and self._first_cancel.acquire(blocking=False):
            self.set_running_or_notify_cancel()  # wakes `wait` and `as_completed`; a second time would be an error
        self._let_go()

    def end(self, value: Any, error: BaseException | None) -> None:
        """What came of it; dropped if it has been cancelled."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            if error is None:
                self.set_result(value)
            else:
                self.set_exception(error)
        self._let_go()

    def _let_go(self) -> None:
        self.work = self.call = self._withdraw = None
        self._check_wait = _nothing  # it belongs to the executor, which is not to be kept


def _nothing(_timeout: float | None) -> None: ...


def read(raw: list[Any]) -> tuple[Any, BaseException | None]:
    """What a function gave or raised.

    Raises:
        Broken: it was not run.
    """
    kind, data, buffers, text, name, message = raw
    if kind == "broken":
        raise Broken(data)
    if kind == "lost":
        return None, _lost(data, text, name, message)
    try:
        value = pickle.loads(data, buffers=[bytearray(part) for part in buffers])  # noqa: S301 - the pool allows it, and its worker has made it
        if kind == "result":
            return value, None
        if not isinstance(value, BaseException):
            raise TypeError(f"it is read as a {type(value).__name__}")
    except BaseException as error:  # whatever reading it runs raises, a wish to leave among it
        if kind == "result":
            return None, error
        return None, _lost(f"it cannot be read here: {type(error).__name__}: {error}", text, name, message)
    with contextlib.suppress(Exception):  # one that takes no attributes
        value.__cause__ = RemoteTraceback(text)
    return None, value


def _lost(why: str, text: str, name: str, message: str) -> ToolError:
    """Stands for an error of which this alone has arrived."""
    return ToolError(f"the function raised {name}: {message} ({why})", type=name, traceback=text, tool=TOOL)
