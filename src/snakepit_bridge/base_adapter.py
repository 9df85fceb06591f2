"""What adapters are written against: `BaseAdapter` and `@tool`. Needs the standard library alone.

    class MyAdapter(BaseAdapter):
        @tool(description="Add two numbers")
        def add(self, a: float, b: float) -> float:
            return a + b

A module of `@tool` functions is an adapter too.
"""

from typing import Any, Callable, Dict, Optional, Sequence, TypeVar, overload

from .call_context import CallContext, Cancelled, current_call, progress
from .host_tools import HostToolError, HostTools, HostToolTimeout
from .read_only import read_only
from .session_context import SessionContext

__all__ = [
    "BaseAdapter",
    "CallContext",
    "Cancelled",
    "HostToolError",
    "HostToolTimeout",
    "HostTools",
    "SessionContext",
    "StreamChunk",
    "current_call",
    "progress",
    "tool",
]

F = TypeVar("F", bound=Callable[..., Any])

#: The attribute under which `@tool` leaves what it was told.
TOOL_ATTRIBUTE = "__snakepit_tool__"


@overload
def tool(function: F) -> F: ...


@overload
def tool(
    *,
    name: Optional[str] = ...,
    description: str = ...,
    supports_streaming: Optional[bool] = ...,
    idempotent: bool = ...,
    metadata: Optional[Dict[str, str]] = ...,
    pickled: Sequence[str] = ...,
) -> Callable[[F], F]: ...


def tool(
    function: Any = None,
    *,
    name: Optional[str] = None,
    description: str = "",
    supports_streaming: Optional[bool] = None,
    idempotent: bool = False,
    metadata: Optional[Dict[str, str]] = None,
    pickled: Sequence[str] = (),
) -> Any:
    """Mark a function or method as a tool. Works with and without parentheses; the function stays as it is.

    Args:
        function: the function, when used without parentheses.
        name: the tool's name; the function's own by default.
        description: one sentence for callers; the docstring's first line by default.
        supports_streaming: does it give chunks? None: yes exactly if it is a generator function.
        idempotent: may a call that a crash cut off be run again?
        metadata: further facts for callers, text by name.
        pickled: parameters that may come as pickles, where the pool says `allow_pickle=True` too. To read one is to run whatever
            its sender wants: say so only of what trusted callers give.
    """

    def mark(target: F) -> F:
        if not callable(target):
            raise TypeError("@tool marks a function, not %s: put it directly above a def" % type(target).__name__)
        setattr(
            target,
            TOOL_ATTRIBUTE,
            {
                "name": name,
                "description": description,
                "supports_streaming": supports_streaming,
                "idempotent": bool(idempotent),
                "metadata": dict(metadata or {}),
                "pickled": pickled,
            },
        )
        return target

    return mark if function is None else mark(function)


class StreamChunk:
    """A chunk with metadata of its own, for tools that want more than a plain yield.

    Args:
        data: the payload.
        is_final: is this the last chunk of the stream?
        metadata: arrives under the chunk's `_metadata`.
    """

    __slots__ = ("data", "is_final", "metadata")

    def __init__(self, data: Any = None, is_final: bool = False, metadata: Optional[Dict[str, Any]] = None) -> None:
        self.data = data
        self.is_final = is_final
        self.metadata = metadata


class BaseAdapter:
    """Groups tools that share state, such as a loaded model.

    One instance lives as long as its worker: `__init__` and `initialize` run once, `cleanup` at the end. An adapter that
    wants a fresh instance for each call says `lifecycle = "request"`.

    An adapter may have further hooks, `def` or `async def`: `on_session_start(session)` before a session's first call on this
    worker, `on_session_end(session)` when it has ended or expired, and both of `snapshot(session)`, which gives plain data and
    runs after each of its calls, and `restore(session, data)`, which takes that data on another worker when this one is lost.
    One with `on_soft_end()`, a plain `def`, gets SIGTERM before its worker is killed: it runs then, for two seconds at most.
    """

    #: "worker": one instance for the worker's life. "request": a fresh one per call.
    lifecycle = "worker"

    #: How many calls of async tools one worker runs at once. Sync tools run one at a time, but for the thread profile.
    concurrency = 1

    #: May several threads run its tools at the same moment? Asked in the thread profile alone: its pool warns unless this is True.
    #: None: as the module says that the class stands in, by a `thread_safe` of its own.
    thread_safe: Optional[bool] = None

    def initialize(self) -> Any:
        """Runs once before the first call (per call with lifecycle "request"). May be `async def`."""

    def cleanup(self) -> Any:
        """Runs once after the last call (per call with lifecycle "request"). May be `async def`."""

    @read_only
    def context(self) -> CallContext:
        """The call that runs here: cancelled or not, deadline, call id."""
        return current_call()

    @read_only
    def host_tools(self) -> HostTools:
        """Functions of the application: `self.host_tools["name"](...)`, with `await` in async tools; see `HostTools`."""
        return current_call().host_tools

    @property
    def session_context(self) -> SessionContext:
        """The same as `session`, as adapters written for Snakepit ask for it. They may set it: only they see that."""
        return self.__dict__.get("session_context") or current_call().session

    @session_context.setter
    def session_context(self, session: SessionContext) -> None:
        self.__dict__["session_context"] = session

    @read_only
    def session(self) -> SessionContext:
        """The session of the call that runs here, with its id, metadata and state; false (`if self.session`) for a call without one."""
        return current_call().session

    def progress(self, done: float, total: Optional[float] = None, **info: Any) -> None:
        """Tell the caller how far the work is; see `CallContext.progress`."""
        current_call().progress(done, total, **info)
