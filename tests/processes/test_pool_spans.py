"""Traces across processes: one connected trace per call, whatever its end, and no secret in it."""

from __future__ import annotations

import asyncio
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import snakepit
from pool_helpers import wait_until
from snakepit._pool import dispatcher
from snakepit.telemetry import spans
from span_tools import plain

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("leaves_nothing")]

TOOLS = "span_tools:SpanTools"
ASYNC_TOOLS = "span_tools:AsyncSpanTools"
CANARY = "canary-4711-hunter2"


class Spans:
    """What the host's exporter holds."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def all(self) -> list[dict[str, Any]]:
        return [plain(span) for span in self.exporter.get_finished_spans()]

    def one(self, name: str) -> dict[str, Any]:
        (span,) = [span for span in self.all if span["name"] == name]
        return span

    def inside(self, name: str) -> Any:
        return self.provider.get_tracer("app").start_as_current_span(name)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spans]:
    """The application traces. A provider can be set only once per process, so it is put where `set_tracer_provider` puts it."""
    made = Spans()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", made.provider)
    yield made
    made.provider.shutdown()


def theirs(pool: Any, name: str) -> dict[str, Any]:
    """The one span of that name that ended in the worker."""
    (span,) = [span for span in pool.execute("finished") if span["name"] == name]
    return span


def is_child(span: dict[str, Any], parent: dict[str, Any]) -> bool:
    return (span["trace"], span["parent"]) == (parent["trace"], parent["id"])


def failure_of(span: dict[str, Any]) -> tuple[str, str, str]:
    attributes = span["attributes"]
    return span["status"], attributes["rpc.response.status_code"], attributes["error.type"]


def test_one_connected_trace(host: Spans) -> None:
    """A call's client span has the caller's span above it and the worker's below, and below that the tool's own."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        with host.inside("app"):
            answer = pool.execute("work", {"text": "x"})
        client, server, inside = host.one("work"), theirs(pool, "work"), theirs(pool, "inside")
    assert is_child(client, host.one("app"))
    assert is_child(server, client)
    assert is_child(inside, server)
    assert (client["kind"], server["kind"], client["status"], server["status"]) == ("CLIENT", "SERVER", "UNSET", "UNSET")
    for span in (client, server):
        assert span["attributes"]["rpc.system.name"] == "snakepit"
        assert span["attributes"]["rpc.method"] == "work"
        assert span["attributes"]["snakepit.worker_id"] == "worker-1"
        assert span["attributes"]["snakepit.correlation_id"] == answer["correlation_id"]
        assert span["attributes"]["snakepit.call_id"] == 1
        assert span["attributes"]["snakepit.streaming"] is False
        assert span["attributes"]["snakepit.args"] == "dict(1 key: text)"
        assert span["attributes"]["snakepit.result"] == "dict(3 keys: text, echo, correlation_id)"
    assert 0.0 <= client["attributes"]["snakepit.queue_seconds"] < 10.0
    assert answer["correlation_id"] == client["attributes"]["snakepit.run_id"] + "-1"


@pytest.mark.parametrize("adapter", [TOOLS, ASYNC_TOOLS])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_host_tools_belong_to_the_trace(host: Spans, adapter: str, kind: str) -> None:
    """Application, call, tool, host tool, the call that makes, and its tool: one connected trace over two processes."""
    with snakepit.Pool(adapter, size=2) as pool:
        wait_until(lambda: pool.stats().workers_ready == 2, "two workers")

        def lookup() -> Any:
            with host.inside("host code"):
                return pool.execute("work") if kind == "sync" else None

        async def lookup_later() -> Any:
            await asyncio.sleep(0)
            return lookup()

        pool.register_tool(lookup if kind == "sync" else lookup_later, name="lookup")
        with host.inside("app"):
            answer = pool.execute("ask", {"name": "lookup"})
        spans_of_workers = [span for _ in range(8) for span in pool.execute("finished")]
        (asking,) = {span["id"]: span for span in spans_of_workers if span["name"] == "asking"}.values()
        (server,) = {span["id"]: span for span in spans_of_workers if span["name"] == "ask"}.values()
    app, client, lookup_span, code = (host.one(name) for name in ("app", "ask", "lookup", "host code"))
    for child, parent in ((client, app), (server, client), (asking, server), (lookup_span, asking), (code, lookup_span)):
        assert is_child(child, parent), (child["name"], parent["name"])
    assert lookup_span["attributes"]["snakepit.correlation_id"] == client["attributes"]["snakepit.correlation_id"]
    if kind == "sync":
        nested = host.one("work")
        assert is_child(nested, code)
        assert answer["correlation_id"] == client["attributes"]["snakepit.correlation_id"]


