"""Servers that speak Snakepit's service under our host: `protocol="bridge"`."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

import snakepit
from hand_wire import entry, fields, message
from snakepit_worker import STRING_VALUE, same

pytestmark = pytest.mark.slow

FOREIGN = [sys.executable, str(pathlib.Path(__file__).with_name("snakepit_worker.py"))]
OURS = [sys.executable, "-m", "snakepit_bridge.grpc_server"]


def wait_until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    """Until it is true, but not for ever."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def pool() -> Iterator[snakepit.Pool]:
    """A pool of one stand-in for Snakepit's own worker."""
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, cancel_timeout=0.5) as made:
        yield made


def test_calls(pool: snakepit.Pool) -> None:
    """Results, errors, binary parameters; tools that the server has not told may be called, and say themselves that they are none."""
    assert pool.execute("add", {"a": 1, "b": 2}) == 3
    assert pool.execute("size", binary_parameters={"data": b"12345"}) == 5
    with pytest.raises(snakepit.ToolError, match="not here") as failed:
        pool.execute("fail")
    assert failed.value.type == "LookupError"
    with pytest.raises(snakepit.ToolError, match="no tool nope"):
        pool.execute("nope")
    where = pool.execute("where")
    assert where["args"][:2] == ["--port", "0"]
    assert where["pid"] == pool.workers()[0].pid
    assert not pathlib.Path(where["ready"]).exists()
    info = pool.workers()[0].info()
    assert (info.protocol, info.endpoint.startswith("127.0.0.1:")) == ("bridge", True)


def test_what_is_too_large_is_refused_by_name() -> None:
    """Arguments before they leave; results, chunks and what host tools take and give when they have come. The server serves on."""
    limit = 1024 * 1024
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, max_payload=limit) as pool:
        pool.register_tool(lambda number: "y" * number if isinstance(number, int) else len(number), name="sized")
        for what, call in (
            ("the arguments of 'size' have", lambda: pool.execute("size", binary_parameters={"data": bytes(2 * limit)})),
            ("the arguments of 'add' have", lambda: pool.execute("add", {"a": ["x"] * limit, "b": 1})),
            ("the result of 'add' has", lambda: pool.execute("add", {"a": 1000 * "x", "b": "", "times": 2000})),
            ("chunk 0 of 'count' has", lambda: list(pool.stream("count", {"count": 2, "pad": 2 * limit}))),
        ):
            with pytest.raises(snakepit.PayloadTooLarge, match=f"{what} [0-9]+ bytes, and max_payload is {limit}"):
                call()
        with pytest.raises(snakepit.ToolError, match=f"the arguments have [0-9]+ bytes, and max_payload is {limit}"):
            pool.execute("ask", {"name": "sized", "letter": "x"})
        with pytest.raises(snakepit.ToolError, match=f"the result has [0-9]+ bytes, and max_payload is {limit}"):
            pool.execute("ask", {"name": "sized", "number": 2 * limit})
        assert len(pool.execute("add", {"a": 1000 * "x", "b": "", "times": 1000})) == 1_000_000
        assert (pool.stats().restarts, pool.workers()[0].id) == (0, "worker-1")


def test_what_degrades_is_told(pool: snakepit.Pool) -> None:
    """The protocol, and what it cannot do, stand in the figures."""
    stats = pool.stats()
    assert stats.protocol == "bridge"
    assert any("is not interrupted softly" in reason for reason in stats.protocol_reasons)
    assert any("no credit" in reason for reason in stats.protocol_reasons)


def test_streams(pool: snakepit.Pool) -> None:
    """Chunks as they come, numbered, with one final one; also of more than any window holds, and of a reader that leaves."""
    assert list(pool.stream("count", {"count": 3}).values()) == [{"n": n, "pad": ""} for n in range(3)]
    assert [chunk["is_final"] for chunk in pool.stream("count", {"count": 2})] == [False, False, True]
    odd = list(pool.stream("odd"))
    assert [chunk.get("raw_data", chunk.get("data")) for chunk in odd[:2]] == [b"\x00raw", [1, 2]]
    assert odd[1]["_metadata"]["kind"] == "list"
    assert (odd[2]["last"], odd[2]["is_final"], odd[2]["_metadata"]["kind"]) == (1, True, "best")
    assert sum(1 for _ in pool.stream("count", {"count": 20_000, "pad": 500})) == 20_001
    with pytest.raises(snakepit.ToolError, match="in the middle"):
        list(pool.stream("broken"))


def test_a_slow_reader_holds_the_server_back(pool: snakepit.Pool) -> None:
    """What is on its way is bounded by the window and HTTP/2's own."""
    import psutil

    stream = pool.stream("count", {"count": 200_000, "pad": 1000})
    next(stream)
    before = psutil.Process().memory_info().rss
    time.sleep(1.0)
    assert psutil.Process().memory_info().rss - before < 64 * 1024 * 1024
    stream.close()


