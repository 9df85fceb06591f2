"""Interrupts tools that run on threads: has their own code raise `Cancelled`, at best.

Python can be told to raise an exception in another thread, which it does at that thread's next step in Python code; a thread
that blocks in C gets it when it comes back. Tool code runs inside a *visit*, which ends for good before its thread does
anything else: what was raised into it and has not come up by then is taken back, so it never hits the next call.

Before it is told, the thread's stack is looked at: in imports, logging, our own code or a lock's `__enter__` it is left alone
and looked at again soon. On a free-threaded Python other threads' stacks cannot be read; there only our own code is protected.
"""

import functools
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable, Dict, Optional, Tuple

from ..call_context import CallContext, Cancelled
from .cancel import FORCE_SECONDS, KNOCK_SECONDS, Knocker, Target, cleans_up, note_leaving, note_raise, protection_of
from .cancel import shielded as in_shield
from .interpreter import is_gil_enabled

#: How often one visit may be interrupted: `visit` is built so that it survives this many, wherever they come up.
RAISES_PER_VISIT = 2
#: A thread that was found where it must not be interrupted is looked at again after this long (seconds).
LOOK_SECONDS = 0.001


class _Visit:
    """One stay of a call's tool code on one thread.

    Attributes:
        gate: held while nothing may be raised; by the visit's own thread for good once it has left.
        raised: how often its thread was told to raise.
        left: it is over, and nothing is pending any more.
        traced: the frame on whose next line it is to be raised; None: none.
        wish: set when it could not be interrupted in our own code, which then raises by itself when it is done.
    """

    __slots__ = ("gate", "left", "raised", "thread", "traced", "wish")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.gate = threading.RLock()  # one that its thread can take again: an interrupted `_leave` is simply repeated
        self.raised = 0
        self.left = False
        self.traced: Optional[FrameType] = None
        self.wish: Optional[Target] = None


class _Here(threading.local):
    """What runs on this thread."""

    visit: Optional[_Visit] = None


_here = _Here()


def shielded(function: Callable[..., Any], /, *args: Any) -> Any:
    """Call something of the runtime from tool code: nothing is raised while it runs. For what takes locks and never waits long.

    Raises:
        Cancelled: the call has been cancelled meanwhile, and `function` has returned.
    """
    visit = _here.visit
    if visit is None:
        return function(*args)
    visit.gate.acquire()
    try:
        _step()  # what was raised before the gate closed comes up here, and not inside `function`
        value = function(*args)
    finally:
        visit.gate.release()
    wish, visit.wish = visit.wish, None
    if wish is not None and not wish.in_grace():
        wish.has_raised(time.monotonic())
        raise Cancelled("the call was cancelled")
    return value


def raises_by_itself(context: CallContext, error: Cancelled) -> None:
    """`note_leaving`, wherever the call's code runs: between it and what is raised then, nothing else comes up."""
    shielded(note_leaving, context, error)


class ThreadInterrupter(Knocker):
    """Interrupts visits. May be made on any thread; installs no signal handler.

    Never taints its worker: nothing is forced into code that may hold a lock, since a new worker would cost the other calls too.
    """

    def __init__(self) -> None:
        super().__init__()
        self.visit_by = self.visit

    def visit(self, call: Any, function: Callable[..., Any], args: Tuple[Any, ...] = (), kwargs: Optional[Dict[str, Any]] = None) -> Any:
        """Run tool code for `call` on this thread: while it runs, and only then, it may be interrupted.

        What was raised into it comes up at some step of it, perhaps between or inside these `finally` blocks: each time it undoes
        one of them at most. So there is one more of them than may be raised, and the last one is never interrupted.
        """
        visit = _Visit()
        try:
            try:
                try:
                    _here.visit = call.visit = visit
                    return function(*args, **(kwargs or {}))
                finally:
                    _leave(call, visit)
            finally:
                if not visit.left:
                    _leave(call, visit)
        finally:
            if not visit.left:
                _leave(call, visit)

    def _due(self, call: Any, target: Target, now: float) -> None:
        """On the interrupter's thread."""
        visit, raise_in = call.visit, _raiser()
        target.next_knock = now + KNOCK_SECONDS
        if target.raised == 0 and cleans_up(call):
            target.has_raised(now)  # the same grace as after a raise
        elif visit is not None and raise_in is not None and visit.raised < RAISES_PER_VISIT:
            visit.wish = target
            target.next_knock = now + LOOK_SECONDS
            if visit.gate.acquire(blocking=False):
                try:  # its thread can neither leave the visit now, nor begin with something shielded
                    at_all = now > target.since + FORCE_SECONDS
                    may = not (visit.left or in_shield(call) or target.in_grace() or (target.raised == 0 and cleans_up(call)))
                    if may and _may_be_interrupted(visit.thread, at_all=at_all):
                        visit.wish = None
                        visit.raised += 1
                        note_raise(call, target, forced=at_all and not _may_be_interrupted(visit.thread, at_all=False))
                        raise_in(visit.thread, Cancelled)
                finally:
                    visit.gate.release()

    def _raise_beneath(self, call: Any, target: Target, error: Optional[Cancelled], beneath: FrameType) -> None:
        visit = _here.visit
        if visit is not None:
            with visit.gate:
                if (error is None or not error.args) and visit.raised:  # by the interrupter: it says nothing. It has come up
                    visit.raised -= 1
                target.has_vanished(time.monotonic() + KNOCK_SECONDS)
            if sys.gettrace() is None and _is_tool(beneath, at_all=False):
                self._ambush(call, visit, target, beneath)

    def _ambush(self, call: Any, visit: _Visit, target: Target, frame: FrameType) -> None:
        """On the visit's thread: raise on the next line of this frame of the tool, as soon as what it has called returns."""

        def is_due() -> bool:
            due = self._targets.get(call) is target and not (target.ended() or in_shield(call) or target.in_grace() or cleans_up(call))
            if due:
                note_raise(call, target, forced=False)
            return due

        def spring(traced: FrameType, _event: str, _arg: Any) -> None:
            if traced is frame:
                _lift_ambush(visit)
                if shielded(is_due):
                    raise Cancelled("the call was cancelled")

        visit.traced = frame
        frame.f_trace = spring
        sys.settrace(lambda *_: None)


