"""Tools that quote secrets which are not among their arguments, in a worker that traces."""

import base64
import os
import time

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from snakepit_bridge import BaseAdapter, tool


def say(word, secret):
    """Prints it in several forms."""
    raw = secret.encode()
    print(word, secret, raw, repr([secret]), {secret: 1}, base64.b64encode(b"x" + raw).decode(), flush=True)


class LeakingMore(BaseAdapter):
    def initialize(self):
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        trace.set_tracer_provider(provider)

    @tool
    def finished(self):
        """All spans that have ended in this worker, as text."""
        return "\n".join(span.to_json() for span in self.exporter.get_finished_spans())

    @tool
    def quote(self, source: str):
        """Raises with a variable, or the session's metadata."""
        secret = self.session.metadata["password"] if source == "session" else os.environ[source]
        say("quoted", secret)
        raise ValueError(f"bad {secret}", secret.encode())

    @tool
    def refused(self, name: str, parts: list):
        """Hands a host tool a secret that it has put together, and lets its error pass."""
        self.host_tools[name](password="".join(parts))

    @tool
    def use_answer(self, name: str):
        """Prints what a host tool returns or yields, and raises with it."""
        answer = self.host_tools[name]()
        for item in [answer] if isinstance(answer, dict) else answer:
            say("answered", item["password"])
        raise ValueError(item["password"])

    @tool
    def deliver(self, parts: list):
        """Returns a secret of its own."""
        self.kept = "".join(parts)
        return {"login": {"password": self.kept}}

    @tool
    def use_kept(self):
        """Prints what it has returned earlier, and raises with it."""
        say("kept", self.kept)
        raise ValueError(self.kept)

    @tool
    def yield_and_fail(self, parts: list):
        """Yields a secret of its own, prints it, and raises with it."""
        secret = "".join(parts)
        yield {"password": secret}
        time.sleep(0.3)  # chunks and output take different ways
        say("yielded", secret)
        raise ValueError(secret)

    @tool
    def keyed(self, password: str, text: str):
        """Returns secrets as keys."""
        return {password: 1, text: 2}

    @tool
    def cut_matching(self, text: str, pause: float):
        """Prints what a pattern of the pool's matches, in two writes."""
        os.write(1, b"cut " + text[:-8].encode())
        time.sleep(pause)
        os.write(1, text[-8:].encode() + b"\n")

    @tool
    def matching(self, text: str, patient: str):
        """Raises with what only the pool's own names and patterns tell."""
        print("matching", text, patient, flush=True)
        raise ValueError(f"{text} and {patient}")
