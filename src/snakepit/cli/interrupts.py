"""Turns the signals that end a command into one exception on the main thread, so that the call is cancelled on the way out.

Ctrl-C, SIGTERM and a lost terminal raise `Interrupted` once. A second one while the workers end is answered in words; a
third ends the process at once, and its workers with it. A reader that closes our pipe (`| head -1`) counts as one too: it
is noticed while the tool is silent, and not only when the next line cannot be written. Used by `command`.

A signal that comes just as the main thread is about to wait does not wake it, and its handler would run when the wait is over (CPython
looks for signals before, and is interrupted by those that come after). So a thread is told of each, and knocks until it has been handled.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

#: By default this signal does nothing, so one that arrives too late does no harm.
_READER_LEFT = getattr(signal, "SIGURG", None)

_NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "the end of the terminal"}
_SIGPIPE = 13
#: How long the main thread has to handle a signal before it is woken (seconds).
_KNOCK_SECONDS = 0.05
_PATIENCE = b"snakepit: the worker is being ended, within seconds; once more leaves it to itself\n"


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end. `told` once somebody has said so."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.told = self.number == _SIGPIPE  # After a closed pipe, nobody is there to be told.

    @property
    def quiet(self) -> bool:
        """Was it a closed pipe?"""
        return self.number == _SIGPIPE

    @property
    def name(self) -> str:
        """What the person did."""
        known = signal.Signals(self.number).name
        return _NAMES.get(known, known)

    @property
    def exit_code(self) -> int:
        """128 + the signal's number, as shells have it."""
        return 128 + self.number


class Interrupts:
    """A `with` block in which the signals above raise `Interrupted`. For the main thread.

    Args:
        pipe: descriptor of an output whose reader may leave; None: none.
    """

    def __init__(self, pipe: int | None = None) -> None:
        self._pipe = pipe
        self._before: dict[int, Any] = {}
        self._wake_fd = self._wake_before = -1
        # Once False, no handler raises any more: the block is over, or one has raised already.
        self._armed = False

    def __enter__(self) -> Self:
        self._armed = True
        for name in _NAMES:
            number = getattr(signal, name, None)
            # nohup and background jobs of scripts ignore some of them, and mean it.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._raise)
        if _READER_LEFT is not None and hasattr(select, "poll"):
            self._before[_READER_LEFT] = signal.signal(_READER_LEFT, self._raise)
            news_fd, self._wake_fd = os.pipe()
            os.set_blocking(self._wake_fd, False)
            self._wake_before = signal.set_wakeup_fd(self._wake_fd, warn_on_full_buffer=False)
            watch = threading.Thread(
                target=self._watch, args=(news_fd, threading.get_ident(), _READER_LEFT), name="stdout-watch", daemon=True
            )
            watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._armed = False
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self._wake_fd >= 0:
            signal.set_wakeup_fd(self._wake_before)
            os.close(self._wake_fd)  # the thread ends by that

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        if self._armed:
            self._armed = False
            raise Interrupted(_SIGPIPE if number == _READER_LEFT else number)
        if number == _READER_LEFT or number not in self._before:
            return
        for caught in self._before:
            if caught != _READER_LEFT:
                signal.signal(caught, signal.SIG_DFL)
        with contextlib.suppress(OSError):
            os.write(2, _PATIENCE)  # No `print`: the handler may have interrupted one.

    def _watch(self, news_fd: int, main_thread: int, knock: int) -> None:
        """Until the block is over: see to it that the main thread handles what comes, and tell it when the pipe's reader has gone."""
        poll = select.poll()
        poll.register(news_fd, select.POLLIN)
        if self._pipe is not None:
            poll.register(self._pipe, 0)  # Errors and hang-ups are reported unasked.
        try:
            while True:
                found = dict(poll.poll())
                came = os.read(news_fd, 4096) if news_fd in found else b"\0"
                if not came:
                    return
                if self._pipe in found:
                    poll.unregister(self._pipe)
                    signal.pthread_kill(main_thread, knock)
                while self._armed and not {*came}.isdisjoint({*self._before} - {knock}):
                    time.sleep(_KNOCK_SECONDS)
                    if self._armed:  # the handler of what came has a lower number, and runs first
                        signal.pthread_kill(main_thread, knock)
        except (OSError, ValueError):
            pass  # the main thread has ended, or its descriptors are closed: there is nobody to be woken any more
        finally:
            os.close(news_fd)