def _lift_ambush(visit: _Visit) -> None:
    """On the visit's thread: it is traced no more."""
    frame, visit.traced = visit.traced, None
    if frame is not None:
        sys.settrace(None)
        frame.f_trace = None


def _leave(call: Any, visit: _Visit) -> None:
    """The visit is over. May be interrupted anywhere, and is then run again."""
    visit.gate.acquire()  # never given back
    _lift_ambush(visit)
    raise_in = _raiser() if visit.raised else None
    if raise_in is not None:
        raise_in(visit.thread, None)
        if sys.version_info < (3, 13):
            _settle(visit.thread, raise_in)
    _here.visit = call.visit = None
    visit.left = True


class _Settled(BaseException):
    """Raised by a thread in itself, and caught at once."""


def _settle(thread: int, raise_in: Callable[[int, Optional[type]], Any]) -> None:
    """On the thread itself, where nothing else is raised any more: let one such exception come up.

    Until 3.12 one that was taken back leaves the mark on the interpreter that there is one: every thread then looks for it at every
    step, and with a profiler or debugger Python 3.11 looks for it for ever. The mark goes when an exception comes up.
    """
    try:
        raise_in(thread, _Settled)
        for _ in range(1000):
            _step()
    except _Settled:
        return
    raise_in(thread, None)


def _step() -> None:
    """Do nothing: a place for a pending exception to come up."""


@functools.lru_cache(None)
def _raiser() -> Optional[Callable[[int, Optional[type]], Any]]:
    """What has a thread raise something at its next step, or, with None, no more what it was told before.

    None where Python has no such thing: there the flag and the end of the worker are all that is left.
    """
    try:
        import ctypes  # here: most workers never need it

        ask = ctypes.pythonapi.PyThreadState_SetAsyncExc
    except (ImportError, AttributeError):
        return None
    ask.argtypes = [ctypes.c_ulong, ctypes.py_object]
    take_back = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p)(("PyThreadState_SetAsyncExc", ctypes.pythonapi))
    return lambda thread, error: take_back(thread, None) if error is None else ask(thread, error)


def _may_be_interrupted(thread: int, *, at_all: bool) -> bool:
    """Is the tool's own code at work there, outside of what must not be left halfway?

    Args:
        at_all: also what such code has called: an exception from there is nothing that it does not expect, though it may break off
            an import or a line of the log.
    """
    if not is_gil_enabled():
        return True
    return _is_tool(sys._current_frames().get(thread), at_all=at_all)


def _is_tool(frame: Optional[FrameType], *, at_all: bool) -> bool:
    """`_may_be_interrupted`, of a frame."""
    if at_all and frame is not None and protection_of(frame):
        return False
    protected = tool = False
    while frame is not None and frame.f_code is not _VISIT:
        protection = protection_of(frame)
        if protection == "always":
            return False
        if protection:
            protected = True
        elif protected and not at_all:
            return False
        else:
            tool = True
        frame = frame.f_back
    return tool and frame is not None


_VISIT = ThreadInterrupter.visit.__code__
