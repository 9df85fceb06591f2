"""Turns the signals that end a command into one exception on the main thread, so that the call is cancelled on the way out.

Ctrl-C, SIGTERM and a lost terminal raise `Interrupted` once. A second one while the workers end is answered in words; a
third ends the process at once, and its workers with it. A reader that closes our pipe (`| head -1`) counts as one too: it
is noticed while the tool is silent, and not only when the next line cannot be written. Used by `command`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

#: By default this signal does nothing, so one that arrives too late does no harm.
_READER_LEFT = getattr(signal, "SIGURG", None)

_NAMES = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "the end of the terminal"}
_SIGPIPE = 13
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
        # Once False, no handler raises any more: the block is over, or one has raised already.
        self._armed = False

    def __enter__(self) -> Self:
        self._armed = True
        for name in _NAMES:
            number = getattr(signal, name, None)
            # nohup and background jobs of scripts ignore some of them, and mean it.
            if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._raise)
        if self._pipe is not None and _READER_LEFT is not None and hasattr(select, "poll"):
            self._before[_READER_LEFT] = signal.signal(_READER_LEFT, self._raise)
            watch = threading.Thread(
                target=_watch, args=(self._pipe, threading.get_ident(), _READER_LEFT), name="stdout-watch", daemon=True
            )
            watch.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._armed = False
        for number, handler in self._before.items():
            signal.signal(number, handler)

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


def _watch(pipe: int, main_thread: int, news: int) -> None:
    """Wait until the pipe's reader has gone; then wake the main thread with the signal `news`."""
    poll = select.poll()
    poll.register(pipe, 0)  # Errors and hang-ups are reported unasked.
    try:
        poll.poll()
        signal.pthread_kill(main_thread, news)
    except (OSError, ValueError):
        pass