def test_a_cancelled_call_costs_its_worker(pool: snakepit.Pool, tmp_path: pathlib.Path) -> None:
    """The caller has its error at once; the server, which does not tell when the tool has ended, is ended and replaced."""
    first = pool.execute("where")["pid"]
    began = time.monotonic()
    with pytest.raises(snakepit.WorkerTimeout):
        pool.execute("sleep", {"seconds": 600, "mark": str(tmp_path / "begun")}, timeout=0.5)
    assert time.monotonic() - began < 1.0
    assert pool.execute("where")["pid"] != first
    assert pool.stats().killed == 1


def test_a_crash(pool: snakepit.Pool) -> None:
    """Its call fails by name; another server takes its place."""
    with pytest.raises(snakepit.WorkerCrashed, match="exited with code 9"):
        pool.execute("crash")
    assert pool.execute("add", {"a": 1, "b": 1}) == 2


def test_host_tools(pool: snakepit.Pool) -> None:
    """The server calls back, for a session that cannot be guessed; a stranger gets nothing."""

    @pool.host_tool
    def double(number: int) -> int:
        return 2 * number

    assert pool.execute("ask", {"name": "double", "number": 21}) == {"offered": ["double"], "value": 42}
    with pytest.raises(snakepit.ToolError, match="the application offers no tool named .nothing."):
        pool.execute("ask", {"name": "nothing", "number": 1})
    address = pool.execute("where")["args"]
    address = address[address.index("--elixir-address") + 1]
    request = message((1, "session_1"), (2, "double"), (3, entry("number", message((1, STRING_VALUE), (2, b"1")))))
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as refused:
        ask = channel.unary_unary("/snakepit.bridge.BridgeService/ExecuteElixirTool", request_serializer=same, response_deserializer=same)
        ask(request, timeout=5)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


def test_sessions(pool: snakepit.Pool) -> None:
    """Each has one of its own at the server, the same for all its calls."""
    with pool.session("a") as one, pool.session("b") as other:
        names = [one.execute("where")["session"], one.execute("where")["session"], other.execute("where")["session"]]
    assert names[0] == names[1] != names[2]
    assert pool.execute("where")["session"] not in names


@pytest.mark.parametrize(
    ("answer", "arrives"),
    [
        (message((1, True), (6, b"bytes alone")), b"bytes alone"),
        (message((1, True), (2, message((1, "x.list"), (2, "[" * 100_000)))), "nested too deep"),
        (message((1, True), (2, message((1, "x.list"), (2, "[" * 400 + "]" * 400)))), "cannot be carried"),
        (message((1, True), (2, message((1, "x.string"), (2, '"\\ud800"')))), "cannot be carried"),
        (message((1, True), (2, message((1, "x.map"), (2, b"\xff\xfe")))), "no JSON"),
        (b"\xff\xff\xff", "the answer is no message"),
        (message((1, False), (3, "[" * 100_000)), "[[[["),
        (message((1, False), (3, '{"message": 5, "stacktrace": 7, "type": []}')), "5"),
        (message((1, False), (3, '{"type": "E", "message": "\\ud800"}')), "?"),
        (message((1, False)), ""),
    ],
    ids=[
        "bytes alone",
        "deep",
        "deeper than a channel",
        "half a pair",
        "no text",
        "no message",
        "deep error",
        "odd error",
        "half error",
        "none",
    ],
)
def test_odd_answers_cost_one_call(pool: snakepit.Pool, answer: bytes, arrives: str | bytes) -> None:
    """What cannot be carried, or makes no sense, is that call's error; the server and its other calls go on."""
    pid = pool.workers()[0].pid
    if isinstance(arrives, bytes):
        assert pool.execute("answer", binary_parameters={"data": answer}) == arrives
    else:
        with pytest.raises(snakepit.ToolError) as caught:
            pool.execute("answer", binary_parameters={"data": answer})
        assert arrives in str(caught.value)
    assert pool.execute("add", {"a": 1, "b": 2}) == 3
    assert pool.workers()[0].pid == pid


def test_sessions_that_the_server_refuses_cost_nobody_else() -> None:
    """One that it does not open fails its own calls; one that it does not end is told in the log. Its worker lives on."""
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, env={"WIRE_CLEANUP": "none"}) as pool:
        pid = pool.workers()[0].pid
        refused = pool.session("odd", metadata={"kind": "refused"})
        with pytest.raises(snakepit.ToolError, match="no room for it"):
            refused.execute("add", {"a": 1, "b": 2})
        assert pool.execute("add", {"a": 1, "b": 2}, session_id="good") == 3
        assert pool.end_session("good")
        for _ in range(3):
            assert pool.execute("add", {"a": 1, "b": 2}) == 3
        assert pool.workers()[0].pid == pid


def test_a_server_that_does_not_answer_is_replaced() -> None:
    """Heartbeats are its own answers, not its host's."""
    beats = {"interval": 0.1, "timeout": 0.3, "max_missed": 2}
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, heartbeat=beats) as pool:
        pid = pool.execute("where")["pid"]
        time.sleep(1.0)
        assert pool.execute("where")["pid"] == pid
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(snakepit.WorkerCrashed, match="had not answered 2 heartbeats"):
            pool.execute("where", timeout=15)
        assert pool.execute("where", timeout=15)["pid"] != pid