def test_a_stream_is_counted(host: Spans) -> None:
    """A stream's spans count its chunks and bytes; spans that a generator makes as it is resumed are the worker span's children."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        with host.inside("app"):
            assert len(list(pool.stream("count", {"chunks": 20, "size": 1000}).values())) == 20
        client, server = host.one("count"), theirs(pool, "count")
        items = [span for span in pool.execute("finished") if span["name"] == "item"]
    assert is_child(client, host.one("app"))
    assert is_child(server, client)
    assert len(items) == 20
    assert all(is_child(item, server) for item in items)
    assert client["attributes"]["snakepit.streaming"] is True
    assert client["attributes"]["snakepit.chunks"] == server["attributes"]["snakepit.chunks"] == 20
    assert 20_000 <= client["attributes"]["snakepit.bytes"] <= 20_000 + 20 * 8


def test_no_span_reaches_into_the_next_call(host: Spans) -> None:
    """Calls of one worker that follow each other have traces of their own, also after an error and an abandoned stream."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        with pytest.raises(snakepit.ToolError):
            pool.execute("fail")
        for _ in pool.stream("count", {"chunks": 100_000}):
            break
        pool.execute("work")
        client, server, inside = host.one("work"), theirs(pool, "work"), theirs(pool, "inside")
    assert client["parent"] is None
    assert is_child(server, client)
    assert is_child(inside, server)


def test_async_tools_that_overlap(host: Spans) -> None:
    """Async tools and generators that run at once on one worker each keep to their own trace."""
    with snakepit.Pool(ASYNC_TOOLS, size=1) as pool:
        futures = [pool.submit("wait", {"seconds": 0.02, "name": f"own-{number}"}) for number in range(3)]
        assert list(pool.stream("tick", {"chunks": 5, "name": "tock"}).values()) == [0, 1, 2, 3, 4]
        assert [future.result() for future in futures] == ["own-0", "own-1", "own-2"]
        ended = pool.execute("finished")
    servers = {span["id"]: span for span in ended if span["name"] in ("wait", "tick")}
    clients = {span["id"]: span for span in host.all if span["name"] in ("wait", "tick")}
    assert len(servers) == len(clients) == 4
    assert {span["parent"] for span in servers.values()} == set(clients)
    assert all(span["trace"] == clients[span["parent"]]["trace"] for span in servers.values())
    own = [span for span in ended if span["name"].startswith("own")]
    assert len({span["parent"] for span in own}) == 3
    assert all(is_child(span, servers[span["parent"]]) for span in own)
    tocks = [span for span in ended if span["name"] == "tock"]
    (tick,) = [span for span in servers.values() if span["name"] == "tick"]
    assert len(tocks) == 5
    assert all(is_child(span, tick) for span in tocks)
    assert tick["attributes"]["snakepit.chunks"] == 5


def test_an_error_without_its_secret(host: Spans) -> None:
    """An error marks both spans with its code and type; a secret among arguments, result and message is in no span."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        with pytest.raises(snakepit.ToolError):
            pool.execute("fail", {"password": CANARY})
        pool.execute("work", {"text": CANARY, "password": CANARY})
        pool.execute("work", {}, session_id=f"token={CANARY}")
        client, server, everything = host.one("fail"), theirs(pool, "fail"), [host.all, pool.execute("finished")]
    assert failure_of(client) == failure_of(server) == ("ERROR", "tool_error", "ValueError")
    for span in (client, server):
        (event,) = span["events"]
        assert (event["name"], event["exception.type"]) == ("exception", "ValueError")
        assert "wrong password ***" in event["exception.message"]
        assert "wrong password ***" in span["description"]
    assert CANARY not in json.dumps(everything)
    assert "snakepit.session_id" in json.dumps(everything)


def test_a_deadline_and_a_reader_that_leaves(host: Spans) -> None:
    """A call that times out and a stream that is left end their spans once, on both sides, each with the error's code."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        with pytest.raises(snakepit.WorkerTimeout):
            pool.execute("sleep", {"seconds": 30.0}, timeout=0.2)
        for _ in pool.stream("count", {"chunks": 100_000}):
            break
        pool.execute("work")
        assert failure_of(host.one("sleep")) == ("ERROR", "worker_timeout", "WorkerTimeout")
        assert failure_of(host.one("count")) == ("ERROR", "call_cancelled", "CallCancelled")
        assert failure_of(theirs(pool, "sleep")) == failure_of(theirs(pool, "count")) == ("ERROR", "cancelled", "cancelled")
        assert is_child(theirs(pool, "sleep"), host.one("sleep"))
        assert is_child(theirs(pool, "count"), host.one("count"))


