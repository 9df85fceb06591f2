"""`run_as_script`: a program's main, ended by SIGTERM or SIGINT without losing what its pools have been given.

A signal's number goes into a pipe, from C (`set_wakeup_fd`), so that it arrives also while main does not return to Python. A thread reads
it; another one does what has to be done, while main goes on. Every step is bounded, and behind the last bound the process ends itself.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import inspect
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar, overload

from snakepit.config import check_timeout
from snakepit.errors import InvalidParameter, PoolClosed
from snakepit.telemetry.logs import library_logger

from . import open_pools

T = TypeVar("T")

_log = library_logger("snakepit.script")

#: What ends a script.
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_NO_MORE = b"\0"
#: How long after a script's end by a signal a further one is taken for the same wish (seconds).
_LATE = 1.0
#: Beyond `close_timeout`: how long the end of pools, or of a main that was interrupted, may take (seconds).
_BEYOND = 2.0
#: How a main ends that was told to: nothing to be shown.
_EXPECTED = (PoolClosed, SystemExit, KeyboardInterrupt, asyncio.CancelledError)


@overload
def run_as_script(main: Callable[[], Coroutine[Any, Any, T]], *, drain_timeout: float = ..., leave_timeout: float = ...) -> T: ...


@overload
def run_as_script(main: Callable[[], T], *, drain_timeout: float = ..., leave_timeout: float = ...) -> T: ...


def run_as_script(main: Callable[[], Any], *, drain_timeout: float = 20.0, leave_timeout: float = 2.0) -> Any:
    """Run a script's `main`, sync or async, and close the pools that it leaves open.

    On SIGTERM or SIGINT (Ctrl-C) all pools drain: calls that run or wait end, new ones and new pools are refused (`PoolDraining`).
    When they have, or `drain_timeout` is over, `main` has `leave_timeout` to end by itself, not counting what calls that do not stop
    hold it up (`cancel_timeout`). Then it is ended: by SystemExit, or, if it is
    async, by being cancelled. All pools are closed, and the script exits with 143 (SIGTERM) or 130 (SIGINT). A second
    signal skips all waiting and kills the workers.

    Args:
        main: takes nothing. Call from the main thread, once, where the script begins.
        drain_timeout: seconds that calls may take to end after the signal.
        leave_timeout: seconds that `main` may take after that.

    Returns:
        what `main` returns.

    Raises:
        SystemExit: a signal came.
    """
    waits = [
        check_timeout(name, value, optional=False, error=InvalidParameter) or 0.0
        for name, value in (("drain_timeout", drain_timeout), ("leave_timeout", leave_timeout))
    ]
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("run_as_script() handles signals, which the main thread alone can: call it there")
    return _Script(main, *waits).run()


class _Script:
    """One run of a main. `run` is called on the main thread; `_watch` and `_end` have threads of their own."""

    def __init__(self, main: Callable[[], Any], drain_timeout: float, leave_timeout: float) -> None:
        self._main = main
        self._drain_timeout = drain_timeout
        self._leave_timeout = leave_timeout
        self._pid = os.getpid()
        self._thread = threading.get_ident()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._signal: signal.Signals | None = None  # the first that came
        self._task: asyncio.Task[Any] | None = None  # main's, if it is async
        self._ender: threading.Thread | None = None
        self._news = threading.Condition()  # for those of the next line, each of which is set once
        self._drained = self._has_left = self._closed = self._is_over = self._in_haste = False
        self._interrupting = False  # the next signal is our own: main is to be raised out of what it does
        self._own = 0  # of those in the pipe

    # On the main thread -------------------------------------------------------------------------------------------------------

    def run(self) -> Any:
        previous = {number: signal.getsignal(number) for number in _SIGNALS}
        handled = [number for number, handler in previous.items() if handler != signal.SIG_IGN]  # as `nohup` and shells' `&` want it
        watcher = threading.Thread(target=self._watch, name="snakepit-signals", daemon=True)
        watcher.start()
        for number in handled:
            signal.signal(number, self._on_signal)
        wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        _running.add(self)
        try:
            return self._run_main()
        finally:
            if self._ender is not None:
                self._ender.join()  # while the handlers stand: it may have sent us a signal
            _running.discard(self)
            if self._hears():
                signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
            for number in handled:
                late = None if self._signal is None else _Late(previous[number])
                signal.signal(number, late or previous[number] or signal.SIG_DFL)
            os.set_blocking(self._write, True)
            os.write(self._write, _NO_MORE)  # a mere close would not be seen while a forked child has the pipe too
            watcher.join()
            if self._ender is not None:  # a signal may have come since
                self._ender.join()
            os.close(self._read)
            os.close(self._write)
            open_pools.stop(stopping=False)

    def _run_main(self) -> Any:
        result = failure = None
        try:
            try:
                result = self._main()
                if inspect.iscoroutine(result):
                    with asyncio.Runner() as runner:
                        result = runner.run(self._awaited(result))
            finally:
                self._has_left = True  # before anything else: the handler raises no more
        except BaseException as error:  # also what a signal raised in it
            failure = error
        self._tell("_has_left")
        self._close()
        self._tell("_is_over")
        if self._signal is None:
            if failure is not None:
                raise failure
            return result
        if failure is not None and not isinstance(failure, _EXPECTED):
            sys.excepthook(type(failure), failure, failure.__traceback__)
        raise SystemExit(128 + self._signal) from None

    async def _awaited(self, main: Coroutine[Any, Any, Any]) -> Any:
        self._task = asyncio.current_task()
        try:
            return await main
        finally:
            self._tell("_has_left")
            await asyncio.to_thread(self._close)  # while the loop of those that live on it goes on

    def _close(self) -> None:
        """Close all pools. After a signal `_end` does so, when they have drained."""
        if self._signal is None:
            open_pools.close_all(_close_seconds())
        else:
            self._wait("_closed", self._drain_timeout + _close_seconds())

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if os.getpid() != self._pid:  # a forked child, which has nothing to drain
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if not self._hears():  # a loop's add_signal_handler() has taken the pipe's place
            with contextlib.suppress(BlockingIOError):  # full of signals: there is no need for another
                os.write(self._write, bytes([number]))
        if not self._interrupting:
            self._signal = self._signal or signal.Signals(number)
        elif not self._has_left:
            self._interrupting = False
            raise SystemExit(128 + (self._signal or number))

    def _hears(self) -> bool:
        """Does C write what comes into the pipe?"""
        now = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(now, warn_on_full_buffer=False)
        return now == self._write

    # Elsewhere ----------------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while (came := os.read(self._read, 1)) != _NO_MORE:
            if self._own:
                self._own -= 1
            elif came[0] not in _SIGNALS:
                continue  # one that the application handles
            elif self._ender is None:
                self._signal = self._signal or signal.Signals(came[0])
                self._ender = threading.Thread(target=self._end, name="snakepit-end", daemon=True)
                self._ender.start()
            else:
                _log.warning("a second signal: the pools are closed at once")
                self._tell("_in_haste")
                for pool in open_pools.open_pools():
                    pool._kill_from_elsewhere()

    def _end(self) -> None:
        """Drain, let main leave, make it leave, close, and if nothing helps, exit."""
        assert self._signal is not None, "who has started this has seen one"
        open_pools.stop()
        _log.warning("%s: calls have %g s to end; a second signal ends them at once", self._signal.name, self._drain_timeout)
        self._drain()
        if not self._wait("_has_left", self._leave_timeout + _cut_off_seconds(), hasty=True):
            self._interrupt()
        open_pools.close_all(_close_seconds())
        self._tell("_closed")
        if not self._wait("_is_over", _close_seconds()):
            self._give_up(128 + self._signal)

    def _drain(self) -> None:
        """Drain all pools, for `drain_timeout` or until a second signal comes."""
        drains = {drain for pool in open_pools.open_pools() if (drain := pool._drain_from_elsewhere(self._drain_timeout)) is not None}

        def ended(drain: concurrent.futures.Future[Any]) -> None:
            drains.discard(drain)  # on the loop of its pool, where nothing may wait
            if not drains:
                self._tell("_drained")

        for drain in list(drains):
            drain.add_done_callback(ended)
        if drains:
            self._wait("_drained", self._drain_timeout + 1.0, hasty=True)

    def _interrupt(self) -> None:
        """Main is to leave now. It has as long as its pools may take to close."""
        if self._task is not None:
            with contextlib.suppress(RuntimeError):  # its loop has ended in this moment
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)
            if self._wait("_has_left", _BEYOND):
                return
        ours = [number for number in _SIGNALS if signal.getsignal(number) == self._on_signal]  # main may have set its own
        if ours:
            self._interrupting, self._own = True, self._own + 1
            signal.pthread_kill(self._thread, ours[0])
            self._wait("_has_left", _close_seconds())

    @staticmethod
    def _give_up(status: int) -> NoReturn:
        """Main does not end. The pools are closed."""
        _log.error("the script's main does not end: exiting")
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)

    def _tell(self, what: str) -> None:
        setattr(self, what, True)  # before the lock: a handler that comes in between sees it
        with self._news:
            self._news.notify_all()

    def _wait(self, what: str, seconds: float, *, hasty: bool = False) -> bool:
        """Wait until something has been told, for so many seconds; not at all in haste, where that is said."""
        with self._news:
            self._news.wait_for(lambda: getattr(self, what) or (hasty and self._in_haste), seconds)
            return bool(getattr(self, what))


def _cut_off_seconds() -> float:
    """How long calls that were cut off may still hold main up, where it leaves the `with` block of their pool."""
    return max((pool._config.cancel_timeout for pool in open_pools.open_pools() if pool.stats().running), default=0.0)


def _close_seconds() -> float:
    """How long the pools that are open may take to close."""
    return max((pool._config.close_timeout for pool in open_pools.open_pools()), default=0.0) + _BEYOND


class _Late:
    """Handles a signal after a script that another one has ended: right after that it says nothing new, and must not change the status.

    Args:
        before: the handler that was there before the script.
    """

    def __init__(self, before: Any) -> None:
        self._before = before or signal.SIG_DFL
        self._until = time.monotonic() + _LATE

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if time.monotonic() < self._until:
            return
        signal.signal(number, self._before)
        if callable(self._before):
            self._before(number, frame)
        else:
            os.kill(os.getpid(), number)


#: The script of this process; a forked child of it must not write into its pipe.
_running: set[_Script] = set()


def _after_fork_in_child() -> None:
    for script in _running:
        if script._hears():
            signal.set_wakeup_fd(-1)
    _running.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork_in_child)
