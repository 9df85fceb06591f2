"""`TurnedClock`: a test's time stands still while anything runs, and jumps when everything waits.

While it is entered, the waits of this process go to `turns`: `time.sleep`, `asyncio`, and what `threading`, `queue` and
`concurrent.futures` build on a `Condition`, in the thread that entered it and in all threads that were started since.
"""

from __future__ import annotations

import asyncio
import asyncio.events
import queue
import selectors
import sys
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from snakepit._api import loop_thread
from snakepit._api.loop_thread import LoopThread
from snakepit.errors import ConfigurationError
from snakepit_bridge.testing import Cancelled, running_call, uninterrupted

from .turns import Turn, Turns

T = TypeVar("T")

_LIMIT = 7 * 86400.0
#: As in a worker: a cancelled tool has so long to see the flag before it is interrupted (seconds).
_FLAG_SECONDS = 0.02


class _Here(threading.local):
    """What a thread knows of itself: its place, if it takes part."""

    turn: Turn | None = None
    turns: Turns | None = None
    interrupted: weakref.ref[Any] | None = None  # the call whose cancel has been raised here


_here = _Here()


class TurnedClock:
    """`with TurnedClock() as clock:` around a test on the memory channel: hours pass in milliseconds, and nothing is late.

    Time passes only when every thread that takes part waits, and then at once, to the next moment that one of them waits for. They
    run one at a time, in an order that depends on the seed alone. A wait for what is outside of Python's own waits (a file, a
    socket, a process, a bare `Lock`) holds the time up. Open pools inside, and close them there.

    Args:
        seed: of the order in which threads run that could run at once; None: in the order in which they could.
        limit: more than so many seconds are a test that has got stuck.

    Raises:
        ConfigurationError: on entering: a pool is open, a loop runs in this thread, or another such clock is turned.
    """

    _turned: Turns | None = None

    def __init__(self, *, seed: int | None = None, limit: float = _LIMIT) -> None:
        self._seed = seed
        self._limit = limit
        self._turns: Turns | None = None
        self._saved: list[tuple[Any, str, Any]] = []

    @property
    def now(self) -> float:
        """What `time.monotonic()` and every loop's `time()` say (seconds)."""
        return time.monotonic() if self._turns is None else self._turns.now

    def advance(self, seconds: float) -> None:
        """Let so much time pass: whatever happens in it has happened when this returns."""
        time.sleep(seconds)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """`asyncio.run` under this clock."""
        return asyncio.run(coroutine)

    def __enter__(self) -> Self:
        if TurnedClock._turned is not None:
            raise ConfigurationError("a clock is turned already", hint="one with block at a time")
        if asyncio._get_running_loop() is not None:
            hint = "write the test as a plain def and have the clock run it: clock.run(main())"
            raise ConfigurationError("a loop runs in this thread, with a time of its own", hint=hint)
        if LoopThread._shared is not None:
            raise ConfigurationError("a pool is open, whose time goes on as ever", hint="open pools inside of the clock's with block")
        self._turns = TurnedClock._turned = Turns(self._seed, self._limit)
        _here.turns, _here.turn = self._turns, self._turns.first
        for owner, name, value in _shims():
            self._saved.append((owner, name, getattr(owner, name)))
            setattr(owner, name, value)
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None) -> None:
        while self._saved:
            setattr(*self._saved.pop())
        assert self._turns is not None
        self._turns.stop()
        _here.turns = _here.turn = None
        TurnedClock._turned = self._turns = None


# What stands in for the real ones ------------------------------------------------------------------------------------------------

_real_monotonic, _real_time, _real_sleep = time.monotonic, time.time, time.sleep
_real_wait, _real_start, _real_join = threading.Condition.wait, threading.Thread.start, threading.Thread.join


def _shims() -> list[tuple[Any, str, Any]]:
    return [
        (time, "monotonic", _monotonic),
        (threading, "_time", _monotonic),
        (queue, "time", _monotonic),
        (time, "time", _time),
        (time, "sleep", _sleep),
        (threading.Condition, "wait", _wait),
        (threading.Thread, "start", _start),
        (threading.Thread, "join", _join),
        (queue, "SimpleQueue", queue._PySimpleQueue),  # type: ignore[attr-defined]
        (loop_thread, "new_loop", _TurnedLoop),
        (asyncio, "new_event_loop", _TurnedLoop),
        (asyncio.events, "new_event_loop", _TurnedLoop),
    ]


def _monotonic() -> float:
    turns = _here.turns
    return _real_monotonic() if turns is None or turns.stopped else turns.now


def _time() -> float:
    turns = _here.turns
    return _real_time() if turns is None or turns.stopped else turns.wall


