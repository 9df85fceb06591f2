"""Tools of a worker that traces: a provider of its own with an exporter in memory, and a tool that tells what it holds."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

from snakepit_bridge.base_adapter import BaseAdapter, tool


class SpanTools(BaseAdapter):
    def initialize(self) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(provider)
        self.tracer = trace.get_tracer("tools")

    def inside(self, name: str) -> Any:
        return self.tracer.start_as_current_span(name)

    @tool
    def finished(self) -> list[dict[str, Any]]:
        """All spans that have ended in this worker."""
        return [plain(span) for span in self.exporter.get_finished_spans()]

    @tool
    def work(self, text: str = "", password: str = "") -> dict[str, str]:
        with self.inside("inside"):
            return {"text": text, "echo": password, "correlation_id": self.context.correlation_id}

    @tool
    def count(self, chunks: int, size: int = 0) -> Any:
        for number in range(chunks):
            with self.inside("item"):
                time.sleep(0.001)
            yield bytes(size) if size else number

    @tool
    def fail(self, password: str = "") -> Any:
        with self.tracer.start_as_current_span("doomed", record_exception=False, set_status_on_exception=False):
            raise ValueError(f"wrong password {password}")

    @tool
    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    @tool
    def ask(self, name: str) -> Any:
        with self.inside("asking"):
            return self.host_tools[name]()

    @tool
    def leave(self) -> None:
        os._exit(3)


class AsyncSpanTools(SpanTools):
    concurrency = 4

    @tool
    async def ask(self, name: str) -> Any:
        with self.inside("asking"):
            return await self.host_tools[name]()

    @tool
    async def wait(self, seconds: float, name: str) -> str:
        await asyncio.sleep(seconds)
        with self.inside(name):
            await asyncio.sleep(seconds)
        return name

    @tool
    async def tick(self, chunks: int, name: str) -> Any:
        for number in range(chunks):
            with self.inside(name):
                await asyncio.sleep(0.002)
            yield number


class Untraced(BaseAdapter):
    """Sets no provider; where the environment says so, OpenTelemetry is not installed, as far as an import can tell."""

    def initialize(self) -> None:
        if os.environ.get("HIDE_OPENTELEMETRY"):
            sys.modules["opentelemetry"] = None  # type: ignore[assignment]

    @tool
    def imported(self) -> bool:
        return sys.modules.get("opentelemetry") is not None


def plain(span: Any) -> dict[str, Any]:
    """A finished span as data."""
    return {
        "name": span.name,
        "kind": span.kind.name,
        "trace": span.context.trace_id.to_bytes(16, "big").hex(),
        "id": span.context.span_id.to_bytes(8, "big").hex(),
        "parent": span.parent.span_id.to_bytes(8, "big").hex() if span.parent else None,
        "status": span.status.status_code.name,
        "description": span.status.description or "",
        "attributes": dict(span.attributes),
        "events": [{"name": event.name, **event.attributes} for event in span.events],
    }