def test_a_crash(host: Spans) -> None:
    """A worker that dies ends the client span of its call, once, with the crash; so does a kill in the middle of a stream."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("leave")
        with pytest.raises(snakepit.WorkerCrashed):
            for _ in pool.stream("count", {"chunks": 100_000}):
                os.kill(pool.workers()[0].info().pid, signal.SIGKILL)
        count = host.one("count")
        assert failure_of(host.one("leave")) == failure_of(count) == ("ERROR", "worker_crashed", "WorkerCrashed")
        assert count["attributes"]["snakepit.chunks"] > 0


def test_a_pool_that_closes(host: Spans) -> None:
    """Calls that run or wait as the pool closes, and one that comes after, end their spans once."""
    with snakepit.Pool(TOOLS, size=1) as pool:
        futures = [pool.submit("sleep", {"seconds": 30.0}) for _ in range(3)]
        wait_until(lambda: pool.stats().running == 1, "a running call")
        pool.close()
        for future in futures:
            with pytest.raises(snakepit.PoolClosed):
                future.result()
    closed = [span for span in host.all if span["name"] == "sleep"]
    assert [failure_of(span) for span in closed] == [("ERROR", "pool_closed", "PoolClosed")] * 3
    assert sorted("snakepit.worker_id" in span["attributes"] for span in closed) == [False, False, True]


def test_callers_in_threads_and_tasks(host: Spans) -> None:
    """The parent is what is current where the caller called, in each thread and each task."""
    with snakepit.Pool(TOOLS, size=2) as pool:

        def call(name: str) -> None:
            with host.inside(name):
                pool.execute("work")

        threads = [threading.Thread(target=call, args=(f"thread-{number}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def tasks() -> None:
        async def call_in_task(name: str) -> None:
            with host.inside(name):
                await pool.execute("work")

        async with snakepit.AsyncPool(TOOLS, size=2) as pool:
            await asyncio.gather(*(call_in_task(f"task-{number}") for number in range(4)))

    asyncio.run(tasks())
    callers = {span["id"]: span for span in host.all if span["name"] != "work"}
    calls = [span for span in host.all if span["name"] == "work"]
    assert {span["parent"] for span in calls} == set(callers)
    assert len(callers) == len(calls) == 8
    assert all(is_child(span, callers[span["parent"]]) for span in calls)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options of each call that is sent."""
    options: list[dict[str, Any]] = []
    original = dispatcher.call_options

    def spy(*args: Any) -> dict[str, Any]:
        options.append(original(*args))
        return options[-1]

    monkeypatch.setattr(dispatcher, "call_options", spy)
    return options


def test_without_a_provider(monkeypatch: pytest.MonkeyPatch, sent: list[dict[str, Any]]) -> None:
    """OpenTelemetry is imported here, but no provider set: no span is made, nothing is sent along, no worker imports it."""
    made: list[Any] = []
    original = spans.CallSpan.__init__

    def counted(self: Any, *args: Any) -> None:
        made.append(self)
        original(self, *args)

    monkeypatch.setattr(spans.CallSpan, "__init__", counted)
    with snakepit.Pool("span_tools:Untraced", size=1) as pool:
        assert pool.execute("imported") is False
        assert made == []
        assert [options for options in sent if "trace" in options] == []
        provider = TracerProvider()
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
        assert pool.execute("imported") is True
        provider.shutdown()
        assert len(made) == 1
        assert set(sent[-1]["trace"]) == {"traceparent"}


def test_baggage_stays_behind(host: Spans, sent: list[dict[str, Any]]) -> None:
    """What the application has put into its baggage does not travel."""
    token = context.attach(baggage.set_baggage("password", CANARY))
    try:
        with snakepit.Pool(TOOLS, size=1) as pool, host.inside("app"):
            pool.execute("work")
    finally:
        context.detach(token)
    assert set(sent[0]["trace"]) == {"traceparent"}


def test_a_worker_without_opentelemetry(host: Spans) -> None:
    """A traced call runs as ever on a worker where OpenTelemetry is not installed; its client span is complete."""
    with snakepit.Pool("span_tools:Untraced", size=1, env={"HIDE_OPENTELEMETRY": "1"}) as pool:
        assert [pool.execute("imported") for _ in range(3)] == [False] * 3
    assert [span["status"] for span in host.all] == ["UNSET"] * 3


def test_a_worker_that_sets_no_provider(host: Spans, tmp_path: pathlib.Path) -> None:
    """Where the worker has no provider, the tool still finds the caller's span as the current one, to hand on."""
    path = tmp_path / "handing_on.py"
    path.write_text(
        "from snakepit_bridge.base_adapter import tool\n"
        "@tool\n"
        "def current():\n"
        "    from opentelemetry import trace\n"
        "    return trace.format_span_id(trace.get_current_span().get_span_context().span_id)\n",
        encoding="utf-8",
    )
    with snakepit.Pool(str(path), size=1) as pool:
        assert pool.execute("current") == host.one("current")["id"]


def test_the_example_of_the_guide(tmp_path: pathlib.Path) -> None:
    """The example in `docs/how-to/tracing.md` prints one trace from two processes."""
    guide = pathlib.Path(__file__).parents[2] / "docs" / "how-to" / "tracing.md"
    path = tmp_path / "example.py"
    path.write_text(guide.read_text(encoding="utf-8").partition("```py\n")[2].partition("```")[0], encoding="utf-8")
    done = subprocess.run([sys.executable, "-W", "error", str(path)], capture_output=True, text=True, timeout=30, check=True)
    lines = re.findall(r"(\w+ \([A-Z]+\)) (\w+) below (\w+)", done.stdout + done.stderr)
    ids = {name: number for name, number, _ in lines}
    assert {name: above for name, _, above in lines} == {
        "request (INTERNAL)": "nothing",
        "add (CLIENT)": ids["request (INTERNAL)"],
        "add (SERVER)": ids["add (CLIENT)"],
        "adding (INTERNAL)": ids["add (SERVER)"],
    }