def _sleep(seconds: float) -> None:
    turns, turn = _here.turns, _here.turn
    if turns is None or turn is None or turns.stopped or not seconds >= 0:
        _real_sleep(seconds)
    else:
        call = running_call()
        cancelled = call is not None and call.cancelled
        turns.wait(turn, seconds)
        if call is not None and call.cancelled and (cancelled or seconds >= _FLAG_SECONDS):
            _interrupt(call)


def _interrupt(call: Any) -> None:
    """A cancelled call's tool has slept: what a signal raises in a process is raised here, once, and not in what cleans up."""
    cleans_up = isinstance(sys.exc_info()[1], Cancelled | GeneratorExit)
    if not cleans_up and call.shielded_for() <= 0 and (_here.interrupted is None or _here.interrupted() is not call):
        _here.interrupted = weakref.ref(call)
        raise Cancelled(call.tool)


class _Waiter:
    """What a `Condition` wakes: `notify` releases it."""

    def __init__(self, turns: Turns, turn: Turn) -> None:
        self._turns = turns
        self._turn = turn
        self.released = False

    def release(self) -> None:
        """It has been notified."""
        self.released = True
        self._turns.wake(self._turn)


@uninterrupted
def _wait(self: Any, timeout: float | None = None) -> bool:
    """`Condition.wait`, as in the standard library but for what it waits on."""
    turns, turn = _here.turns, _here.turn
    if turns is None or turn is None or turns.stopped:
        return _real_wait(self, timeout)
    if not self._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = _Waiter(turns, turn)
    self._waiters.append(waiter)
    saved = self._release_save()
    try:
        if not waiter.released and (timeout is None or timeout > 0):
            turns.wait(turn, timeout)
        return waiter.released
    finally:
        self._acquire_restore(saved)
        if not waiter.released:
            try:
                self._waiters.remove(waiter)
            except ValueError:
                pass


def _start(thread: threading.Thread) -> None:
    turns = _here.turns
    if turns is None or turns.stopped:
        _real_start(thread)
        return
    turn, run, ended = turns.add(thread), thread.run, threading.Event()

    def run_in_turn() -> None:
        _here.turns, _here.turn = turns, turn
        turns.pass_gate(turn)
        try:
            run()
        finally:
            ended.set()
            _here.turns = _here.turn = None
            turns.leave(turn)

    thread.run = run_in_turn  # type: ignore[method-assign]
    thread._snakepit_ended = ended  # type: ignore[attr-defined]
    mine, _here.turn = _here.turn, None  # it waits until the other has begun, and keeps its turn: it may hold a lock
    try:
        _real_start(thread)
    except BaseException:
        turns.leave(turn)
        raise
    finally:
        _here.turn = mine


def _join(thread: threading.Thread, timeout: float | None = None) -> None:
    ended: threading.Event | None = getattr(thread, "_snakepit_ended", None)
    if _here.turn is None or ended is None or ended.wait(timeout):
        _real_join(thread, timeout if ended is None or not ended.is_set() else None)


class _TurnedSelector(selectors.DefaultSelector):
    """Waits for descriptors by turns; what happens on those of the outside world is seen when it happens."""

    def __init__(self, poke: Callable[[], None]) -> None:
        super().__init__()
        self._poke = poke
        self._turns: Turns | None = None
        self._turn: Turn | None = None

    def select(self, timeout: float | None = None) -> Any:
        turns, turn = _here.turns, _here.turn
        if turns is None or turn is None or turns.stopped:
            return super().select(timeout)
        found = super().select(0)
        if found or (timeout is not None and timeout <= 0):
            return found
        self._turns, self._turn, turn.poke = turns, turn, self._poke
        turns.begin_wait(turn, timeout)
        try:
            return super().select(None)
        finally:
            turns.wake(turn)  # also if only a descriptor had news
            turns.pass_gate(turn)
            self._turn = turn.poke = None

    def woken(self) -> None:
        """Something was posted to the loop."""
        turns, turn = self._turns, self._turn
        if turns is not None and turn is not None:
            turns.wake(turn)


class _TurnedLoop(asyncio.SelectorEventLoop):
    """An event loop that takes part."""

    def __init__(self) -> None:
        self._turns = _here.turns
        self._chooser = _TurnedSelector(self._poke)
        self._real_began = 0.0
        super().__init__(self._chooser)

    def time(self) -> float:
        """The turned time; once everything runs freely it goes on from there."""
        turns = self._turns
        if turns is None:
            return super().time()
        if turns.stopped:
            self._real_began = self._real_began or _real_monotonic()
            return turns.now + _real_monotonic() - self._real_began
        return turns.now

    def _write_to_self(self) -> None:
        self._poke()
        self._chooser.woken()

    def _poke(self) -> None:
        super()._write_to_self()  # type: ignore[misc]
