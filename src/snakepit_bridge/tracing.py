"""Carries a trace from process to process, and makes the span around code that serves the other side. Used by both sides.

OpenTelemetry's API is imported once a trace asks for it, if it is installed; until then nothing here costs anything. What it,
an exporter or a propagator raises never reaches a call: it is logged once. Only the W3C trace context travels. Baggage stays
behind: it holds whatever the application put there, secrets among it, and would turn up in a worker's logs.
"""

import sys
from types import TracebackType
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Type

#: Who made a span, as OpenTelemetry calls its instrumentation scope.
SCOPE = "snakepit"

_missing = False  # OpenTelemetry is not installed here
_said = False  # something of OpenTelemetry's is broken, and that has been logged


def imported() -> Any:
    """The module `opentelemetry.trace` if this process has imported it, else None: who traces has."""
    module = sys.modules.get("opentelemetry.trace")
    if module is None or not hasattr(module, "get_tracer_provider"):  # without it, another thread is just importing the module
        return None
    return module


def inject(context: Any = None) -> Optional[Dict[str, str]]:
    """The trace to send along, as plain text by name; None if there is nothing to tell. Never raises.

    Args:
        context: an OpenTelemetry context; the one that is current in this thread or task by default.
    """
    if imported() is None:
        return None
    carrier: Dict[str, str] = {}
    try:
        _propagator().inject(carrier, context)
    except Exception as error:
        say_broken(error)
    return carrier or None


def server_span(
    trace: Optional[Mapping[str, str]],
    name: str,
    attributes: Optional[Mapping[str, Any]] = None,
    redactor: Any = None,
    known: Callable[[], Iterable[str]] = tuple,
) -> "ServerSpan":
    """A span around code that the other side asked for, to be used in a `with` statement.

    Args:
        trace: what the other side's `inject` gave; None: no span is made.
        name: the name of the tool.
        attributes: further facts. Never values of arguments or results.
        redactor: masks what is said; None: the usual `Redactor`.
        known: asked when the code fails: secrets that its error may quote.
    """
    return ServerSpan(trace, name, attributes or {}, redactor, known)


class ServerSpan:
    """The current span of the thread or task that enters it, until it is left there: spans of the code inside are its children."""

    __slots__ = ("_attributes", "_known", "_name", "_redactor", "_span", "_token", "_trace")

    def __init__(self, trace: Any, name: str, attributes: Mapping[str, Any], redactor: Any, known: Callable[[], Iterable[str]]) -> None:
        self._trace = trace
        self._name = name
        self._attributes = attributes
        self._redactor = redactor
        self._known = known
        self._span: Any = None
        self._token: Any = None

    def __enter__(self) -> "ServerSpan":  # noqa: PYI034 - `Self` is not in Python 3.8's typing
        global _missing
        if self._trace and not _missing:
            try:
                self._start()
            except ImportError:
                _missing = True  # the trace goes on without this process
            except Exception as error:
                say_broken(error)
        return self

    def _start(self) -> None:
        from opentelemetry import context, trace

        parent = _propagator().extract(dict(self._trace))
        attributes = {**method(self._name), **self._attributes}
        kind = trace.SpanKind.SERVER
        # Without a provider in this process it records nothing, and hands the trace on to whatever is called inside.
        self._span = trace.get_tracer(SCOPE).start_span(self._name, parent, kind=kind, attributes=attributes)
        self._token = context.attach(trace.set_span_in_context(self._span))

    def note(self, **facts: Any) -> None:
        """Add attributes: `chunks=3` becomes `snakepit.chunks`. Texts are masked; what is None or empty is left out."""
        if self._span is not None:
            note(self._span, self._redactor, **facts)

    def describe(self, extra: Iterable[str] = (), **values: Any) -> None:
        """Add attributes that say what values are, not what they hold; `extra` are secrets that may stand as keys."""
        if self._span is not None:
            describe(self._span, self._redactor, extra, **values)

    def note_failure(self, code: str, kind: str, message: str) -> None:
        """Say that it failed."""
        if self._span is not None:
            note_failure(self._span, self._redactor, code, kind, message, self._known)

    def __exit__(self, _kind: Optional[Type[BaseException]], error: Optional[BaseException], _tb: Optional[TracebackType]) -> None:
        if self._span is None:
            return
        if error is not None:
            self.note_failure("tool_error", type(error).__name__, text_of(error))
        try:
            if self._token is not None:
                from opentelemetry import context

                context.detach(self._token)
            self._span.end()
        except Exception as broken:
            say_broken(broken)
        self._span = self._token = None


def method(name: str) -> Dict[str, str]:
    """The attributes that say what a span is about, in OpenTelemetry's words for remote procedure calls."""
    return {"rpc.system.name": "snakepit", "rpc.method": name}


def note(span: Any, redactor: Any, **facts: Any) -> None:
    """Add attributes `snakepit.<name>` to a span, texts masked; what is None or an empty text is left out. Never raises."""
    try:
        if span.is_recording():
            mask = _or_default(redactor).mask
            told = {name: mask(fact) if isinstance(fact, str) else fact for name, fact in facts.items() if fact not in (None, "")}
            span.set_attributes({"snakepit." + name: fact for name, fact in told.items()})
    except Exception as error:
        say_broken(error)


def describe(span: Any, redactor: Any, extra: Iterable[str] = (), **values: Any) -> None:
    """Add attributes `snakepit.<name>` that describe values; `extra` are secrets that may stand as keys. Never raises."""
    try:
        if span.is_recording():
            shown = _or_default(redactor).describe
            span.set_attributes({"snakepit." + name: shown(value, extra) for name, value in values.items()})
    except Exception as error:
        say_broken(error)


def note_failure(span: Any, redactor: Any, code: str, kind: str, message: str, known: Callable[[], Iterable[str]]) -> None:
    """Give a span the status of an error, and an exception event. Never raises.

    Without a stack: its lines quote values that no rule can know to be secret.

    Args:
        known: gives the secrets that the message may quote.
    """
    try:
        if not span.is_recording():
            return
        from opentelemetry.trace import Status, StatusCode

        redactor = _or_default(redactor)
        text = redactor.mask(message, known())
        span.set_attributes({"error.type": kind, "rpc.response.status_code": code})
        span.add_event("exception", {"exception.type": kind, "exception.message": text})
        span.set_status(Status(StatusCode.ERROR, text))
    except Exception as error:
        say_broken(error)


def text_of(error: BaseException) -> str:
    """An exception's message, also of one that cannot be shown."""
    try:
        return str(error)
    except Exception as second:
        return "<its text cannot be shown: %s>" % type(second).__name__


def say_broken(error: Exception) -> None:
    """Log, the first time, that something of OpenTelemetry's raised; the call goes on without it."""
    global _said
    if not _said:
        _said = True
        import logging

        what = "%s: %s" % (type(error).__name__, _or_default(None).mask(text_of(error)))
        logging.getLogger("snakepit.tracing").warning("tracing is broken, and calls go on without (said once): %s", what)


def _or_default(redactor: Any) -> Any:
    if redactor is None:
        from . import redaction  # here: most workers never need it, and each start would pay for it

        return redaction.DEFAULT
    return redactor


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()
