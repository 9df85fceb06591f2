"""What a tool may know and say about the call it is running: cancelled or not, time left, progress.

One `CallContext` per call, held in a context variable: it belongs to the call, not to the adapter instance, so calls
that overlap on one adapter never see each other's. The runtime makes it; adapters read it.
"""

import contextvars
import time
from typing import Any, Callable, Dict, NoReturn, Optional, Type

from .host_tools import HostAsker, HostTools
from .read_only import read_only
from .session_context import SessionContext

_current: "contextvars.ContextVar[CallContext]" = contextvars.ContextVar("snakepit_call")


class Cancelled(BaseException):
    """Raised inside a tool whose call has been cancelled.

    Not an `Exception`: a tool's `except Exception` must not eat it. Clean up in `finally`, then let it pass.
    """

    #: For the runtime alone: the call's code begins to leave by it. False: it was leaving already.
    begins = True


class _Shield:
    """Around a section that must not be left halfway; see `CallContext.shield`."""

    __slots__ = ("_context", "_seconds")

    def __init__(self, context: "CallContext", seconds: float) -> None:
        self._context = context
        self._seconds = seconds

    def __enter__(self) -> None:
        self._context.check()
        self._context._shields += 1
        self._context._shielded_until = max(self._context._shielded_until, time.monotonic() + self._seconds)

    def __exit__(self, kind: Optional[Type[BaseException]], *_: object) -> None:
        self._context._shields -= 1
        if not self._context._shields:
            self._context._shielded_until = 0.0
            if kind is None:
                self._context.check()


class CallContext:
    """One running call, as its tool sees it.

    Attributes:
        call_id: number of the call on this worker's channel.
        tool: the tool's name.
        worker_id: the id of the worker that runs it, such as `worker-1`.
        correlation_id: in every log line about the call, on both sides; calls made by its host tools keep it. Log it with yours.
    """

    def __init__(
        self,
        call_id: int,
        tool: str,
        worker_id: str = "",
        timeout: Optional[float] = None,
        correlation_id: str = "",
    ) -> None:
        self.call_id = call_id
        self.tool = tool
        self.worker_id = worker_id
        self.correlation_id = correlation_id
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._cancelled = False
        self._report: Optional[Callable[[Dict[str, Any]], None]] = None
        self._session: Optional[SessionContext] = None
        self._asker: Optional[HostAsker] = None
        self._ended = False
        self._leaves: Optional[Callable[[CallContext, Cancelled], None]] = None
        self._shields = 0
        self._shielded_until = 0.0
        #: For the runtime alone: who hears what its code emits.
        self.listener: Optional[Callable[..., None]] = None

    @read_only
    def host_tools(self) -> HostTools:
        """The functions that the application offers to this call: `context.host_tools["name"](...)`."""
        return HostTools(self, self._asker)

    @read_only
    def session(self) -> SessionContext:
        """The session that the call belongs to; without one, an anonymous and false one whose state ends with the call."""
        if self._session is None:
            self._session = SessionContext()
        return self._session

    @property
    def cancelled(self) -> bool:
        """True once the caller has left, cancelled, or run out of time. Ask it in long loops."""
        return self._cancelled

    @property
    def deadline(self) -> Optional[float]:
        """When the call ends at the latest, in `time.monotonic()` seconds of this process; None: no deadline."""
        return self._deadline

    @property
    def remaining(self) -> Optional[float]:
        """Seconds until the deadline, never below 0; None: no deadline."""
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def check(self) -> None:
        """Raise `Cancelled` if the call has been cancelled."""
        if self._cancelled:
            self.leave()

    def shield(self, seconds: float = 1.0) -> _Shield:
        """A section that a cancel does not interrupt: `with self.context.shield(): ...`. May be nested, and used in async tools.

        A cancel that comes meanwhile is raised at its end, as `Cancelled`; one that came before at its beginning. When the section
        takes longer than it said it is interrupted all the same, and after the pool's `cancel_timeout` the worker is killed.

        Args:
            seconds: how long it may take, at most.

        Raises:
            ValueError: seconds is not above 0.
        """
        if not 0 < seconds < float("inf"):
            raise ValueError("seconds is %r; allowed is a number above 0" % (seconds,))
        return _Shield(self, seconds)

    def shielded_for(self) -> float:
        """For the runtime alone: how long it is still to be left in peace (seconds)."""
        return max(0.0, self._shielded_until - time.monotonic()) if self._shields else 0.0

    def progress(self, done: float, total: Optional[float] = None, **info: Any) -> None:
        """Tell the caller how far the work is. Never blocks; when reports pile up, the newest wins.

        Args:
            done: units done so far.
            total: units in all, when known; then `percent` is reported too.
            **info: anything else worth showing, such as `message="..."`.
        """
        if self._report is None:
            return
        payload: Dict[str, Any] = {"progress": done}
        if total is not None:
            payload["total"] = total
            payload["percent"] = 100.0 * done / total if total else 100.0
        payload.update(info)
        self._report(payload)

    def mark_cancelled(self) -> None:
        """For the runtime alone: the call is cancelled from now on."""
        self._cancelled = True

    def leave(self) -> NoReturn:
        """For the runtime alone: raise `Cancelled` in the call's code, which then cleans up."""
        error = Cancelled(self.tool)
        if self._leaves is not None:
            self._leaves(self, error)
        raise error

    def raise_through(self, leaves: Callable[["CallContext", Cancelled], None]) -> None:
        """For the runtime alone: who is told before something that the call's code has called raises `Cancelled` there."""
        self._leaves = leaves

    @property
    def ended(self) -> bool:
        """True once the call's code has returned or raised."""
        return self._ended

    def mark_ended(self) -> None:
        """For the runtime alone: the call's code has left the stack."""
        self._ended = True

    def belong_to(self, session: SessionContext) -> None:
        """For the runtime alone: the session that the call belongs to."""
        self._session = session

    def ask_through(self, asker: HostAsker) -> None:
        """For the runtime alone: how host tools are called."""
        self._asker = asker

    def report_to(self, report: Callable[[Dict[str, Any]], None]) -> None:
        """For the runtime alone: where `progress` goes."""
        self._report = report


def current_call() -> CallContext:
    """The call that runs here.

    Raises:
        RuntimeError: no call is running in this thread or task.
    """
    try:
        return _current.get()
    except LookupError:
        raise RuntimeError(
            "no call is running here: `context` and `progress` work inside a tool, on the thread or task that runs it; "
            "a thread that the tool starts must be handed `self.context` by the tool"
        ) from None


def progress(done: float, total: Optional[float] = None, **info: Any) -> None:
    """`self.progress` for tools that are plain functions: report on the call that runs here."""
    current_call().progress(done, total, **info)


def enter(call: CallContext) -> "contextvars.Token[CallContext]":
    """For the runtime alone: `call` runs in this thread or task from now on."""
    return _current.set(call)


def leave(token: "contextvars.Token[CallContext]") -> None:
    """For the runtime alone: undo `enter`."""
    _current.reset(token)
