"""Whose turn it is, and what time: the threads of a test run one after the other, and time passes when all of them wait.

A thread that waits hands its turn on; one that is woken queues for it. When nobody is left to run, the time jumps to the next moment
that somebody waits for. Which of several ready threads is next is a matter of the seed: the same seed, the same order.
`clock` makes the waits of `threading`, `queue` and `asyncio` come here.
"""

from __future__ import annotations

import pathlib
import random
import sys
import threading
import time
import traceback
from collections.abc import Callable

from snakepit_bridge.testing import uninterrupted

#: Where the time begins (seconds): the same in every run.
_BEGINNING = 1000.0
#: When nothing has moved for so long in real time, the test's own thread raises (seconds).
STUCK_SECONDS = 20.0
_HERE = str(pathlib.Path(__file__).parent)


class ClockStuck(RuntimeError):
    """Under the turned clock nothing can happen any more, or more time has passed than a test may take; says where threads are."""


class Turn:
    """One thread's place.

    Attributes:
        gate: closed while the thread may not run.
        due: when it is woken if nobody else does; None: never.
        woken: by somebody, not by the time.
        poke: has its wait on descriptors return, after which the thread comes to the gate.
    """

    __slots__ = ("due", "gate", "number", "poke", "thread", "woken")

    def __init__(self, number: int, thread: threading.Thread) -> None:
        self.number = number
        self.thread = thread
        self.gate = threading.Lock()
        self.gate.acquire()
        self.due: float | None = None
        self.woken = False
        self.poke: Callable[[], None] | None = None


class Turns:
    """Hands the turn from thread to thread.

    Args:
        seed: of the order in which ready threads run; None: the one that became ready first.
        limit: how much time may pass at most (seconds).

    Attributes:
        now: the time (seconds).
        stopped: everything runs freely again.
    """

    def __init__(self, seed: int | None, limit: float) -> None:
        self.now = _BEGINNING
        self.stopped = False
        self._epoch = time.time() - _BEGINNING
        self._end = _BEGINNING + limit
        self._limit = limit
        self._dice = None if seed is None else random.Random(seed)  # noqa: S311 - repeats
        self._lock = threading.RLock()  # a garbage collection inside of it may wake somebody
        self._deciding = False
        self._numbers = 1
        self._moves = 0
        self._ready: list[Turn] = []
        self._waiting: dict[Turn, None] = {}
        self._first = Turn(0, threading.current_thread())
        self._running: Turn | None = self._first
        self._failure = ""

    @property
    def wall(self) -> float:
        """Seconds since the epoch: it is as late as ever when this is made, and goes on from there."""
        return self._epoch + self.now

    @property
    def first(self) -> Turn:
        """The place of the thread that made this."""
        return self._first

    def add(self, thread: threading.Thread) -> Turn:
        """A place for a thread that is about to start; it runs once it has passed its gate."""
        with self._lock:
            turn = Turn(self._numbers, thread)
            self._numbers += 1
            self._ready.append(turn)
        return turn

    def leave(self, turn: Turn) -> None:
        """Its thread ends, or has never begun."""
        with self._lock:
            if turn in self._ready:
                self._ready.remove(turn)
            if self._running is turn:
                self._running = None
            self._decide()

    @uninterrupted
    def wait(self, turn: Turn, seconds: float | None) -> bool:
        """Wait until woken, or for so long; was it woken?"""
        self.begin_wait(turn, seconds)
        self.pass_gate(turn)
        return turn.woken

    def begin_wait(self, turn: Turn, seconds: float | None) -> None:
        """Hand the turn on; `pass_gate` follows."""
        with self._lock:
            turn.due = None if seconds is None else self.now + seconds
            turn.woken = False
            self._waiting[turn] = None
            if self._running is turn:
                self._running = None
            self._decide()

    @uninterrupted
    def pass_gate(self, turn: Turn) -> None:
        """Wait for the turn. The test's own thread raises when nothing moves any more."""
        try:
            if turn is not self._first:
                turn.gate.acquire()
                return
            moves = -1
            while not turn.gate.acquire(timeout=STUCK_SECONDS):
                if moves == self._moves:
                    self._fail(f"nothing has moved for {STUCK_SECONDS:g} s of real time")
                moves = self._moves
        except BaseException:  # such as a test's timeout: from here on it is free
            self.stop()
            raise
        if self._failure and not self.stopped:
            self.stop()
            raise ClockStuck(self._failure)

    def wake(self, turn: Turn) -> None:
        """Somebody has what it waits for. From any thread; harmless when it does not wait."""
        with self._lock:
            if turn in self._waiting:
                del self._waiting[turn]
                turn.woken = True
                self._ready.append(turn)
                self._decide()

    def stop(self) -> None:
        """Let everything run freely. What waits for a moment has reached it; what waits for somebody still does."""
        with self._lock:
            self.stopped = True
            self._decide()

    # Inside, under the lock -------------------------------------------------------------------------------------------------

    def _decide(self) -> None:
        """Give the turn to somebody if nobody has it."""
        if self._deciding:  # a garbage collection has come in between: what it has woken is seen to below
            return
        self._deciding = True
        try:
            if self.stopped:
                for turn in [*self._ready, *(item for item in self._waiting if item.due is not None)]:
                    self._give(turn)
            while self._running is None and (self._ready or self._jump()):
                self._give(self._ready[0 if self._dice is None else self._dice.randrange(len(self._ready))])
        finally:
            self._deciding = False

    def _give(self, turn: Turn) -> None:
        self._running = turn
        self._moves += 1
        if turn in self._ready:
            self._ready.remove(turn)
        self._waiting.pop(turn, None)
        if turn.poke is not None:
            turn.poke()
        turn.gate.release()

    def _jump(self) -> bool:
        """Go to the next moment that somebody waits for; False: nobody does."""
        due = [turn for turn in self._waiting if turn.due is not None]
        if not due:
            return False
        following = min(due, key=lambda turn: (turn.due, turn.number))
        self.now = max(self.now, following.due or 0.0)
        if self.now > self._end and self._first in self._waiting:
            self._failure = self._where_all_are(f"more than {self._limit:g} s of turned time have passed")
            following = self._first
        del self._waiting[following]
        self._ready.append(following)
        return True

    def _fail(self, what: str) -> None:
        with self._lock:
            text = self._where_all_are(what)
        raise ClockStuck(text)

    def _where_all_are(self, what: str) -> str:
        frames = sys._current_frames()
        lines = [f"{what}; threads that take part:"]
        for turn in [self._running, *self._ready, *self._waiting]:
            frame = frames.get((turn.thread.ident or 0) if turn is not None else 0)
            if turn is not None and frame is not None:
                stack = [item for item in traceback.extract_stack(frame) if not item.filename.startswith(_HERE)]
                state = "waits" if turn in self._waiting else "has its turn" if turn is self._running else "is ready"
                due = f", until {turn.due - self.now:g} s from now" if turn.due is not None and state == "waits" else ""
                lines.append(f"  {turn.thread.name} {state}{due} in " + ", ".join(f"{item.name}:{item.lineno}" for item in stack[-3:]))
        return "\n".join(lines)