def controls_in(record: pathlib.Path) -> list[tuple[str, Any]]:
    """What the server was told over its telemetry stream, read by hand."""
    told: list[tuple[str, Any]] = []
    for line in record.read_text().splitlines():
        what, method, data, _ = json.loads(line)
        if (what, method) == ("asked", "StreamTelemetry"):
            ((kind, (value,)),) = fields(bytes.fromhex(data)).items()
            told.append(({1: "toggle", 2: "sampling", 3: "filter"}[kind], fields(value)))
    return told


def test_telemetry_both_ways(tmp_path: pathlib.Path) -> None:
    """The server's events come with values of each kind; toggles, a share and filters reach it."""
    heard: list[snakepit.TelemetryEvent] = []
    record = tmp_path / "record"
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, on_event=heard.append, env={"WIRE_RECORD": str(record)}) as pool:
        pool.execute("emit", {"name": "python.call.stop", "count": 2})
        wait_until(lambda: len(heard) == 2)
        event = heard[1]
        assert (event.name, event.measurements) == ("python.call.stop", {"number": 1, "ratio": 0.5, "unit": "ms"})
        assert (event.metadata, event.time, event.worker_id) == ({"tool": "emit"}, 1_700_000_000.5, "worker-1")
        assert event.correlation_id == "sp-1"
        pool.telemetry(sampling={"python.*": 0.25}, allow=["python.*"], deny=["python.gc.*"])
        pool.execute("emit", {"name": "python.gc.completed", "count": 5})
        pool.telemetry(sampling={"python.memory.*": 0.0, "python.*": 1.0})
        pool.execute("emit", {"name": "python.memory.sampled", "count": 5})
        pool.execute("emit", {"name": "python.cpu.sampled", "count": 1})
        wait_until(lambda: len(heard) == 3)
        assert heard[2].name == "python.cpu.sampled"
        pool.telemetry(enabled=False)
        wait_until(lambda: controls_in(record)[-1] == ("toggle", {}))  # false is left out
        assert not any("events" in reason for reason in pool.stats().protocol_reasons)
    told = controls_in(record)
    assert told[0] == ("toggle", {1: [1]})
    assert ("sampling", {1: [0.25], 2: [b"python.*"]}) in told
    assert ("sampling", {1: [1.0], 2: [b"*"]}) in told
    assert ("filter", {1: [b"python.*"], 2: [b"python.gc.*"]}) in told


@pytest.mark.parametrize(("kind", "text"), [("none", "UNIMPLEMENTED"), ("silent", "not answered within")])
def test_a_server_without_telemetry(kind: str, text: str) -> None:
    """Calls go on, the figures say why its events do not come, and the pool closes in its time."""
    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, on_event=print, env={"WIRE_TELEMETRY": kind}) as pool:
        assert pool.execute("add", {"a": 1, "b": 2}) == 3
        wait_until(lambda: any("events do not come" in reason and text in reason for reason in pool.stats().protocol_reasons))
        assert pool.execute("add", {"a": 1, "b": 2}) == 3
        began = time.monotonic()
    assert time.monotonic() - began < 3.0


def test_events_of_a_dead_server_and_a_flood() -> None:
    """The next server is listened to as well; a slow listener does not hold up calls."""
    go, heard = threading.Event(), []

    def slow(event: snakepit.TelemetryEvent) -> None:
        heard.append(event.name)
        go.wait(10)

    with snakepit.Pool(protocol="bridge", command=FOREIGN, size=1, on_event=slow) as pool:
        pool.execute("emit", {"name": "flood", "count": 20_000}, timeout=10)
        assert pool.execute("add", {"a": 1, "b": 2}, timeout=2) == 3
        with pytest.raises(snakepit.WorkerCrashed):
            pool.execute("crash")
        pool.execute("emit", {"name": "next", "count": 1})
        assert pool.stats().events < 3
        go.set()
        wait_until(lambda: "next" in heard)


@pytest.mark.parametrize(
    ("protocol", "command", "text"), [("bridge", None, "no command is given"), ("bridge", ["/nowhere/python"], "cannot be started")]
)
def test_what_cannot_be(protocol: Any, command: list[str] | None, text: str) -> None:
    """It is said, with what would mend it."""
    with (
        pytest.raises((snakepit.ConfigurationError, snakepit.PoolStartFailed), match=text),
        snakepit.Pool(protocol=protocol, command=command),
    ):
        pass


def test_our_own_worker_by_that_way() -> None:
    """What speaks the service on the other side may be ours: tools are told, and results have the service's shapes."""
    with snakepit.Pool("snakepit_bridge.adapters.showcase:ShowcaseAdapter", protocol="bridge", command=OURS, size=1) as pool:
        assert pool.execute("compute", {"operation": "add", "a": 1, "b": 2}) == 3
        assert "compute" in {spec.name for spec in pool.tool_specs()}
        assert [chunk["message"] for chunk in pool.stream("ping_stream", {"count": 2})] == ["ping 1 of 2", "ping 2 of 2"]
        with pytest.raises(snakepit.InvalidParameter):
            pool.execute("compute", {"operation": "add", "a": 1})
        began = time.monotonic()
    assert time.monotonic() - began < 3.0
