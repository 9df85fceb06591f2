"""Interrupts the tool that runs on the main thread: makes its own code raise `Cancelled`, or does nothing.

Tool code runs above a *border* function that carries its call. A signal handler raises only if the border of a call that is
to be cancelled is on the interrupted stack; so the exception can never surface in the runtime or in another call. Inside
imports, logging, our own code or a lock's `__enter__`/`__exit__` it would leave locks held: there it waits for the tool's next line.
SIGURG: ignored by default, so a knock that reaches a child of the tool is harmless.
"""

import signal
import sys
import threading
import time
from types import FrameType
from typing import Any, Callable, Dict, Optional, Protocol, Set, Tuple, TypeVar

from ..call_context import Cancelled

F = TypeVar("F", bound=Callable[..., Any])

FLAG_SECONDS = 0.02  # the flag and the generator's close have this long before the first knock
KNOCK_SECONDS = 0.02  # between two knocks
SHORTEST_PAUSE = 0.001  # between two looks at the calls to be interrupted
GRACE_SHARE = 0.8  # of the time after which the host kills: no second exception before it, so `finally` blocks run to their end
FORCE_SECONDS = 0.5  # a tool that stays this long in code that should not be interrupted is interrupted all the same

_DEFER_MODULES = ("importlib._bootstrap", "importlib._bootstrap_external", "logging")
_DEFER_NAMES = frozenset({"__enter__", "__exit__", "__aenter__", "__aexit__", "__del__", "_release_save", "_acquire_restore"})
_OURS = (__name__.rpartition(".")[0], "snakepit_bridge.wire", "snakepit_bridge.call_context")


