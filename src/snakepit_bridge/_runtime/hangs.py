"""Notices that a tool hangs: for so long the main thread has run no line of Python, and the call has given no sign of its own.

A thread looks where the main thread is, which costs that one nothing. Found at one instruction again and again, it may still be busy
there: a loop of one line always looks so. Then a signal has the main thread traced: the next line, call or return that it runs is a
sign of life and ends that. If none comes for as long as it may take, and no chunk or report either, the call hangs. Code in C that
never comes back takes the signal as little as it runs lines. Under a debugger or coverage, which trace themselves, nothing hangs.
"""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable, Dict, List, Optional, Tuple

from .asks import Ask
from .cancel import Interrupter, border_of
from .running import RunningCall
from .thread_stacks import thread_stacks

#: So many looks in the time that a call may hang, within these bounds (seconds).
_LOOKS = 10
_SHORTEST, _LONGEST = 0.005, 1.0
#: After so many looks at one spot it is traced.
_PATIENCE = 2

Report = Callable[[RunningCall, Dict[str, Any]], None]


class HangWatch:
    """Watches the main thread of this process. Make it there.

    Args:
        interrupter: owns the signal.
        signs: a number that changes with each chunk or report of a call.
        report: told once of a call that hangs, with `seconds`, `where` and `stacks`; on the watching thread.
    """

    def __init__(self, interrupter: Interrupter, signs: Callable[[RunningCall], int], report: Report) -> None:
        self._interrupter = interrupter
        self._signs = signs
        self._report = report
        self._main = threading.get_ident()
        self._waits = threading.Event()
        self._open: Dict[RunningCall, float] = {}  # calls that may hang, with their bounds (seconds)
        self._thread: Optional[threading.Thread] = None
        self._stopped = False
        self._asked = False  # the main thread is to be traced
        self._alive = False  # it has run something since
        self._traced: List[FrameType] = []

    def begin(self, call: RunningCall, seconds: float) -> None:
        """A call has come that may hang for so long at most. From the carrier's thread."""
        self._open[call] = seconds
        if self._thread is None:
            self._interrupter.watch = self
            self._thread = threading.Thread(target=self._run, name="snakepit-hangs", daemon=True)
            self._thread.start()
        self._waits.set()

    def end(self, call: RunningCall) -> None:
        """It has ended. From any thread."""
        self._open.pop(call, None)

    def stop(self) -> None:
        """End the thread."""
        self._stopped = True
        self._waits.set()
        if self._thread is not None:
            self._thread.join(_LONGEST + 1.0)

    # The watching thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopped:
            self._waits.wait()
            if not self._open:
                self._waits.clear()
                if self._open:  # one came in that moment
                    self._waits.set()
                continue
            self._watch_one()

    def _watch_one(self) -> None:
        """Look until the main thread has moved, or hangs."""
        spot, call, where = self._look()
        seconds = self._open.get(call) if call is not None else None
        pause = min(max((seconds or min(self._open.values(), default=1.0)) / _LOOKS, _SHORTEST), _LONGEST)
        if call is None or seconds is None or call.context.cancelled:
            time.sleep(pause)
            return
        signs, looks, still = self._signs(call), 0, 0.0
        while not self._stopped:
            now = time.monotonic()
            time.sleep(pause)
            # Time in which this process was stopped, or had no turn, does not count.
            slept = min(time.monotonic() - now, 2 * pause)
            if self._look()[0] != spot or self._signs(call) != signs or self._alive or call.context.cancelled:
                break
            looks += 1
            if looks == _PATIENCE:
                self._asked = True
                signal.pthread_kill(self._main, signal.SIGURG)
            elif looks > _PATIENCE:
                still += slept
            if still >= seconds:
                self._open.pop(call, None)
                self._report(call, {"seconds": seconds, "where": where, "stacks": thread_stacks()})
                break
        self._asked = False
        if looks >= _PATIENCE and not self._alive:
            signal.pthread_kill(self._main, signal.SIGURG)  # end the tracing, as soon as it takes the signal
        self._alive = False

    def _look(self) -> Tuple[Any, Optional[RunningCall], str]:
        """(where the main thread is, whose code it runs there, that place for people)."""
        frame = sys._current_frames().get(self._main)
        call = border_of(frame)
        if frame is None or not isinstance(call, RunningCall) or _waits_for_host(frame):
            return None, None, ""
        return (id(frame), frame.f_lasti, call.call_id), call, _place(frame)

    # The main thread -----------------------------------------------------------------------------------------------------

    def knocked(self, frame: Optional[FrameType]) -> None:
        """In the handler of the signal: begin to trace, or end that."""
        if not self._asked:
            self.lift()
        elif not self._traced and frame is not None:
            if sys.gettrace() is not None:
                self._alive = True  # somebody else traces: nothing can be said
                return
            inner: Optional[FrameType] = frame
            while inner is not None:
                inner.f_trace = self._ran
                self._traced.append(inner)
                inner = inner.f_back
            sys.settrace(self._ran)

    def lift(self) -> None:
        """Trace no more."""
        if self._traced:
            sys.settrace(None)
            for frame in self._traced:
                frame.f_trace = None
            self._traced = []

    def _ran(self, _frame: FrameType, _event: str, _arg: Any) -> None:
        self._alive = True
        self.lift()


def _waits_for_host(frame: Optional[FrameType]) -> bool:
    """Does it wait for a host tool? How long the application takes for that is its own affair."""
    while frame is not None and frame.f_code is not Ask.wait.__code__:
        frame = frame.f_back
    return frame is not None


def _place(frame: Optional[FrameType]) -> str:
    """The innermost frame that is the tool's, or a library's: not the runtime's own."""
    runtime = __name__.rpartition(".")[0]
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(runtime):
        frame = frame.f_back
    return "" if frame is None else "%s (%s:%s)" % (frame.f_code.co_name, frame.f_code.co_filename, frame.f_lineno)
