"""Events of a tool's own for whoever measures: `emit` and `span`. Where nobody listens they cost next to nothing.

from snakepit_bridge import telemetry

with telemetry.span("inference", {"model": "m"}):       # python.call.start, then .stop or .exception
    ...
telemetry.emit("tool.result_size", {"bytes": len(data)}, {"tool": "resize"})
"""

import contextlib
import os
import threading
import time
from typing import Any, Callable, Iterator, Mapping, Optional, Tuple, Union

from .call_context import CallContext, current_call

Number = Union[int, float, str]

Listener = Callable[[str, Mapping[str, Number], Mapping[str, Any], str], None]

#: Who listens: called with (name, measurements, metadata, correlation id), on any thread. Set by the runtime. In a process with several
#: workers each has one, and hears its own calls and its own main thread; what neither tells the first one hears.
_listeners: "Tuple[Listener, ...]" = ()
#: In their place, where a worker serves another protocol.
_listener: "Optional[Listener]" = None
#: `listener`: of the worker whose main thread this is.
_here = threading.local()
_changing = threading.Lock()
_registered = False


def emit(
    event: str,
    measurements: Optional[Mapping[str, Number]] = None,
    metadata: Optional[Mapping[str, Any]] = None,
    correlation_id: Optional[str] = None,
) -> None:
    """Tell of something that has happened. Never blocks, never raises for want of a listener.

    Args:
        event: its name, with dots between its parts, such as `tool.result_size`.
        measurements: numbers (or text) by name. metadata: facts by name.
        correlation_id: of the call it belongs to; None: of the one that runs here.
    """
    if _listener is None and not _listeners:
        return
    try:
        call: Optional[CallContext] = current_call()
    except RuntimeError:  # no call runs here
        call = None
    own = call.listener if call is not None else getattr(_here, "listener", None)
    listener = _listener or own or next(iter(_listeners), None)
    if listener is not None:
        listener(event, measurements or {}, metadata or {}, correlation_id or (call.correlation_id if call is not None else ""))


@contextlib.contextmanager
def span(operation: str, metadata: Optional[Mapping[str, Any]] = None, correlation_id: Optional[str] = None) -> Iterator[None]:
    """Tell of an operation's beginning (`OPERATION.start`) and end (`.stop`, `.exception`), with its `duration` in nanoseconds."""
    facts = dict(metadata or {})
    emit(operation + ".start", {"system_time": time.time_ns()}, facts, correlation_id)
    began = time.perf_counter_ns()
    try:
        yield
    except BaseException as error:
        facts.update(error_type=type(error).__name__, error_message=str(error))
        emit(operation + ".exception", {"duration": time.perf_counter_ns() - began}, facts, correlation_id)
        raise
    emit(operation + ".stop", {"duration": time.perf_counter_ns() - began}, facts, correlation_id)


def listen(listener: "Optional[Listener]") -> None:
    """For the runtime alone: who is told in the place of all others; None: nobody."""
    global _listener
    _listener = listener


def add_listener(listener: Listener) -> None:
    """For the runtime alone: who is told, too. A forked child tells nobody: it has no host."""
    global _listeners, _registered
    with _changing:
        if listener not in _listeners:
            _listeners = (*_listeners, listener)
        if not _registered and hasattr(os, "register_at_fork"):
            _registered = True
            os.register_at_fork(after_in_child=_forget)


def listen_on_this_thread(listener: Listener) -> None:
    """For the runtime alone: who hears what the adapter's own hooks tell, which run in no call, on a worker's main thread."""
    _here.listener = listener


def remove_listener(listener: Listener) -> None:
    """For the runtime alone: who is told no more; harmless if it was not."""
    global _listeners
    with _changing:
        _listeners = tuple(item for item in _listeners if item != listener)


def _forget() -> None:
    global _listeners, _changing
    _listeners = ()
    _changing = threading.Lock()  # another thread may have held it
