"""One call while it runs in this worker: what was asked, its context, and how far it has come."""

import threading
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from .. import tracing
from ..call_context import CallContext, Cancelled
from ..wire.frames import Call
from .own_secrets import OWN
from .sessions import HeldSession


class RunningCall:
    """Made by the executor for each call.

    Attributes:
        began: when it was received, in `time.perf_counter()` seconds.
        cleaning: True once its cleanup has begun by other means than an interruption: it is not cut short at once.
        leaving: True once `Cancelled` is on its way in its code or in the runtime around it, whoever has raised it: it cleans up, too.
        hang_timeout: seconds in which it must run a line of Python; None: it need not.
        kill_after: seconds after its cancel in which the host kills this worker if the call has not ended.
        on_loop: it is run by a task of the worker's loop; None until that has been decided.
        on_thread: True while such a task waits for the part of it that runs on a thread, where it is interrupted like others.
        visit_by: what runs its code so that threads can be interrupted; None where tools run on the main thread.
        visit: where its code is at work now, of those.
        turn: what it holds until its end has been told, so that snapshots of a session are told in their order.
        entered: True once its code has begun; a task that is cancelled before would end without a word.
        ran: True once its tool has been called.
        reports: how often it has told how far it is.
        rung: what its cancel has come to so far: `close`, its generator was closed or its task cancelled; `exception`, it was raised;
            empty: nothing but the flag.
        forced: it was raised where a lock may have been held.
        ended: True once its code has left the stack for good; set by the thread that ran it.
        session: the session it belongs to, as this worker holds it; None without one.
        facts: what is told beside its end, well or not: the session's snapshot, a warning.
        trace: the trace that its caller sent along; None without one.
        span: its span, once it has been entered; None without a trace.
        task: the asyncio task that runs it, for async tools.
        together: others that came with it follow at once: its end may leave with theirs.
    """

    __slots__ = (
        "args",
        "began",
        "binary",
        "call_id",
        "cleaning",
        "context",
        "ended",
        "entered",
        "facts",
        "forced",
        "hang_timeout",
        "kill_after",
        "leaving",
        "on_loop",
        "on_thread",
        "pickles",
        "ran",
        "reports",
        "rung",
        "session",
        "span",
        "streaming",
        "task",
        "together",
        "tool",
        "trace",
        "turn",
        "visit",
        "visit_by",
    )

    def __init__(self, call: Call, worker_id: str, session: Optional[HeldSession] = None) -> None:
        timeout = call.options.get("timeout")
        self.call_id = call.call_id
        self.tool = call.tool
        self.args: Dict[str, Any] = call.args
        self.binary: Optional[Dict[str, bytes]] = call.options.get("binary")
        self.pickles: List[str] = call.options.get("pickles") or []
        self.session = session
        self.facts: Dict[str, Any] = {}
        self.streaming = bool(call.options.get("stream"))
        self.context = CallContext(call.call_id, call.tool, worker_id, timeout, str(call.options.get("cid", "")))
        if session is not None:
            self.context.belong_to(session.context)
        self.began = time.perf_counter()
        self.cleaning = False
        self.leaving = False
        self.hang_timeout: Optional[float] = None
        self.kill_after = float(call.options.get("kill_after") or 2.0)
        self.ended = False
        self.entered = False
        self.ran = False
        self.reports = 0
        self.rung = ""
        self.forced = False
        self.on_loop: Optional[bool] = None
        self.on_thread = False
        self.visit_by: Optional[Callable[..., Any]] = None
        self.visit: Optional[Any] = None
        self.turn: Optional[threading.Lock] = None
        self.task: Optional[Any] = None
        self.together = bool(call.options.get("together"))
        self.trace: Optional[Dict[str, str]] = call.options.get("trace")
        self.span: Optional[tracing.ServerSpan] = None

    def enter_span(self) -> None:
        """In the thread or task that runs it: what runs from here on belongs to its span."""
        context = self.context
        OWN.remember(self.args, self.binary)
        self.span = tracing.server_span(self.trace, self.tool, None, OWN.redactor, self._known).__enter__()
        self.span.note(worker_id=context.worker_id, call_id=self.call_id, correlation_id=context.correlation_id, streaming=self.streaming)
        self.span.describe(self.secrets, args=self.args)
        if self.session is not None:
            self.span.note(session_id=self.session.context.id)

    @property
    def secrets(self) -> Tuple[str, ...]:
        """Those of its arguments, at a glance: keys of what is described may hold them."""
        return OWN.redactor.glance(self.args)

    def _known(self) -> Tuple[str, ...]:
        return OWN.known(self.args, self.binary, dict(self.session.context.metadata) if self.session is not None else None)

    def check(self) -> None:
        """For the runtime around its code: raise `Cancelled` if it has been cancelled; what cleans up then is not disturbed."""
        if self.context.cancelled:
            self.leaving = True
            raise Cancelled("the call was cancelled")

    def closing(self) -> None:
        """It is ended by closing its generator, or cancelling its task; unless it was by raising before."""
        self.rung = self.rung or "close"

    def was_raised(self, *, forced: bool) -> None:
        """`Cancelled` has been raised in its code."""
        self.rung = "exception"
        self.leaving = True
        self.forced = self.forced or forced

    def tell_rung(self, facts: Dict[str, Any]) -> None:
        """Into what is told of its end, if it was cancelled: on which rung of the ladder it ended."""
        if self.context.cancelled:
            facts["rung"] = self.rung or ("flag" if self.ran else "queued")
            if self.forced:
                facts["forced"] = True

    def is_cancelled(self) -> bool:
        """Has the caller given this call up?"""
        return self.context.cancelled

    def has_ended(self) -> bool:
        """Has its code left the stack?"""
        return self.ended
