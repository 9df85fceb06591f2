"""Spans in one process: when none is made, what they say, and that nothing broken in them reaches a call."""

from __future__ import annotations

import logging
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from snakepit.errors import ToolError, WorkerTimeout
from snakepit.telemetry import spans
from snakepit_bridge import redaction, tracing

CANARY = "canary-4711-hunter2"


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """A provider is set, where `set_tracer_provider` puts it; that itself works only once per process."""
    made = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(made))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield made
    provider.shutdown()


def a_call(**facts: Any) -> Any:
    usual = {"id": 7, "tool": "add", "args": {"a": 1}, "binary": None, "streaming": False, "session_id": ""}
    later = {"correlation_id": "0a1b2c3d-7", "worker_id": "", "began": 0.0, "chunks": 0}
    return types.SimpleNamespace(**{**usual, **later, **facts})


def begun(call: Any, **options: Any) -> spans.CallSpan:
    span = spans.begin(call, "0a1b2c3d", **options)
    assert span is not None
    return span


def test_no_span_where_opentelemetry_is_not_imported(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `opentelemetry.trace` among the loaded modules there is no span and nothing to send along."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    assert spans.begin(a_call(), "0a1b2c3d") is None
    assert tracing.inject() is None
    with spans.host_tool_span({"traceparent": f"00-{1:032x}-{1:016x}-01"}, "ask"):
        assert "opentelemetry.trace" not in sys.modules
    assert exporter.get_finished_spans() == ()


def test_no_span_while_opentelemetry_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that another thread has only begun to import counts as not imported."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", types.ModuleType("opentelemetry.trace"))
    assert spans.begin(a_call(), "0a1b2c3d") is None


def test_no_span_without_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the application sets a provider, and with one that does nothing, there is no span; from then on there is."""
    assert spans.begin(a_call(), "0a1b2c3d") is None
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", trace.NoOpTracerProvider())
    assert spans.begin(a_call(), "0a1b2c3d") is None
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(shutdown_on_exit=False))
    assert spans.begin(a_call(), "0a1b2c3d") is not None


def test_what_a_span_says(exporter: InMemorySpanExporter) -> None:
    """Ids, counts and descriptions, never values; the time in the queue ends when a worker begins."""
    call = a_call(args={"text": CANARY}, binary={"blob": CANARY.encode()}, session_id=f"password={CANARY}", streaming=True)
    span = begun(call)
    call.worker_id, call.began, call.chunks = "worker-2", span._made + 1.5, 3
    span.nbytes = 300
    span.succeed(call, [CANARY])
    (ended,) = exporter.get_finished_spans()
    told = {key.removeprefix("snakepit."): value for key, value in ended.attributes.items()}
    assert told == {
        "rpc.system.name": "snakepit",
        "rpc.method": "add",
        "run_id": "0a1b2c3d",
        "call_id": 7,
        "correlation_id": "0a1b2c3d-7",
        "session_id": "password=***",
        "worker_id": "worker-2",
        "streaming": True,
        "chunks": 3,
        "bytes": 300,
        "queue_seconds": pytest.approx(1.5),
        "args": "dict(1 key: text)",
        "binary_parameters": "dict(1 key: blob)",
        "result": "list(1 of str)",
    }


def test_what_a_failed_span_says(exporter: InMemorySpanExporter) -> None:
    """The error's code and the tool's own exception type; secrets that the arguments show are masked in the message."""
    call = a_call(args={"password": CANARY})
    begun(call).fail(call, ToolError(f"no {CANARY} here", type="KeyError", traceback=f"line {CANARY}"))
    begun(call).fail(call, WorkerTimeout("late"))
    first, second = exporter.get_finished_spans()
    assert (first.attributes["error.type"], first.attributes["rpc.response.status_code"]) == ("KeyError", "tool_error")
    assert (second.attributes["error.type"], second.attributes["rpc.response.status_code"]) == ("WorkerTimeout", "worker_timeout")
    assert first.status.description == "no *** here"
    assert [dict(event.attributes) for event in first.events] == [{"exception.type": "KeyError", "exception.message": "no *** here"}]
    assert CANARY not in first.to_json()


def test_a_redactor_of_the_pool(exporter: InMemorySpanExporter) -> None:
    """Names and patterns that a pool adds are masked in its spans."""
    call = a_call(args={"patient": "Jane Doe-Miller"})
    redactor = redaction.Redactor(names=["patient"], patterns=[r"AB-\d+"])
    begun(call, redactor=redactor).fail(call, WorkerTimeout("Jane Doe-Miller has AB-12"))
    assert exporter.get_finished_spans()[0].status.description == "*** has ***"


def test_only_the_trace_context_travels(exporter: InMemorySpanExporter) -> None:
    """What is sent along names the span itself and the trace's state, and leaves the baggage behind."""
    parent = trace.SpanContext(1, 2, True, trace.TraceFlags(1), trace.TraceState([("vendor", "x")]))
    above = trace.set_span_in_context(trace.NonRecordingSpan(parent), baggage.set_baggage("password", CANARY))
    token = context.attach(above)
    try:
        call = a_call()
        span = begun(call)
        span.succeed(call, None)
    finally:
        context.detach(token)
    (ended,) = exporter.get_finished_spans()
    assert ended.parent == parent
    assert span.trace == {
        "traceparent": f"00-{1:032x}-{ended.context.span_id:016x}-{ended.context.trace_flags:02x}",
        "tracestate": "vendor=x",
    }


