"""The client span of each call: begun where the caller is, ended with the call. The engine makes and ends them.

There are none unless the application has imported OpenTelemetry and set a tracer provider. Attributes say what a call was and
how it went, never what it carried: arguments and results are described, messages masked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from snakepit.errors import SnakepitError, ToolError
from snakepit_bridge import redaction, tracing

#: The tracer provider that was asked last, and its tracer: making one for each call would cost more than the span.
_latest: tuple[Any, Any] = None, None


class TracedCall(Protocol):
    """What a span says of a call."""

    id: int
    tool: str
    args: dict[str, Any]
    binary: Mapping[str, bytes] | None
    streaming: bool
    session_id: str
    correlation_id: str
    worker_id: str
    began: float
    chunks: int


class CallSpan:
    """The span of one call, from `begin` to `succeed` or `fail`: one of them, once.

    Attributes:
        trace: what travels with the call; None: nothing.
        nbytes: bytes of chunks that have come; whoever receives them adds them up.
    """

    __slots__ = ("_made", "_redactor", "_span", "nbytes", "trace")

    def __init__(self, span: Any, trace: dict[str, str] | None, redactor: redaction.Redactor) -> None:
        self.trace = trace
        self.nbytes = 0
        self._span = span
        self._made = time.monotonic()
        self._redactor = redactor

    def succeed(self, call: TracedCall, value: Any) -> None:
        """The call ended well."""
        tracing.describe(self._span, self._redactor, self._redactor.glance(call.args), result=value)
        self._end(call)

    def fail(self, call: TracedCall, error: SnakepitError) -> None:
        """The call ended with an error; a cancelled one too."""
        kind = error.type if isinstance(error, ToolError) else type(error).__name__
        tracing.note_failure(self._span, self._redactor, error.code, kind, error.message, lambda: self._redactor.secrets_in(call.args))
        self._end(call)

    def _end(self, call: TracedCall) -> None:
        streamed = {"chunks": call.chunks, "bytes": self.nbytes} if call.streaming else {}
        queued = max(0.0, (call.began if call.worker_id else time.monotonic()) - self._made)
        tracing.note(self._span, self._redactor, worker_id=call.worker_id, queue_seconds=queued, **streamed)
        try:
            self._span.end()
        except Exception as error:
            tracing.say_broken(error)


def begin(call: TracedCall, run_id: str, redactor: redaction.Redactor = redaction.DEFAULT) -> CallSpan | None:
    """The span of a call that is about to be submitted, a child of what is current in the caller's thread or task.

    None if nobody traces. Never raises.

    Args:
        run_id: the id of this run of the pool.
    """
    api = tracing.imported()
    if api is None:
        return None
    try:
        tracer = _tracer(api)
        if tracer is None:
            return None
        span = tracer.start_span(call.tool, kind=api.SpanKind.CLIENT, attributes=tracing.method(call.tool))
        _introduce(span, call, run_id, redactor)
        return CallSpan(span, tracing.inject(api.set_span_in_context(span)), redactor)
    except Exception as error:
        tracing.say_broken(error)
        return None


def traced() -> bool:
    """Does a call of now get a span? Never raises."""
    try:
        api = tracing.imported()
        return api is not None and _tracer(api) is not None
    except Exception:  # `begin` says what is wrong
        return True


def host_tool_span(
    trace: Mapping[str, str] | None,
    name: str,
    attributes: Mapping[str, Any] | None = None,
    redactor: redaction.Redactor = redaction.DEFAULT,
    known: Callable[[], Iterable[str]] = tuple,
) -> tracing.ServerSpan:
    """`tracing.server_span` around a host tool; makes none where the application does not trace."""
    api = tracing.imported() if trace else None
    return tracing.server_span(trace if api is not None else None, name, attributes, redactor, known)


def _tracer(api: Any) -> Any:
    """The tracer of the provider that the application has set; None before it sets one."""
    global _latest
    provider = api.get_tracer_provider()
    known, tracer = _latest
    if provider is not known:
        idle = isinstance(provider, api.ProxyTracerProvider | api.NoOpTracerProvider)
        tracer = None if idle else provider.get_tracer(tracing.SCOPE)
        _latest = provider, tracer
    return tracer


def _introduce(span: Any, call: TracedCall, run_id: str, redactor: redaction.Redactor) -> None:
    ids = {"run_id": run_id, "call_id": call.id, "correlation_id": call.correlation_id, "session_id": call.session_id}
    tracing.note(span, redactor, **ids, streaming=call.streaming)
    known = redactor.glance(call.args)
    tracing.describe(span, redactor, known, args=call.args)
    if call.binary:
        tracing.describe(span, redactor, known, binary_parameters=dict(call.binary))
