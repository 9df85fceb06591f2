"""Events of a tool's own for whoever measures: `emit` and `span`. Where nobody listens they cost next to nothing.

from snakepit_bridge import telemetry

with telemetry.span("inference", {"model": "m"}):       # python.call.start, then .stop or .exception
    ...
telemetry.emit("tool.result_size", {"bytes": len(data)}, {"tool": "resize"})
"""

import contextlib
import time
from typing import Any, Callable, Iterator, Mapping, Optional, Union

Number = Union[int, float, str]

#: Who listens: called with (name, measurements, metadata, correlation id), on any thread. Set by the runtime.
_listener: "Optional[Callable[[str, Mapping[str, Number], Mapping[str, Any], str], None]]" = None


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
    if _listener is not None:
        _listener(event, measurements or {}, metadata or {}, correlation_id or _own_id())


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


def listen(listener: "Optional[Callable[[str, Mapping[str, Number], Mapping[str, Any], str], None]]") -> None:
    """For the runtime alone: who is told; None: nobody."""
    global _listener
    _listener = listener


def _own_id() -> str:
    from .call_context import current_call

    try:
        return current_call().correlation_id
    except RuntimeError:  # no call runs here
        return ""