def test_a_trace_that_is_not_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sampler's no travels along, so that no process below begins a trace of its own."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    call = a_call()
    span = begun(call)
    span.succeed(call, None)
    assert span.trace is not None
    assert span.trace["traceparent"].split("-")[3] in ("00", "02")  # the last bit says sampled; the other one that ids are random


def test_a_server_span_is_current_inside(exporter: InMemorySpanExporter) -> None:
    """Spans made inside are its children, `inject` tells of it, and after it the current span is what it was before."""
    sent = {"traceparent": f"00-{1:032x}-{2:016x}-01"}
    with spans.host_tool_span(sent, "ask", {"snakepit.worker_id": "worker-1"}):
        inner = tracing.inject()
        with trace.get_tracer("app").start_as_current_span("inner"):
            pass
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert tracing.inject() is None
    inside, ask = exporter.get_finished_spans()
    assert (ask.name, ask.kind, ask.context.trace_id, ask.parent.span_id) == ("ask", trace.SpanKind.SERVER, 1, 2)
    assert ask.attributes["snakepit.worker_id"] == "worker-1"
    assert inside.parent.span_id == ask.context.span_id
    assert inner is not None
    assert f"{ask.context.span_id:016x}" in inner["traceparent"]


def test_a_server_span_records_what_is_raised(exporter: InMemorySpanExporter) -> None:
    """An exception passes through and marks the span, masked, also if its text cannot be shown."""

    class Unshowable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    sent = {"traceparent": f"00-{1:032x}-{2:016x}-01"}
    with pytest.raises(ValueError), tracing.server_span(sent, "ask"):
        raise ValueError(f"password={CANARY}")
    with pytest.raises(Unshowable), tracing.server_span(sent, "ask"):
        raise Unshowable
    first, second = exporter.get_finished_spans()
    assert (first.status.description, first.attributes["error.type"]) == ("password=***", "ValueError")
    assert second.status.description == "<its text cannot be shown: RuntimeError>"


class Broken(SpanProcessor):
    """Raises at each begin and end."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        raise RuntimeError(f"broken: password={CANARY}")

    def on_end(self, span: Any) -> None:
        raise RuntimeError(f"broken: password={CANARY}")


class BrokenEnd(Broken):
    """Raises at each end."""

    def on_start(self, span: Any, parent_context: Any = None) -> None: ...


@pytest.mark.parametrize("processor", [Broken, BrokenEnd])
def test_a_broken_processor_is_told_once(processor: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A processor that raises, at the begin or at the end, hinders no call; the log says so once, without the secret in its words."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor())
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(tracing, "_said", False)
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            call = a_call()
            span = spans.begin(call, "0a1b2c3d")
            if span is not None:
                span.succeed(call, None)
            with tracing.server_span({"traceparent": f"00-{1:032x}-{2:016x}-01"}, "ask"):
                pass
    assert [record.getMessage() for record in caplog.records] == [
        "tracing is broken, and calls go on without (said once): RuntimeError: broken: password=***"
    ]
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("sent", ["text", {"traceparent": 5}, {"traceparent": "nonsense"}, {"other": "x"}, 7])
def test_a_trace_that_makes_no_sense(sent: Any, exporter: InMemorySpanExporter) -> None:
    """Whatever comes in the place of a trace, the code inside runs."""
    ran = []
    with tracing.server_span(sent, "ask"):
        ran.append(True)
    assert ran == [True]
    assert trace.get_current_span() is trace.INVALID_SPAN