def border(call: Any, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Run tool code for `call`: what is above this frame may be interrupted."""
    visit = call.visit_by
    return function(*args, **kwargs) if visit is None else visit(call, function, args, kwargs)


def border_next(call: Any, following: Callable[[], Any], /) -> Any:
    """`border` without arguments, for the next item of a stream: this is on the path of every chunk."""
    visit = call.visit_by
    return following() if visit is None else visit(call, following)


async def async_border(call: Any, awaitable: Any, /) -> Any:
    """Await tool code for `call`. While its loop waits for events this frame is on no stack, so nothing is raised there."""
    return await awaitable


_BORDERS = frozenset({border.__code__, border_next.__code__, async_border.__code__})


_HELD: Set[Any] = set()


def uninterrupted(function: F) -> F:
    """Mark a function within which nothing is ever raised, not even by force: what it has begun would be left half done."""
    _HELD.add(function.__code__)
    return function


class Target:
    """A call that is to be interrupted."""

    __slots__ = ("ended", "forced", "grace", "next_knock", "quiet_until", "raised", "since", "spot")

    def __init__(self, ended: Callable[[], bool], kill_after: float) -> None:
        self.ended = ended
        self.grace = GRACE_SHARE * kill_after
        self.since = time.monotonic()
        self.next_knock = self.since + FLAG_SECONDS
        self.raised = 0
        self.quiet_until = 0.0
        self.forced = False
        self.spot: Optional[Tuple[int, int]] = None

    def has_raised(self, now: float) -> None:
        """An exception is on its way, or the code cleans up anyway: its grace begins."""
        self.raised += 1
        self.next_knock = self.quiet_until = now + self.grace

    def in_grace(self) -> bool:
        """Is nothing to be raised now? Whoever knocks asks this last: its knock may have been under way when the grace began."""
        return time.monotonic() < self.quiet_until

    def has_vanished(self, soon: float) -> None:
        """What was on its way is no more: as if it had never been raised."""
        self.raised, self.quiet_until = 0, 0.0
        self.next_knock = soon


class Knocker:
    """Owns the thread that asks, again and again, for the end of calls that are cancelled. A subclass says how.

    Attributes:
        visit_by: what `border` runs a call's tool code by; None: it just calls it.
        tainted: an exception was forced into code that may have held a lock; the worker should be replaced.
    """

    def __init__(self) -> None:
        self.visit_by: Optional[Callable[..., Any]] = None
        self.tainted = False
        self._targets: Dict[Any, Target] = {}
        self._asked = threading.Event()
        self._stopped = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def interrupt(self, call: Any, ended: Callable[[], bool], kill_after: float) -> None:
        """Interrupt the tool code of `call` until `ended()`; returns at once. From any thread.

        Args:
            kill_after: seconds after which the host gives the worker up.
        """
        self._targets.setdefault(call, Target(ended, kill_after))
        if self._thread is None:
            thread = threading.Thread(target=self._knock, name="snakepit-interrupter", daemon=True)
            thread.start()
            self._thread = thread  # not before: as a channel ends, its calls are interrupted, and the main thread may stop this already
        if not self._asked.is_set():  # a wake-up costs the carrier's thread its turn with the interpreter, for fifty calls fifty times
            self._asked.set()

    def call_ended(self, call: Any) -> None:
        """Where the call ran: its code has left the stack; nothing may wait there for it any more."""
        self._targets.pop(call, None)

    def vanished(self, error: Optional[Cancelled], beneath: FrameType) -> None:
        """A `Cancelled` was swallowed by C code that has called the code it came up in: the call's code goes on. On its thread.

        Args:
            beneath: the frame that had called the C code.
        """
        call = border_of(beneath)
        target = self._targets.get(call)
        if (error is None or error.begins) and hasattr(call, "leaving"):
            call.leaving = False
            if target is not None and not target.ended():
                self._raise_beneath(call, target, error, beneath)

    def _raise_beneath(self, call: Any, target: Target, error: Optional[Cancelled], beneath: FrameType) -> None:
        """`error` has vanished: knock again."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the thread; nothing is interrupted any more."""
        self._stopped.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def _knock(self) -> None:
        while not self._stopped.is_set():
            self._asked.wait()
            self._asked.clear()  # before the calls are looked at; those that come meanwhile are seen at the next look, before they are due
            while self._targets and not self._stopped.is_set():
                now = time.monotonic()
                for call, target in list(self._targets.items()):
                    if target.ended():
                        self._targets.pop(call, None)
                    elif now >= target.next_knock and not shielded(call):
                        self._due(call, target, now)
                soonest = min((target.next_knock for target in list(self._targets.values())), default=now)
                self._stopped.wait(min(KNOCK_SECONDS / 2, max(soonest - now, SHORTEST_PAUSE)))

    def _due(self, call: Any, target: Target, now: float) -> None:
        raise NotImplementedError


class Watch(Protocol):
    """What else the signal is for; see `hangs`."""

    def knocked(self, frame: Optional[FrameType]) -> None: ...

    def lift(self) -> None: ...


class Interrupter(Knocker):
    """Owns the signal, too. Make it on the main thread.

    Attributes:
        watch: who else uses the signal.
    """

    def __init__(self) -> None:
        super().__init__()
        self._main = threading.main_thread().ident or 0
        self._ambushed: Optional[FrameType] = None
        self.watch: Optional[Watch] = None
        signal.signal(signal.SIGURG, self._knocked)

    def call_ended(self, call: Any) -> None:
        if self._targets.pop(call, None) is not None:
            self._lift_ambush()

    def stop(self) -> None:
        super().stop()
        signal.signal(signal.SIGURG, signal.SIG_DFL)

    def _due(self, call: Any, target: Target, now: float) -> None:
        target.next_knock = now + KNOCK_SECONDS
        target.forced = target.raised == 0 and now > target.since + FORCE_SECONDS
        signal.pthread_kill(self._main, signal.SIGURG)

    # On the main thread, in the signal handler ---------------------------------------------------------------------------

    def _knocked(self, _signum: int, frame: Optional[FrameType]) -> None:
        call, deferred_by, only_names = _find_border(frame)
        target = None if call is None else self._targets.get(call)
        if self.watch is not None:
            self.watch.knocked(frame) if target is None else self.watch.lift()
        if target is None or frame is None or target.ended() or shielded(call) or target.in_grace():
            return
        if target.raised == 0 and cleans_up(call):
            target.has_raised(time.monotonic())  # the same grace
            return
        if deferred_by is not None:
            spot = id(frame), frame.f_lasti
            blocked, target.spot = spot == target.spot, spot  # the same spot at two knocks: blocked there, not passing by
            if not (blocked or target.forced):
                self._ambush(call, target, deferred_by)
                return
            self._lift_ambush()
        self._raise(call, target, forced=deferred_by is not None and (target.forced or not only_names))

    def _raise(self, call: Any, target: Target, *, forced: bool = False) -> None:
        self.tainted = self.tainted or forced
        note_raise(call, target, forced=forced)
        raise Cancelled("the call was cancelled")

    def _raise_beneath(self, call: Any, target: Target, error: Optional[Cancelled], beneath: FrameType) -> None:
        """Not in the callback again, which may be nearly all that runs: on the next line of who had called the C code."""
        target.has_vanished(time.monotonic() + KNOCK_SECONDS)
        found, deferred_by, _ = _find_border(beneath)
        if found is call:
            self._lift_ambush()
            self._ambush(call, target, deferred_by or beneath)

    def _ambush(self, call: Any, target: Target, frame: FrameType) -> None:
        """Raise on the next line of the tool's own frame, once what it called has returned."""
        if sys.gettrace() is not None:
            return  # a debugger or coverage traces; the knocks go on

        def spring(traced: FrameType, event: str, arg: Any) -> Any:
            if traced is not frame:
                return None
            self._lift_ambush()
            ready = self._targets.get(call) is target and not (target.ended() or shielded(call) or target.in_grace())
            if ready and not (target.raised == 0 and cleans_up(call)):  # it may have left by itself since
                self._raise(call, target)
            return None

        self._ambushed = frame
        frame.f_trace = spring
        sys.settrace(lambda *_: None)

    def _lift_ambush(self) -> None:
        if self._ambushed is not None:
            sys.settrace(None)
            self._ambushed.f_trace = None
            self._ambushed = None


def note_raise(call: Any, target: Target, *, forced: bool) -> None:
    """`Cancelled` is about to come up in the call's code."""
    target.has_raised(time.monotonic())
    was_raised = getattr(call, "was_raised", None)  # hooks of sessions tell nobody how they ended
    if was_raised is not None:
        was_raised(forced=forced)


def shielded(call: Any) -> bool:
    """Is its code in a section that it has asked not to be interrupted?"""
    context = getattr(call, "context", None)  # hooks of sessions have none
    return context is not None and context.shielded_for() > 0


def cleans_up(call: Any) -> bool:
    """Has it begun to leave by other means than an interruption: its generator is closed, its task cancelled, or it raised by itself?"""
    return bool(getattr(call, "cleaning", False) or getattr(call, "leaving", False))


def note_leaving(context: Any, error: Cancelled) -> None:
    """Something that a call's code has called, such as `context.check()`, is about to raise `error` there.

    If that is a thread or a task beside the call's own, the call does not leave by it.
    """
    call = border_of(sys._getframe())
    if getattr(call, "context", None) is context:
        error.begins = not getattr(call, "leaving", False)
        call.leaving = True


def border_of(frame: Optional[FrameType]) -> Any:
    """The call whose code is on this stack; None if there is none."""
    while frame is not None and frame.f_code not in _BORDERS:
        frame = frame.f_back
    return None if frame is None else frame.f_locals.get("call")


def _find_border(frame: Optional[FrameType]) -> "Tuple[Any, Optional[FrameType], bool]":
    """Whose code is on this stack, and may it be interrupted there?

    Gives (the call or None, the frame that called into a part not to interrupt or None, is that only for names like `__enter__`?).
    """
    deferred_by: Optional[FrameType] = None
    deferring, only_names = False, True
    while frame is not None:
        if frame.f_code in _BORDERS:
            return frame.f_locals.get("call"), deferred_by, only_names
        protection = protection_of(frame)
        if protection == "always":
            return None, None, True
        if protection:
            deferring, only_names = True, only_names and protection == "name"
        elif deferring:
            deferred_by, deferring = frame, False  # the outermost such region wins: keep walking
        frame = frame.f_back
    return None, None, True


def protection_of(frame: FrameType) -> str:
    """Why code must not be left by an exception that it does not expect: for its `module`, its `name`; empty if it may be.

    `always`: nor may what it has called, not even by force.
    """
    if frame.f_code in _HELD:
        return "always"
    module = frame.f_globals.get("__name__") or ""
    if module in _DEFER_MODULES or module.startswith(_OURS):
        return "module"
    return "name" if frame.f_code.co_name in _DEFER_NAMES else ""
